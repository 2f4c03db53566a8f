"""What the records of a sound log speak of, looked at one by one: files, results, runs, models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

from tallystick import sealing
from tallystick.errors import CouldNotCheck, Missing, NotAsRecorded
from tallystick.evidence import training
from tallystick.evidence.derived import Derived, Row
from tallystick.evidence.objects import Findings, Objects
from tallystick.evidence.recorded import KINDS, Recorded
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

#: What is kept of the log for these checks.
KEPT: Final = frozenset(KINDS)

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


def examine(
    derived: Derived, off_chain: OffChain | None, origin: str, only: str | None, tell: Tell
) -> Iterator[Subject]:
    """A subject for each record of `KINDS` (or for the one record ``only``), then runs without a record.

    ``origin`` is the ledger's.
    """
    if off_chain is None:
        return
    looking = _Looking(derived, off_chain)
    if only is not None:
        row = derived.record(only)
        if row is not None:
            yield looking.judge(row)
        return
    total, done = derived.count(KINDS), 0
    for kind in KINDS:
        for row in derived.records(kind):
            yield looking.judge(row)
            done += 1
            tell("records", done, total)
    if off_chain.runs is None:
        return
    try:
        yield from looking.unrecorded_runs(off_chain.runs, origin)
        yield from looking.unrecorded_versions(off_chain.runs, origin)
    except CouldNotCheck as error:
        yield Subject("tracking", "all", UNCHECKED, error.message)


class _Looking:
    """Looks at records of one ledger; what many share (a dataset's key, a policy) is looked at once."""

    def __init__(self, derived: Derived, off_chain: OffChain) -> None:
        self._derived = derived
        self._recorded = Recorded(derived)
        self._off_chain = off_chain
        self._right = set[str]()
        self.objects = lru_cache(maxsize=256)(self._objects)

    def judge(self, row: Row) -> Subject:
        """The subject of one kept record, retired or erased ones included."""
        record_id, kind = row[0], row[1]
        findings, erased = Findings(), ""
        notes: list[str] = []
        if kind in KINDS:
            with findings.judging("record"):
                body = self._recorded.body(row)
                retired = self._recorded.retirement(record_id)
                erased = self._erased(record_id, kind, body)
                if retired == "erased" and kind == "dataset" and not erased:
                    again = f"run `tally retire {record_id} --erase` again"
                    findings.add(CHANGED, f"recorded as erased, but its key is still here: {again}")
                elif retired and not erased:
                    notes = [f"{retired} on record"]
                notes += self._look(findings, record_id, kind, body, retired=bool(retired))
                if erased:
                    self._still_here(findings, kind, body, self._recorded.dataset_of(kind, body) or record_id)
        if erased and not findings.details:
            return Subject(kind, record_id, ERASED, erased)
        details = [*findings.details[:5], *([erased] if erased else notes)]
        if len(findings.details) > 5:
            details.append(f"and {len(findings.details) - 5} more")
        return Subject(kind, record_id, findings.status, "; ".join(details))

    def unrecorded_runs(self, runs: RunReader, origin: str) -> Iterator[Subject]:
        """What is tracked in the ledger's experiments without a record. Raises `CouldNotCheck`."""
        datasets = {_name(row) for row in self._derived.records("dataset")}
        recorded = {row[0].removeprefix("run/") for row in self._derived.records("run")}
        for run_id in sorted({*runs.run_ids(origin, datasets, recorded)} - recorded):
            yield Subject("run", f"run/{run_id}", UNRECORDED, "tracked in our experiments, and not recorded")

    def unrecorded_versions(self, runs: RunReader, origin: str) -> Iterator[Subject]:
        """What is registered under a recorded model's name and is of none. Raises `CouldNotCheck`."""
        recorded = {(_name(row), self._run_of(row)) for row in self._derived.records("model")}
        versions = runs.versions(origin, {name for name, _ in recorded})
        for (name, version), run_id in sorted(versions.items()):
            if not run_id or (name, run_id) not in recorded:
                said = (
                    "registered in MLflow under this model's name, and not of a run that is recorded for it"
                )
                yield Subject("registered version", f"{name}/{version}", UNRECORDED, said)

    def _run_of(self, row: Row) -> str:
        """The run that a model's record is of; empty for a record that is not of its form."""
        try:
            return str(self._recorded.body(row)["run"]["id"]).removeprefix("run/")
        except (NotAsRecorded, CouldNotCheck):
            return ""

    def _look(
        self, findings: Findings, record_id: str, kind: str, body: Mapping[str, Any], *, retired: bool
    ) -> list[str]:
        """Look at what a record names; what else there is to say of it."""
        if kind == "intent":
            return self._intent(findings, record_id, retired=retired)
        if kind == "dataset":
            self._dataset(findings, record_id, body)
        elif kind == "run":
            self._run(findings, body)
        elif kind == "model":
            self._model(findings, body)
        else:
            objects = self._objects_of(body)
            if kind == "validation":
                _judge_validation(findings, objects, body)
            objects.check(findings, "policy", body["policy"])
        return []

    def _erased(self, record_id: str, kind: str, body: Mapping[str, Any]) -> str:
        """What record says that the dataset whose key sealed a subject is erased; else nothing."""
        dataset = self._recorded.dataset_of(kind, body)
        if not self.objects(dataset or record_id)[0].erased:
            return ""
        return f"with {dataset}, as a retirement record says" if dataset else "a retirement record says so"

    def _still_here(self, findings: Findings, kind: str, body: Mapping[str, Any], dataset: str) -> None:
        """What was made of rows and is named by a plain digest can still be read after its key is gone."""
        for what, digests in _of_rows(kind, body):
            sha256 = digests.get(sealing.PLAIN)
            if sha256 and self._off_chain.store.has(sha256) and sha256 not in self._kept:
                again = f"run `tally retire {dataset} --erase` again"
                findings.add(CHANGED, f"{what}: recorded as erased, but still here: {again}")

    @cached_property
    def _kept(self) -> set[str]:
        """The plain SHA-256 that an erasure leaves: what a dataset that is not erased names or remembers."""
        kept = set(sealing.remembered(self._off_chain.store).values())
        for kind in KINDS:
            for row in self._derived.records(kind):
                with suppress(NotAsRecorded, CouldNotCheck):  # said where that record is judged
                    body = self._recorded.body(row)
                    if self._recorded.retirement(self._recorded.dataset_of(kind, body) or row[0]) != "erased":
                        kept |= {digests.get(sealing.PLAIN, "") for _, digests in _of_rows(kind, body)}
        return kept

    def _objects(self, dataset: str) -> tuple[Objects, str]:
        table = self._recorded.named("dataset", dataset)["table"]
        try:
            key = self._off_chain.keyring.load(table["key"]).table_key(bytes.fromhex(table["nonce"]))
        except Missing as error:
            # Without its key, and only so, what a record says to be erased is.
            erased = self._recorded.retirement(dataset) == "erased"
            return Objects(self._off_chain.store, None, erased, self._right), error.message
        except CouldNotCheck as error:
            return Objects(self._off_chain.store, None, right=self._right), error.message
        return Objects(self._off_chain.store, key, right=self._right), ""

    def _objects_of(self, body: Mapping[str, Any]) -> Objects:
        return self.objects(body["dataset"]["id"])[0]

    def _dataset(self, findings: Findings, record_id: str, body: Mapping[str, Any]) -> None:
        objects, without_key = self.objects(record_id)
        files = [
            _check_file(findings, objects, f"file {number} of {len(body['files'])}", file)
            for number, file in enumerate(body["files"], 1)
        ]
        policy = objects.check(findings, "policy", body["policy"])
        if objects.erased:
            return
        if objects.key is None:
            findings.add(UNCHECKED, without_key)
        elif self._off_chain.fingerprint is None:
            findings.add(UNCHECKED, "the table's root was not made again: nothing here reads tables")
        elif len(files) > 1:
            findings.add(UNCHECKED, "the table's root was not made again: no format says how files make one")
        elif files[0] is not None and policy is not None:
            with findings.judging("table"):
                path = objects.store.location(files[0])
                found = self._off_chain.fingerprint(path, policy, objects.key)
                _compare_table(findings, body, found, objects.key)

    def _intent(self, findings: Findings, record_id: str, *, retired: bool) -> list[str]:
        run = self._recorded.spent_by(record_id)
        if not run and not retired:
            findings.add(ABANDONED, "declared, and no run was recorded under it; retire it with a reason")
        return [f"spent by {run}"] if run else []

    def _run(self, findings: Findings, body: Mapping[str, Any]) -> None:
        intent = self._recorded.target(body, "intent")
        dataset = self._recorded.target(intent, "dataset")
        training.judge_run(findings, self._objects_of(intent), body, intent, dataset, self._off_chain.runs)

    def _model(self, findings: Findings, body: Mapping[str, Any]) -> None:
        run = self._recorded.target(body, "run")
        intent = self._recorded.target(run, "intent")
        training.judge_model(findings, self._objects_of(intent), body, run, self._off_chain.runs)


def _name(row: Row) -> str:
    """What a record's id has between its kind and its version."""
    return str(row[0].split("/")[1])


def _of_rows(kind: str, body: Mapping[str, Any]) -> list[tuple[str, Mapping[str, str]]]:
    """What a record names that was made of rows: what it is, and its digests."""
    if kind == "dataset":
        return [(f"file {number}", file["digest"]) for number, file in enumerate(body["files"], 1)]
    names = {"validation": ("result",), "run": ("sealed", "artifacts"), "model": ("artifacts",)}
    found = [(name, body[name]) for name in names.get(kind, ())]
    return [(name, value.get("digest", value)) for name, value in found]


def _check_file(findings: Findings, objects: Objects, what: str, file: Mapping[str, Any]) -> str | None:
    sha256 = objects.check(findings, what, file["digest"])
    if sha256 is not None:
        with objects.judging(findings, what):
            size = objects.store.size(sha256)
            if size != file["bytes"]:
                findings.add(CHANGED, f"{what}: recorded as {file['bytes']:,} bytes, and has {size:,}")
    return sha256


def _judge_validation(findings: Findings, objects: Objects, body: Mapping[str, Any]) -> None:
    objects.check(findings, "suite", body["suite"])
    result = objects.document(findings, "result", body["result"])
    if result is None:
        return
    try:
        failed = [each["expectation"][:300] for each in result["results"] if not each["success"]]
        said = (result["passed"], len(result["results"]), bool(failed), failed[: len(body["failed"])])
    except (KeyError, TypeError):
        said = None
    # A record has room for the first names only; how many there are is in the result.
    if said != (body["passed"], body["evaluated"], bool(body["failed"]), body["failed"]):
        findings.add(CHANGED, "result: does not say what the record says of it")


def _compare_table(findings: Findings, body: Mapping[str, Any], found: Fingerprint, key: TableKey) -> None:
    table = body["table"]
    if found.rows != table["rows"]:
        findings.add(CHANGED, f"table: recorded {table['rows']:,} rows, now {found.rows:,}")
    if found.root != table["root"]:
        findings.add(CHANGED, "table: its rows do not make the root that was recorded")
    schema = sealing.seal(key if sealing.KEYED in body["schema"] else None, found.schema_digest)
    if schema != body["schema"]:
        findings.add(CHANGED, "table: other columns or types than were recorded")
