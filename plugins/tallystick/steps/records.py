"""Records that stand on the ledger, each held against the log before a step believes it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from tallystick.clients.provenance import Reference
from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.ledger.inclusion import ProvenRecord, prove_record
from tallystick.steps.workspace import Workspace

_HINT: Final = "See the ids: tally log. If it should be there, make the read index again: tally rebuild"


@dataclass(frozen=True)
class FoundRecord:
    """A record that was proven to be in the log."""

    proven: ProvenRecord

    @property
    def value(self) -> Any:
        """The record: {v, kind, id, body, streams}."""
        return self.proven.value

    @property
    def body(self) -> Any:
        """What the record says."""
        return self.value["body"]

    @property
    def reference(self) -> Reference:
        """Id and digest."""
        return Reference(self.value["id"], self.proven.digest)


def find_record(w: Workspace, record: Reference | str) -> FoundRecord:
    """The record of an id, or of a reference, whose digest it must have.

    Raises `InvalidInput` where there is none and `NotAsRecorded` where it has another digest or the log
    does not hold it.
    """
    record_id = record if isinstance(record, str) else record.id
    found = find_records(w, [record_id])[record_id]
    if isinstance(record, Reference) and found.reference != record:
        raise NotAsRecorded(f"the record {record.id} on the ledger is not the one that is referred to")
    return found


def find_records(w: Workspace, ids: Collection[str]) -> dict[str, FoundRecord]:
    """Each record by its id. Raises as `find_record` does."""
    found = w.records.find(ids)
    if missing := set(ids) - found.keys():
        raise InvalidInput(f"no record {min(missing)} stands on this ledger", hint=_HINT)
    return {each: FoundRecord(prove_record(w.ledger, each, found[each])) for each in dict.fromkeys(ids)}
