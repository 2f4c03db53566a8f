"""The records of a sound log, read back: their form, what they refer to, and what stands of them in state.

Where contracts are not at hand their records are taken as written, so nothing is believed of a body before
it was held against its kind's shape (docs/formats/records.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chaincode import canonical
from chaincode.errors import Refusal
from chaincode.provenance import records
from tallystick.errors import CouldNotCheck, NotAsRecorded
from tallystick.evidence.derived import Derived, Row

#: Kinds of records that speak of something off the ledger, in the order in which they are listed.
KINDS: Final = {
    kind.name: kind
    for kind in (
        records.DATASET,
        records.SCREENING,
        records.VALIDATION,
        records.INTENT,
        records.RUN,
        records.MODEL,
    )
}
#: The fields of a kind that refer to one record, each named for the kind that it leads to.
_REFERENCES: Final[Mapping[str, tuple[str, ...]]] = {
    "screening": ("dataset",),
    "validation": ("dataset",),
    "intent": ("dataset", "screening", "validation"),
    "run": ("intent",),
    "model": ("run",),
}


class Recorded:
    """Reads the records that a walk kept. Every method may raise `NotAsRecorded` and `CouldNotCheck`."""

    def __init__(self, derived: Derived) -> None:
        self._derived = derived

    def body(self, row: Row) -> Any:
        """The body of a kept record of `KINDS`, its references followed and its form judged.

        Raises `NotAsRecorded` for a reference that leads nowhere, to another kind or to other bytes, and
        `CouldNotCheck` for a form that this version does not know.
        """
        record_id, kind, data = row[0], row[1], row[4]
        body = canonical.decode(data).get("body")
        for field in _REFERENCES.get(kind, ()):
            self._follow(body, field)
        try:
            KINDS[kind].shape(body, kind)
        except Refusal as refusal:
            where = refusal.facts.get("field", kind)
            raise CouldNotCheck(f"not of a form that this version knows: {where}") from None
        if KINDS[kind].record_id(body) != record_id:
            raise NotAsRecorded("its id is not the one that its body makes")
        return body

    def target(self, body: Mapping[str, Any], field: str) -> Any:
        """The body of the record that ``field`` refers to."""
        return self.body(self._follow(body, field))

    def named(self, kind: str, record_id: str) -> Any:
        """The body of the record of an id, which must be of ``kind``."""
        row = self._derived.record(record_id)
        if row is None or row[1] != kind:
            raise NotAsRecorded(f"there is no {kind} record {record_id} on this ledger")
        return self.body(row)

    def dataset_of(self, kind: str, body: Mapping[str, Any]) -> str | None:
        """The id of the dataset whose key seals what a record of this kind names; a dataset has none."""
        if kind == "model":
            kind, body = "run", self.target(body, "run")
        if kind == "run":
            kind, body = "intent", self.target(body, "intent")
        return None if kind == "dataset" else str(body["dataset"]["id"])

    def retirement(self, record_id: str) -> str:
        """Whether a record was "retired" or "erased"; empty where it was neither."""
        fact = self._fact(records.retirement_key(record_id))
        return "" if fact is None else str(fact.get("state"))

    def spent_by(self, intent_id: str) -> str:
        """The run that was recorded under an intent; empty where there is none."""
        fact = self._fact(records.state_key(intent_id))
        if fact is None:
            raise NotAsRecorded("nothing stands of it in state")
        return str(fact.get("run") or "")

    def _follow(self, body: Any, field: str) -> Row:
        reference = body.get(field) if isinstance(body, dict) else None
        if not isinstance(reference, dict) or type(reference.get("id")) is not str:
            raise NotAsRecorded(f"its {field} is no reference")
        row = self._derived.record(reference["id"])
        if row is None or row[1] != field:
            raise NotAsRecorded(f"its {field} leads to no {field} record of this ledger")
        if reference.get("digest") != {"sha256": canonical.digest(row[4])}:
            raise NotAsRecorded(f"its {field} leads to a record with another digest")
        return row

    def _fact(self, key: str) -> dict[str, Any] | None:
        found = self._derived.get(key)
        if found is None:
            return None
        try:
            value = canonical.decode(found[0])
        except canonical.NotCanonical:
            value = None
        if not isinstance(value, dict):
            raise NotAsRecorded("what stands of it in state is not of its form")
        return value
