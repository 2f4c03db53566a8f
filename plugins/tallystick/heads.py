"""The last head seen of each ledger, kept outside its home: an old home put back does not take it along.

    STATE/heads/<SHA-256 of the origin, hex>.note     the signed head, mode 0600

A memory of one's own machine, not a witness: whoever operates the machine can delete it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded
from tallystick.files import alone, private_directory, read_small, write_atomic
from tallystick.proof.checkpoint import Checkpoint, head_of
from tallystick.proof.errors import ProofError
from tallystick.proof.merkle import verify_consistency

Prove = Callable[[int], tuple[Sequence[bytes], str]]
"""From an old size: the RFC 6962 consistency proof to a later head, and that head's note."""


def remember_head(state_dir: Path, note: str, prove: Prove) -> None:
    """Keep ``note``, a signed head whose signature the caller has judged, unless a larger one is kept.

    A larger head replaces the kept one only where ``prove`` (a ledger's ``consistency_proof``) shows that it
    extends it. Raises `NotAsRecorded` for a head that contradicts the kept one, which then stays;
    `InvalidInput` for what is no head; `CouldNotCheck` where the directory cannot be used.
    """
    head = _parse(note)
    path = head_path(state_dir, head.origin)
    private_directory(path.parent)
    with alone(path.with_suffix(".lock")):
        kept_note = _read(path)
        if kept_note is not None:
            kept = _parse(kept_note)
            if head.size < kept.size:
                return
            note = _extending(kept, head, note, prove)
        write_atomic(path, note.encode())


def last_head(state_dir: Path, origin: str) -> str | None:
    """The note of the largest head of ``origin`` that was remembered, or None.

    Raises `CouldNotCheck` where it cannot be read.
    """
    return _read(head_path(state_dir, origin))


def _extending(kept: Checkpoint, head: Checkpoint, note: str, prove: Prove) -> str:
    """The note to keep instead of ``kept``: ``note``, or the later one that was proven to extend it."""
    contradiction = NotAsRecorded(
        f"the ledger {head.origin} was rewritten: its head at {head.size:,} leaves does not extend the one"
        f" seen on this machine at {kept.size:,}",
        hint="Keep the ledger as it is for the auditor, and compare with a checkpoint kept elsewhere.",
    )
    if head.size == kept.size and head.root != kept.root:
        raise contradiction
    if head.size == kept.size:
        return note
    proof, proven = prove(kept.size)
    later = _parse(proven)
    try:
        verify_consistency(kept.size, later.size, kept.root, later.root, proof)
    except ProofError:
        raise contradiction from None
    return proven


def extends(head: Checkpoint, prove: Prove) -> bool:
    """Whether the ledger whose ``consistency_proof`` is ``prove`` begins with the leaves under ``head``."""
    try:
        proof, note = prove(head.size)
        later = _parse(note)
        verify_consistency(head.size, later.size, head.root, later.root, proof)
    except (InvalidInput, ProofError):
        return False
    return later.origin == head.origin


def head_path(state_dir: Path, origin: str) -> Path:
    """The file that remembers the last head seen of ``origin``."""
    return state_dir / "heads" / f"{hashlib.sha256(origin.encode()).hexdigest()}.note"


def _parse(note: str) -> Checkpoint:
    try:
        return head_of(note)
    except ProofError as error:
        raise InvalidInput(f"not the head of a ledger: {error}") from None


def _read(path: Path) -> str | None:
    try:
        return read_small(path).decode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise CouldNotCheck(f"the last head seen, {path}, cannot be read: {type(error).__name__}") from error
