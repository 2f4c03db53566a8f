"""What a verification says: one line a subject, and what follows from all of them.

docs/formats/verify-report.md is normative for the JSON, the words and the exit codes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from tallystick.proof.checkpoint import Checkpoint

VERIFIED: Final = "verified"
ERASED: Final = "ERASED"
CHANGED: Final = "CHANGED"
MISSING: Final = "MISSING"
UNRECORDED: Final = "UNRECORDED"
ABANDONED: Final = "ABANDONED"
UNCHECKED: Final = "cannot check"

#: What a status makes `tally verify` exit with, if no other subject is worse (1 is worse than 3).
EXIT_CODES: Final = {
    VERIFIED: 0,
    ERASED: 0,
    CHANGED: 1,
    MISSING: 1,
    UNRECORDED: 1,
    ABANDONED: 3,
    UNCHECKED: 3,
}


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that was looked at. ``detail`` is for people and holds no value of a data row."""

    kind: str
    id: str
    status: str
    detail: str = ""

    def value(self) -> dict[str, str]:
        """As it stands in the JSON."""
        return {"kind": self.kind, "id": self.id, "status": self.status, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Report:
    """The subjects and the two answers. ``witnessed``: today's ledger was held against a head that
    somebody else keeps or has cosigned. ``head`` is the head that was judged, if the log has one.

    ``blocks`` were judged; what is witnessed are the first ``witnessed_blocks`` of them."""

    subjects: tuple[Subject, ...]
    witnessed: bool
    head: Checkpoint | None = None
    witnessed_blocks: int = 0
    blocks: int = 0

    @classmethod
    def of(
        cls,
        subjects: Iterable[Subject],
        *,
        witnessed: bool,
        head: Checkpoint | None = None,
        witnessed_blocks: int = 0,
        blocks: int = 0,
    ) -> Report:
        """A report of ``subjects``, in their order."""
        return cls(tuple(subjects), witnessed, head, witnessed_blocks, blocks)

    def also(self, subjects: Iterable[Subject]) -> Report:
        """This report with more subjects at its end."""
        return replace(self, subjects=(*self.subjects, *subjects))

    @property
    def verified(self) -> bool:
        """Whether every subject is as recorded and could be checked."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """1 where anything is not as recorded, else 3 where something could not be checked, else 0."""
        codes = {EXIT_CODES[subject.status] for subject in self.subjects}
        return 1 if 1 in codes else max(codes, default=3)

    def value(self) -> dict[str, Any]:
        """The JSON: {"verified", "witnessed", "witnessed_blocks", "blocks", "subjects"}."""
        return {
            "verified": self.verified,
            "witnessed": self.witnessed,
            "witnessed_blocks": self.witnessed_blocks,
            "blocks": self.blocks,
            "subjects": [subject.value() for subject in self.subjects],
        }
