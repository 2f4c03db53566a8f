"""A record held against the log: wherever it was found, only what the signed tree holds is believed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chaincode import canonical
from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.ledger.port import Ledger, LoggedRecord
from tallystick.proof.checkpoint import Checkpoint
from tallystick.proof.errors import ProofError
from tallystick.proof.tlog_proof import encode_tlog_proof, verify_tlog_proof
from tallystick.proof.trust import parse_trust


@dataclass(frozen=True)
class ProvenRecord:
    """A record whose leaf is in the log. ``head`` and ``note`` are the head and its signed note,
    ``hashes`` the proof that leads to it, ``file`` the same as a C2SP tlog-proof."""

    logged: LoggedRecord
    head: Checkpoint
    note: str
    hashes: tuple[bytes, ...]
    file: str

    @cached_property
    def value(self) -> Any:
        """The record: {v, kind, id, body, streams}."""
        return canonical.decode(self.logged.content)

    @property
    def digest(self) -> str:
        """SHA-256 of its canonical bytes, in hex."""
        return canonical.digest(self.logged.content)


def prove_record(ledger: Ledger, record_id: str, logged: LoggedRecord) -> ProvenRecord:
    """``logged``, which claims to be the record of that id, proven under the ledger's present head.

    Raises `NotAsRecorded` where it is another record, or its leaf is not the one that the log has there.
    """
    try:
        hashes, note = ledger.inclusion_proof(logged.leaf)
        file = encode_tlog_proof(logged.leaf, hashes, note)
        verdict = verify_tlog_proof(file, logged.leaf_bytes, parse_trust(ledger.trust()))
        proven = ProvenRecord(logged, verdict.judgement.checkpoint, note, tuple(hashes), file)
        found = proven.value["id"]
    except (ProofError, InvalidInput, canonical.NotCanonical) as error:
        raise _other(record_id, str(error)) from error
    if found != record_id:
        raise _other(record_id, "it is another record")
    return proven


def _other(record_id: str, why: str) -> NotAsRecorded:
    return NotAsRecorded(
        f"the record {record_id} is not under the head of the ledger: {why}",
        hint="See what is wrong: tally verify. If only the read index is, make it again: tally rebuild",
    )
