"""Pages that name tests as their witnesses, the threat model first: they are there, under these names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = {
    (path.name, test)
    for path in (ROOT / "tests").rglob("test_*.py")
    for test in re.findall(r"def (test_\w+)\(", path.read_text("utf-8"))
}
NAMED = re.compile(r"`(test_\w+\.py)?((?:::\w+)+)`")


def named_tests(page: str) -> list[tuple[str, str]]:
    """(file, test) in the order of ``page``; a name without a file is of the file named before it."""
    found, file = [], ""
    for match in NAMED.finditer((ROOT / "docs" / page).read_text("utf-8")):
        file = match[1] or file
        found.append((file, match[2].split("::")[-1]))
    return found


@pytest.mark.parametrize("page", ["threat-model.md", "fabric-hostile.md"])
def test_every_test_that_is_named_exists(page: str) -> None:
    named = named_tests(page)
    assert len(named) > 30
    assert [test for test in named if test not in TESTS] == []
