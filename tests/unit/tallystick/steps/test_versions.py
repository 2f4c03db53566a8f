"""A version that somebody else was given meanwhile is asked for again, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from tallystick.errors import Refused
from tallystick.steps.versions import ATTEMPTS, with_latest


class Growing:
    """A workspace on which somebody registers a version after every look."""

    def __init__(self) -> None:
        self.provenance: Any = self
        self.latest = -1

    def latest_version(self, kind: str, name: str) -> int:
        assert (kind, name) == ("model", "risk")
        self.latest += 1
        return self.latest


def refuse(asked: list[int], often: int, code: str = "VERSION_NOT_NEXT") -> Any:
    def register(latest: int) -> str:
        asked.append(latest)
        if len(asked) <= often:
            raise Refused("taken", code=code)
        return f"risk/{latest + 1}"

    return register


@pytest.mark.parametrize("often", [0, 1, ATTEMPTS - 1])
def test_it_is_asked_for_again_after_the_latest_then(often: int) -> None:
    asked: list[int] = []
    w: Any = Growing()
    assert with_latest(w, "model", "risk", refuse(asked, often)) == f"risk/{often + 1}"
    assert asked == list(range(often + 1))


@pytest.mark.parametrize(("code", "times"), [("VERSION_NOT_NEXT", ATTEMPTS), ("RETIRED", 1)])
def test_without_end_or_for_another_reason_it_is_refused(code: str, times: int) -> None:
    asked: list[int] = []
    w: Any = Growing()
    with pytest.raises(Refused, match="taken"):
        with_latest(w, "model", "risk", refuse(asked, ATTEMPTS, code))
    assert len(asked) == times
