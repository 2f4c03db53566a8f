"""What the last `tally verify` found, kept for `tally status` and the dashboard.

A note about a check, not the check and no proof: whoever holds the home can write it. It names the head
that was judged, and counts only for a ledger that extends that head. docs/formats/cli-json.md.
"""

from __future__ import annotations

import contextlib
import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tallystick import heads
from tallystick.errors import CouldNotCheck
from tallystick.files import read_small, write_atomic
from tallystick.ledger.port import Ledger
from tallystick.proof.checkpoint import Checkpoint, head_of
from tallystick.proof.errors import ProofError

_NAME: Final = "verification.json"
_SUBJECT: Final = {"kind", "id", "status", "detail"}


def keep_verification(home: Path, report: dict[str, Any], block: int, head: Checkpoint | None) -> None:
    """Keep the report of a whole verification up to ``block`` and ``head``, with the time.

    ``head`` is None where the ledger could not be walked to one. Where the home cannot be written nothing
    is kept: the verdict does not depend on it.
    """
    value = {
        **report,
        "block": block,
        "time": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        "head": None
        if head is None
        else {"origin": head.origin, "size": head.size, "root": b64encode(head.root).decode()},
    }
    with contextlib.suppress(CouldNotCheck):
        write_atomic(home / _NAME, json.dumps(value, ensure_ascii=False, sort_keys=True).encode())


def last_verification(home: Path, ledger: Ledger) -> dict[str, Any] | None:
    """The note that was kept last, with ``behind``: how many blocks ``ledger`` has that it does not cover.

    None where there is none that can be read, and where it is of a head that ``ledger`` does not extend.
    A note without a head says that the ledger could not be read to its end, and never that all is well.
    """
    note = noted_verification(home)
    if note is None:
        return None
    head = _head(note)
    if head is None:
        return None if note["verified"] else {**note, "behind": 0}
    if head.origin != ledger.origin or not heads.extends(head, ledger.consistency_proof):
        return None
    if head.size == head_of(ledger.checkpoint()).size:
        return {**note, "behind": 0}
    return {**note, "behind": max(1, ledger.height - 1 - note["block"])}


def noted_verification(home: Path) -> dict[str, Any] | None:
    """The note as it was kept, held against no ledger; None where there is none that can be read."""
    try:
        note: dict[str, Any] = json.loads(read_small(home / _NAME))
        _head(note)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return note


def _head(note: dict[str, Any]) -> Checkpoint | None:
    """The head of a note as `keep_verification` writes it. Raises ValueError, TypeError or KeyError."""
    block, subjects = note["block"], note["subjects"]
    if type(block) is not int or block < 0 or not isinstance(note["time"], str):
        raise ValueError("not a note of a verification")
    if type(note["verified"]) is not bool or type(note["witnessed"]) is not bool:
        raise ValueError("not a note of a verification")
    for subject in subjects:
        if set(subject) != _SUBJECT or not all(isinstance(each, str) for each in subject.values()):
            raise ValueError("not a subject of a report")
    head = note["head"]
    try:
        return head and Checkpoint(head["origin"], head["size"], b64decode(head["root"], validate=True))
    except ProofError as error:
        raise ValueError("not a head") from error
