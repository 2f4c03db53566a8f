"""One record out of the index that need not be trusted: held against its block and the signed head."""

from __future__ import annotations

from tallystick.errors import NotAsRecorded
from tallystick.ledger.inclusion import ProvenRecord, prove_record
from tallystick.ledger.port import Ledger
from tallystick.reports.follower import rows
from tallystick.reports.queries import Index
from tallystick.reports.record import Record


def find_checked(ledger: Ledger, index: Index, text: str) -> tuple[Record, ProvenRecord]:
    """What `Index.find` finds, its leaf proven, and all else of it (who, when, where) as its block says.

    Raises as `Index.find` does, and `NotAsRecorded` where the ledger says otherwise.
    """
    record = index.find(text)
    proven = prove_record(ledger, record.id, record.logged)
    block = next(ledger.log(record.block), None)
    if block is None or ("records", index.row(record.leaf)) not in rows(block):
        raise NotAsRecorded(
            f"the read index does not say of the record {record.id} what its block says",
            hint="Make it again: tally rebuild",
        )
    return record, proven
