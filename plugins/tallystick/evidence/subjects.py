"""What the records of a sound log speak of, looked at one by one: files, results, runs, models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

from chaincode import canonical
from tallystick import sealing
from tallystick.errors import CouldNotCheck
from tallystick.evidence import training
from tallystick.evidence.derived import Derived
from tallystick.evidence.objects import Findings, Objects
from tallystick.evidence.report import (
    ABANDONED,
    CHANGED,
    ERASED,
    UNCHECKED,
    UNRECORDED,
    Subject,
)
from tallystick.evidence.runs import RunReader
from tallystick.fingerprint.keys import Keyring, TableKey
from tallystick.store import Store

#: Kinds of records that speak of something off the ledger, in the order in which they are listed.
KINDS: Final = ("dataset", "screening", "validation", "intent", "run", "model")
#: What else is kept of the log for these checks.
KEPT: Final = frozenset({*KINDS, "retirement"})

Tell = Callable[[str, int, int], None]


class Fingerprint(Protocol):
    """What a table's fingerprint must have (`tallystick.fingerprint.tables.TableFingerprint`)."""

    @property
    def root(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def schema_digest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class OffChain:
    """Where to find what records speak of. What is None cannot be checked, and the report says so.

    ``fingerprint`` reads a file under the policy of a SHA-256 in the store, as ingest does, and may
    raise `InvalidInput` or `NotAsRecorded`.
    """

    store: Store
    keyring: Keyring
    fingerprint: Callable[[Path, str, TableKey], Fingerprint] | None = None
    runs: RunReader | None = None


def examine(derived: Derived, off_chain: OffChain | None, only: str | None, tell: Tell) -> Iterator[Subject]:
    """A subject for each record of `KINDS` (or for the one record ``only``), then runs without a record."""
    if off_chain is None:
        return
    looking = _Looking(derived, off_chain)
    if only is not None:
        row = derived.record(only)
        if row is not None:
            yield looking.judge(row[0], row[1], canonical.decode(row[4])["body"])
        return
    rows = [row for kind in KINDS for row in derived.records(kind)]
    for done, (record_id, kind, _, _, data) in enumerate(rows, 1):
        yield looking.judge(record_id, kind, canonical.decode(data)["body"])
        tell("records", done, len(rows))
    yield from _unrecorded(derived, off_chain.runs)


def _unrecorded(derived: Derived, runs: RunReader | None) -> Iterator[Subject]:
    if runs is None:
        return
    try:
        found = runs.run_ids()
    except CouldNotCheck as error:
        yield Subject("tracking", "all", UNCHECKED, error.message)
        return
    for run_id in sorted(found):
        if derived.record(f"run/{run_id}") is None:
            yield Subject("run", f"run/{run_id}", UNRECORDED, "tracked in our experiments, and not recorded")


class _Looking:
    """Looks at records of one ledger; what many share (a dataset's key, a policy) is looked at once."""

    def __init__(self, derived: Derived, off_chain: OffChain) -> None:
        self._derived = derived
        self._off_chain = off_chain
        self.objects = lru_cache(maxsize=256)(self._objects)

    def judge(self, record_id: str, kind: str, body: Mapping[str, Any]) -> Subject:
        """The subject of one record, retired or erased ones included."""
        retirement = self._fact(f"provenance/retirement/{record_id}")
        erased = self._erased(record_id, kind, body, retirement)
        if erased:
            return Subject(kind, record_id, ERASED, erased)
        findings, note = Findings(), ""
        if kind == "intent":
            note = self._intent(findings, record_id, retired=retirement is not None)
        looks = {
            "dataset": self._dataset,
            "validation": self._validation,
            "run": self._run,
            "model": self._model,
        }
        if kind in looks:
            looks[kind](findings, body)
        if kind in ("screening", "validation"):
            self._objects_of(body).check(findings, "policy", body["policy"])
        details = [
            *findings.details[:5],
            *(["retired on record"] if retirement else []),
            *([note] if note else []),
        ]
        if len(findings.details) > 5:
            details.append(f"and {len(findings.details) - 5} more")
        return Subject(kind, record_id, findings.status, "; ".join(details))

    def body(self, record_id: str) -> Any:
        """The body of another record. Every reference was checked by the contract when it was recorded."""
        row = self._derived.record(record_id)
        return None if row is None else canonical.decode(row[4])["body"]

    def _fact(self, key: str) -> Any:
        found = self._derived.get(key)
        return None if found is None else canonical.decode(found[0])

    def _dataset_of(self, kind: str, body: Mapping[str, Any]) -> str | None:
        """The dataset whose key seals what a record of this kind names."""
        if kind == "model":
            kind, body = "run", self.body(body["run"]["id"])
        if kind == "run":
            kind, body = "intent", self.body(body["intent"]["id"])
        return body["dataset"]["id"] if kind in ("screening", "validation", "intent") else None

    def _erased(self, record_id: str, kind: str, body: Mapping[str, Any], retirement: Any) -> str:
        """What record says that a subject, or the dataset it derives from, is erased; else nothing."""
        if retirement is not None and retirement["state"] == "erased":
            return "a retirement record says so"
        dataset = self._dataset_of(kind, body) if kind in KINDS else None
        fact = self._fact(f"provenance/retirement/{dataset}") if dataset else None
        return f"with {dataset}, as a retirement record says" if fact and fact["state"] == "erased" else ""

    def _objects(self, dataset: str) -> tuple[Objects, str]:
        table = self.body(dataset)["table"]
        try:
            key = self._off_chain.keyring.load(table["key"]).table_key(bytes.fromhex(table["nonce"]))
        except CouldNotCheck as error:
            return Objects(self._off_chain.store, None), error.message
        return Objects(self._off_chain.store, key), ""

    def _objects_of(self, body: Mapping[str, Any]) -> Objects:
        return self.objects(body["dataset"]["id"])[0]

    def _dataset(self, findings: Findings, body: Mapping[str, Any]) -> None:
        objects, without_key = self.objects(f"dataset/{body['name']}/{body['version']}")
        files = [
            objects.check(findings, f"file {number} of {len(body['files'])}", file["digest"])
            for number, file in enumerate(body["files"], 1)
        ]
        policy = objects.check(findings, "policy", body["policy"])
        if objects.key is None:
            findings.add(UNCHECKED, without_key)
        elif self._off_chain.fingerprint is None:
            findings.add(UNCHECKED, "the table's root was not made again: nothing here reads tables")
        elif len(files) == 1 and files[0] is not None and policy is not None:
            with findings.judging("table"):
                path = objects.store.path(files[0])
                found = self._off_chain.fingerprint(path, policy, objects.key)
                _compare_table(findings, body, found, objects.key)

    def _validation(self, findings: Findings, body: Mapping[str, Any]) -> None:
        objects = self._objects_of(body)
        objects.check(findings, "suite", body["suite"])
        result = objects.document(findings, "result", body["result"])
        if result is None:
            return
        try:
            failed = [each["expectation"][:300] for each in result["results"] if not each["success"]]
            same = (result["passed"], len(result["results"]), failed[:200]) == (
                body["passed"],
                body["evaluated"],
                body["failed"],
            )
        except (KeyError, TypeError):
            same = False
        if not same:
            findings.add(CHANGED, "result: does not say what the record says of it")

    def _intent(self, findings: Findings, record_id: str, *, retired: bool) -> str:
        run = self._fact(f"provenance/{record_id}")["run"]
        if run is None and not retired:
            findings.add(ABANDONED, "declared, and no run was recorded under it; retire it with a reason")
        return f"spent by {run}" if run else ""

    def _run(self, findings: Findings, body: Mapping[str, Any]) -> None:
        intent = self.body(body["intent"]["id"])
        training.judge_run(findings, self._objects_of(intent), body, intent, self._off_chain.runs)

    def _model(self, findings: Findings, body: Mapping[str, Any]) -> None:
        run = self.body(body["run"]["id"])
        intent = self.body(run["intent"]["id"])
        training.judge_model(findings, self._objects_of(intent), body, run, self._off_chain.runs)


def _compare_table(findings: Findings, body: Mapping[str, Any], found: Fingerprint, key: TableKey) -> None:
    table = body["table"]
    if found.rows != table["rows"]:
        findings.add(CHANGED, f"table: recorded {table['rows']:,} rows, now {found.rows:,}")
    if found.root != table["root"]:
        findings.add(CHANGED, "table: its rows do not make the root that was recorded")
    schema = sealing.seal(key if sealing.KEYED in body["schema"] else None, found.schema_digest)
    if schema != body["schema"]:
        findings.add(CHANGED, "table: other columns or types than were recorded")
