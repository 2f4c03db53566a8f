"""The next version of a dataset or a model, where others may register one at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from tallystick.errors import Refused
from tallystick.steps.workspace import Workspace

ATTEMPTS: Final = 8
_TAKEN: Final = "VERSION_NOT_NEXT"

Result = TypeVar("Result")


def with_latest(w: Workspace, kind: str, name: str, register: Callable[[int], Result]) -> Result:
    """What ``register`` gives, called with the latest version, 0 where there is none.

    Called again, at most `ATTEMPTS` times in all, where somebody was given the next version meanwhile: theirs
    may even be of the same. Raises as ``register`` does; the last refusal, where there was no end of them.
    """
    for _ in range(1, ATTEMPTS):
        try:
            return register(w.provenance.latest_version(kind, name))
        except Refused as refused:
            if refused.code != _TAKEN:
                raise
    return register(w.provenance.latest_version(kind, name))
