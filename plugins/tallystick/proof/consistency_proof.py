"""Consistency proofs as files: a later signed head extends an earlier one. A format of ours.

Format and verification steps: docs/formats/consistency-proof.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tallystick.proof.checkpoint import Checkpoint
from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.merkle import HASH_SIZE, verify_consistency
from tallystick.proof.text import (
    MAX_SIZE,
    parse_base64,
    parse_decimal,
    parse_field,
    split_proof,
    to_base64,
)
from tallystick.proof.trust import Judgement, TrustPolicy

_MAGIC: Final = "tallystick/consistency-proof@v1"


@dataclass(frozen=True)
class ConsistencyProof:
    """A parsed proof: from ``old_size`` leaves to the signed checkpoint ``note``."""

    old_size: int
    hashes: tuple[bytes, ...]
    note: str


@dataclass(frozen=True)
class ConsistencyVerdict:
    """The log ``origin`` only grew, from ``old_size`` to ``size``; ``judgement`` names who signed."""

    origin: str
    old_size: int
    size: int
    judgement: Judgement


def encode_consistency_proof(old_size: int, hashes: Sequence[bytes], note: str) -> str:
    """The proof file's text: what `parse_consistency_proof` reads. Raises `Malformed`."""
    if not 0 <= old_size <= MAX_SIZE or any(len(item) != HASH_SIZE for item in hashes):
        raise Malformed("consistency proof: a size out of range, or a hash that is not 32 bytes")
    return "\n".join([_MAGIC, f"old {old_size}", *map(to_base64, hashes), "", note])


def parse_consistency_proof(text: str) -> ConsistencyProof:
    """The parts of a proof file, nothing verified. Raises `Malformed`."""
    lines, note = split_proof(text, _MAGIC, "consistency proof")
    if not lines:
        raise Malformed("consistency proof: no old size")
    old = parse_decimal(parse_field(lines[0], "old", "consistency proof"), "consistency proof: the old size")
    hashes = tuple(parse_base64(line, "consistency proof: a hash", HASH_SIZE) for line in lines[1:])
    return ConsistencyProof(old, hashes, note)


def verify_consistency_proof(proof_text: str, old: Checkpoint, trust: TrustPolicy) -> ConsistencyVerdict:
    """Verify that the proof's head, trusted by ``trust``, extends ``old``, which the caller kept and trusts.

    Raises `Malformed`, `NotProven`, or `NotTrusted` when the new head lacks a trusted signature or quorum.
    """
    proof = parse_consistency_proof(proof_text)
    judgement = trust.require_quorum(proof.note)
    new = judgement.checkpoint
    if new.origin != old.origin:
        raise NotProven("consistency proof: the two heads have different origins")
    if proof.old_size != old.size:
        raise NotProven("consistency proof: it starts from another size than the head that was kept")
    verify_consistency(old.size, new.size, old.root, new.root, proof.hashes)
    return ConsistencyVerdict(new.origin, old.size, new.size, judgement)
