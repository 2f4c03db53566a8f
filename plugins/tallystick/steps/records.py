"""Finds records in the ledger's blocks, newest first: steps mostly ask for what was written just now."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Final

from chaincode import canonical
from tallystick.clients.provenance import Reference
from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.ledger.port import BlockBytes, Ledger
from tallystick.proof.block import Envelope, parse_block
from tallystick.proof.errors import ProofError
from tallystick.proof.leaves import record_leaf, salt

_FEWEST: Final = 32
_MOST: Final = 1024


@dataclass(frozen=True)
class FoundRecord:
    """A record: its canonical bytes, its leaf's bytes and the leaf's index in the log."""

    data: bytes
    leaf: bytes
    index: int
    block: int

    @cached_property
    def value(self) -> Any:
        """The record: {v, kind, id, body, streams}."""
        return canonical.decode(self.data)

    @property
    def body(self) -> Any:
        """What the record says."""
        return self.value["body"]

    @property
    def reference(self) -> Reference:
        """Id and digest."""
        return Reference(self.value["id"], canonical.digest(self.data))


def find_record(ledger: Ledger, record: Reference | str) -> FoundRecord:
    """The record of an id, or of a reference, whose digest it must have.

    Raises `InvalidInput` where there is none and `NotAsRecorded` where it has another digest.
    """
    record_id = record if isinstance(record, str) else record.id
    found = find_records(ledger, [record_id])[record_id]
    if isinstance(record, Reference) and found.reference != record:
        raise NotAsRecorded(f"the record {record.id} on the ledger is not the one that is referred to")
    return found


def find_records(ledger: Ledger, ids: Collection[str]) -> dict[str, FoundRecord]:
    """Each record by its id. Raises as `find_record` does."""
    wanted = set(ids)
    found: dict[str, FoundRecord] = {}
    for block in _newest_first(ledger):
        if not wanted:
            break
        # A search of bytes is much cheaper than parsing, and most blocks hold nothing that is wanted.
        if any(record_id.encode() in block.data for record_id in wanted):
            here = _records(block, wanted)
            found |= here
            wanted -= here.keys()
    if wanted:
        raise InvalidInput(f"no record {min(wanted)} stands on this ledger", hint="See the ids: tally log")
    return found


def _newest_first(ledger: Ledger) -> Iterator[BlockBytes]:
    end, size = ledger.height, _FEWEST
    while end > 0:
        first = max(0, end - size)
        yield from reversed(list(islice(ledger.blocks(first), end - first)))
        end, size = first, min(2 * size, _MOST)


def _records(block: BlockBytes, wanted: set[str]) -> dict[str, FoundRecord]:
    try:
        envelopes = parse_block(block.header, block.data).valid
    except ProofError as error:
        raise NotAsRecorded(f"block {block.number} of the ledger is damaged: {error}") from None
    found: dict[str, FoundRecord] = {}
    index = block.first_leaf + 1
    for envelope in envelopes:
        for number, data in enumerate(envelope.records, 1):
            record_id = canonical.decode(data)["id"]
            if record_id in wanted:
                found[record_id] = FoundRecord(
                    data, _leaf(envelope, number, data), index + number, block.number
                )
        index += 1 + len(envelope.records)
    return found


def _leaf(envelope: Envelope, number: int, data: bytes) -> bytes:
    return record_leaf(data, salt(bytes.fromhex(envelope.proposal["nonce"]), number))
