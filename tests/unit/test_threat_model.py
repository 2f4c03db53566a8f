"""The threat model names tests that show what it says: they are there, under these names."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = {
    (path.name, test)
    for path in (ROOT / "tests").rglob("test_*.py")
    for test in re.findall(r"def (test_\w+)\(", path.read_text("utf-8"))
}
NAMED = re.compile(r"`(test_\w+\.py)?((?:::\w+)+)`")


def named_tests() -> list[tuple[str, str]]:
    """(file, test) in the order of the page; a name without a file is of the file named before it."""
    found, file = [], ""
    for match in NAMED.finditer((ROOT / "docs" / "threat-model.md").read_text("utf-8")):
        file = match[1] or file
        found.append((file, match[2].split("::")[-1]))
    return found


def test_every_test_that_is_named_exists() -> None:
    named = named_tests()
    assert len(named) > 40
    assert [test for test in named if test not in TESTS] == []
