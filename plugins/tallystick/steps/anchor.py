"""Fixes what a pipeline wrote: streams attested, each record proven under the head, the head kept outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tallystick import heads
from tallystick.clients.provenance import Reference, Requests
from tallystick.errors import NotAsRecorded
from tallystick.ledger.inclusion import prove_record
from tallystick.steps.records import find_records
from tallystick.steps.results import Result
from tallystick.steps.workspace import Workspace


@dataclass(frozen=True)
class Anchored(Result):
    """The head under which the records were proven: ``size`` leaves, up to ``block`` at least;
    ``checkpoint`` is the signed note."""

    block: int
    size: int
    checkpoint: str


def anchor(w: Workspace, requests: Requests, records: Sequence[Reference]) -> Anchored:
    """Attest the streams of ``records``, at least one, check each one's inclusion in the signed head, keep
    the head.

    Raises `NotAsRecorded` where a record is not the one that was acknowledged, is not under the head, or
    the head does not extend the last one seen on this machine.
    """
    found = find_records(w, [reference.id for reference in records])
    for reference in records:
        if found[reference.id].reference != reference:
            raise NotAsRecorded(f"the record {reference.id} on the ledger is not the one acknowledged")
    for stream in sorted({stream for record in found.values() for stream in record.value["streams"]}):
        w.provenance.attest(requests.of(f"attest {stream}"), stream=stream)
    block = w.ledger.height - 1
    proven = [prove_record(w.ledger, each, record.proven.logged) for each, record in found.items()]
    last = proven[-1]
    heads.remember_head(w.settings.state_dir, last.note, w.ledger.consistency_proof)
    return Anchored(block, last.head.size, last.note)
