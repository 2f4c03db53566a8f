"""The door to provenance. Field by field this is docs/formats/records.md; the contract decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaincode import canonical
from tallystick.identity import Identity
from tallystick.ledger.port import Call, Ledger, Receipt

#: {"sha256": hex} or, for what derives from rows under a privacy regime, {"hmac-sha256": hex}.
Digests = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reference:
    """A record by id and digest."""

    id: str
    digest: str

    def value(self) -> dict[str, Any]:
        """As it stands in requests and records."""
        return {"id": self.id, "digest": {"sha256": self.digest}}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record that stands on the ledger. ``repeated`` where the same request had made it before."""

    reference: Reference
    repeated: bool
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Task:
    """The Airflow task instance inside whose execution a record is made."""

    dag: str
    run: str
    task: str
    map_index: int
    try_number: int

    def value(self) -> dict[str, Any]:
        """As it stands in requests and records."""
        return {
            "dag": self.dag,
            "run": self.run,
            "task": self.task,
            "map_index": self.map_index,
            "try": self.try_number,
        }


@dataclass(frozen=True, slots=True)
class Request:
    """What makes a request idempotent, and the task it is made in, if any."""

    id: str
    task: Task | None = None


@dataclass(frozen=True, slots=True)
class Requests:
    """The request ids of one task instance: the same task, try and label is the same request."""

    task: Task

    def of(self, label: str) -> Request:
        """The request that ``label`` names among those of this task: its id is a digest of both."""
        parts = [*self.task.value().values(), label]
        return Request(canonical.digest(canonical.encode(parts)), self.task)


class Provenance:
    """Provenance transactions of one identity on one ledger. Every method raises `Refused` with the
    contract's code, and `CouldNotCheck` when the ledger cannot be written."""

    def __init__(self, ledger: Ledger, identity: Identity) -> None:
        self._ledger = ledger
        self._identity = identity

    def latest_version(self, kind: str, name: str) -> int:
        """The latest version of a ``dataset`` or ``model``; 0 where there is none."""
        version: int = self._evaluate("latest", {"kind": kind, "name": name})
        return version

    def read(self, record_id: str) -> Any:
        """``{"facts": …, "retirement": …}`` of a record, each None where there is nothing."""
        return self._evaluate("read", {"id": record_id})

    def register_dataset(
        self,
        request: Request,
        *,
        name: str,
        version: int,
        files: Sequence[tuple[Digests, int, bool]],
        table: Mapping[str, Any],
        schema: Digests,
        source: str,
        licence: str,
        policy: Digests,
        parents: Sequence[Reference] = (),
        transformation: Mapping[str, Any] | None = None,
    ) -> Recorded:
        """Register a version of a dataset. ``files`` are (digests, bytes, referenced by path);
        ``table`` is {scheme, root, rows, nonce, key}."""
        return self._submit(
            "register_dataset",
            request,
            name=name,
            version=version,
            files=[
                {"digest": dict(digest), "bytes": size, "referenced": referenced}
                for digest, size, referenced in files
            ],
            table=dict(table),
            schema=dict(schema),
            source=source,
            licence=licence,
            policy=dict(policy),
            parents=[parent.value() for parent in parents],
            transformation=dict(transformation) if transformation else None,
        )

    def record_screening(
        self,
        request: Request,
        *,
        dataset: Reference,
        policy: Digests,
        classes: int,
        findings: Sequence[Mapping[str, Any]],
    ) -> Recorded:
        """Record a screening for identifiers; findings are {column, class, by, rows}, without values."""
        return self._submit(
            "record_screening",
            request,
            dataset=dataset.value(),
            policy=dict(policy),
            classes=classes,
            findings=[dict(finding) for finding in findings],
            passed=not findings,
        )

    def record_validation(
        self,
        request: Request,
        *,
        dataset: Reference,
        policy: Digests,
        suite: Digests,
        result: Digests,
        evaluated: int,
        failed: Sequence[str],
    ) -> Recorded:
        """Record a validation; ``failed`` names the expectations that failed."""
        return self._submit(
            "record_validation",
            request,
            dataset=dataset.value(),
            policy=dict(policy),
            suite=dict(suite),
            result=dict(result),
            evaluated=evaluated,
            failed=list(failed),
            passed=not failed,
        )

    def declare_run(
        self,
        request: Request,
        *,
        dataset: Reference,
        screening: Reference,
        validation: Reference,
        training: tuple[str, int],
        evaluation: tuple[str, int],
        policy: Digests,
        commit: str,
        changes: str | None,
        environment: Digests,
        algorithm: str,
        seed: int,
    ) -> Recorded:
        """Declare, before training starts, what will be trained on what. ``training`` and
        ``evaluation`` are (root, rows); ``changes`` is the digest of a dirty work tree's diff."""
        return self._submit(
            "declare_run",
            request,
            dataset=dataset.value(),
            screening=screening.value(),
            validation=validation.value(),
            training={"root": training[0], "rows": training[1]},
            evaluation={"root": evaluation[0], "rows": evaluation[1]},
            policy=dict(policy),
            code={"commit": commit, "changes": changes},
            environment=dict(environment),
            algorithm=algorithm,
            seed=seed,
        )

    def record_run(
        self,
        request: Request,
        *,
        run_id: str,
        intent: Reference,
        sealed: Digests,
        artifacts: Digests,
        files: int,
    ) -> Recorded:
        """Record a training run: MLflow's id, the sealed run record and the manifest of artifacts."""
        return self._submit(
            "record_run",
            request,
            run_id=run_id,
            intent=intent.value(),
            sealed=dict(sealed),
            artifacts={"digest": dict(artifacts), "files": files},
        )

    def register_model(
        self, request: Request, *, name: str, version: int, run: Reference, artifacts: Digests
    ) -> Recorded:
        """Register a version of a model that a recorded run made."""
        return self._submit(
            "register_model", request, name=name, version=version, run=run.value(), artifacts=dict(artifacts)
        )

    def record_use(self, request: Request, *, dataset: Reference, purpose: str) -> Recorded:
        """Record that a dataset was used, and what for."""
        return self._submit("record_use", request, dataset=dataset.value(), purpose=purpose)

    def retire(self, request: Request, *, subject: Reference, state: str, reason: str) -> Recorded:
        """Retire a record's subject, or mark it erased (``state`` retired or erased)."""
        return self._submit("retire", request, subject=subject.value(), state=state, reason=reason)

    def record_outcome(
        self, request: Request, *, state: str, observed_by: str, error: str | None = None
    ) -> Recorded:
        """Record how a task ended, by itself or as a listener saw it; ``error`` is an exception's class."""
        return self._submit("record_outcome", request, state=state, observed_by=observed_by, error=error)

    def record_pipeline(
        self, request: Request, *, dag: str, run: str, outcome: str, tasks: Sequence[Mapping[str, Any]]
    ) -> Recorded:
        """Record a pipeline's end: every task instance as {task, map_index, try, state}."""
        return self._submit(
            "record_pipeline",
            request,
            dag=dag,
            run=run,
            outcome=outcome,
            tasks=[dict(task) for task in tasks],
        )

    def attest(self, request: Request, *, stream: str) -> Recorded:
        """State on the ledger how many records a stream has and when the last one came."""
        return self._submit("attest", request, stream=stream)

    def _submit(self, transaction: str, request: Request, **body: Any) -> Recorded:
        content = {"request_id": request.id, **body}
        if request.task is not None:
            content["task"] = request.task.value()
        receipt = self._ledger.submit(self._identity, Call("provenance", transaction, content))
        result = receipt.response
        return Recorded(Reference(result["id"], result["digest"]["sha256"]), result["repeated"], receipt)

    def _evaluate(self, transaction: str, request: Any) -> Any:
        return self._ledger.evaluate(self._identity, Call("provenance", transaction, request))
