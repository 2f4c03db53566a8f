"""C2SP tlog-proofs: one leaf is under a signed head, verifiable offline against a trust policy.

Format and verification steps: docs/formats/inclusion-proof.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tallystick.proof.errors import Malformed
from tallystick.proof.merkle import HASH_SIZE, leaf_hash, verify_inclusion
from tallystick.proof.text import (
    MAX_SIZE,
    parse_base64,
    parse_decimal,
    parse_field,
    split_proof,
    to_base64,
)
from tallystick.proof.trust import Judgement, TrustPolicy

_MAGIC: Final = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class TlogProof:
    """A parsed tlog-proof. ``note`` is the signed checkpoint verbatim; ``extra`` is unauthenticated."""

    index: int
    hashes: tuple[bytes, ...]
    note: str
    extra: bytes | None = None


@dataclass(frozen=True)
class InclusionVerdict:
    """The leaf is number ``index`` (from 0) of ``origin`` at ``size``; ``judgement`` names who signed."""

    origin: str
    size: int
    index: int
    judgement: Judgement


def encode_tlog_proof(index: int, hashes: Sequence[bytes], note: str, extra: bytes | None = None) -> str:
    """The proof file's text: what `parse_tlog_proof` reads. Raises `Malformed`."""
    if not 0 <= index <= MAX_SIZE or any(len(item) != HASH_SIZE for item in hashes):
        raise Malformed("tlog-proof: an index out of range, or a hash that is not 32 bytes")
    lines = [_MAGIC]
    if extra is not None:
        lines.append(f"extra {to_base64(extra)}")
    lines.append(f"index {index}")
    lines.extend(to_base64(item) for item in hashes)
    return "\n".join([*lines, "", note])


def parse_tlog_proof(text: str) -> TlogProof:
    """The parts of a proof file, nothing verified. Raises `Malformed`."""
    lines, note = split_proof(text, _MAGIC, "tlog-proof")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = parse_base64(parse_field(lines.pop(0), "extra", "tlog-proof"), "tlog-proof: the extra data")
    if not lines:
        raise Malformed("tlog-proof: no index")
    index = parse_decimal(parse_field(lines[0], "index", "tlog-proof"), "tlog-proof: the index")
    hashes = tuple(parse_base64(line, "tlog-proof: a hash", HASH_SIZE) for line in lines[1:])
    return TlogProof(index, hashes, note, extra)


def verify_tlog_proof(proof_text: str, leaf: bytes, trust: TrustPolicy) -> InclusionVerdict:
    """Verify that ``leaf`` (its bytes, not its hash) is in a log that ``trust`` trusts, quorum included.

    Raises `Malformed`, `NotProven`, or `NotTrusted` when the head lacks a trusted signature or quorum.
    """
    proof = parse_tlog_proof(proof_text)
    judgement = trust.require_quorum(proof.note)
    head = judgement.checkpoint
    verify_inclusion(proof.index, head.size, leaf_hash(leaf), proof.hashes, head.root)
    return InclusionVerdict(head.origin, head.size, proof.index, judgement)
