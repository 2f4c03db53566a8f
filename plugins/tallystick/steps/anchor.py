"""Fixes what a pipeline wrote: streams attested, each record proven under the head, the head kept outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tallystick import heads
from tallystick.clients.provenance import Reference, Requests
from tallystick.errors import NotAsRecorded
from tallystick.ledger.port import Ledger
from tallystick.proof.checkpoint import Checkpoint, parse_checkpoint
from tallystick.proof.errors import ProofError
from tallystick.proof.merkle import leaf_hash, verify_inclusion
from tallystick.proof.note import parse_vkey, verify_note
from tallystick.steps.records import FoundRecord, find_records
from tallystick.steps.results import Result
from tallystick.steps.workspace import Workspace


@dataclass(frozen=True)
class Anchored(Result):
    """The head under which the records were proven: ``size`` leaves, up to ``block``; ``checkpoint`` is the
    signed note."""

    block: int
    size: int
    checkpoint: str


def anchor(w: Workspace, requests: Requests, records: Sequence[Reference]) -> Anchored:
    """Attest the streams of ``records``, check each one's inclusion in the signed head, keep the head.

    Raises `NotAsRecorded` where a record is not the one that was acknowledged, is not under the head, or
    the head does not extend the last one seen on this machine.
    """
    found = find_records(w.ledger, [reference.id for reference in records])
    for reference in records:
        if found[reference.id].reference != reference:
            raise NotAsRecorded(f"the record {reference.id} on the ledger is not the one acknowledged")
    for stream in sorted({stream for record in found.values() for stream in record.value["streams"]}):
        w.provenance.attest(requests.of(f"attest {stream}"), stream=stream)
    for record in found.values():
        _prove(w.ledger, record)
    *_, last = w.ledger.blocks(w.ledger.height - 1)
    head = _judge(w.ledger, last.checkpoint)
    heads.remember_head(w.settings.state_dir, last.checkpoint, w.ledger.consistency_proof)
    return Anchored(last.number, head.size, last.checkpoint)


def _prove(ledger: Ledger, record: FoundRecord) -> None:
    hashes, note = ledger.inclusion_proof(record.index)
    head = _judge(ledger, note)
    try:
        verify_inclusion(record.index, head.size, leaf_hash(record.leaf), hashes, head.root)
    except ProofError as error:
        raise NotAsRecorded(
            f"the record {record.reference.id} is not under the ledger's head: {error}"
        ) from None


def _judge(ledger: Ledger, note: str) -> Checkpoint:
    """The checkpoint of ``note``, signed by the ledger's key for the ledger's name."""
    try:
        text, _ = verify_note(note, [parse_vkey(ledger.vkey)])
        head = parse_checkpoint(text)
    except ProofError as error:
        raise NotAsRecorded(f"the ledger's head cannot be believed: {error}") from None
    if head.origin != ledger.origin:
        raise NotAsRecorded("the ledger's head is of another ledger")
    return head
