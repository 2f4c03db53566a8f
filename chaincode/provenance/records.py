"""What the provenance contract writes: one shape a kind. docs/formats/records.md is the normative page.

A request is the record's body plus ``request_id``, which makes it idempotent. Nothing here derives
from rows in the clear: digests of such things are `hmac-sha256` under the table's key where the
dataset's policy names a privacy regime.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from chaincode import shapes
from chaincode.shapes import (
    boolean,
    digests,
    identifier,
    integer,
    items,
    name,
    nullable,
    optional,
    prose,
)
from chaincode.streams import key_of

MAX_VERSION: Final = 999_999_999_999

# The ids of records, one spelling each: a version without leading zeros, a run as MLflow names it.
_VERSIONED: Final = rf"{shapes.NAME}/[1-9][0-9]{{0,11}}"
_DATASET_ID: Final = f"dataset/{_VERSIONED}"
_RUN_ID_HEX: Final = r"[0-9a-f]{32}"
_NOTE_KINDS: Final = "screening|validation|intent|use|retirement|outcome|pipeline|attestation"
RECORD_ID: Final = rf"(dataset|model)/{_VERSIONED}|run/{_RUN_ID_HEX}|({_NOTE_KINDS})/{shapes.IDENTIFIER}"

_TO_DATASET: Final = shapes.reference(_DATASET_ID)

_RUN_ID: Final = shapes.text(r"[A-Za-z0-9][A-Za-z0-9_.:+~-]{0,249}")
_TASK_ID: Final = shapes.text(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,249}")
_STATE: Final = shapes.one_of(
    "success",
    "failed",
    "skipped",
    "upstream_failed",
    "removed",
    "killed",
    "manual_success",
    "manual_failed",
    "none",
)

#: The Airflow task instance inside whose execution a record was made.
TASK: Final = shapes.fields(
    {
        "dag": _TASK_ID,
        "run": _RUN_ID,
        "task": _TASK_ID,
        "map_index": integer(-1, 100_000),
        "try": integer(0, 10_000),
    }
)
ROWS: Final = shapes.fields({"root": shapes.sha256, "rows": integer(0)})

_DATASET: Final = {
    "name": name,
    "version": integer(1, MAX_VERSION),
    "files": items(
        shapes.fields({"digest": digests, "bytes": integer(), "referenced": boolean}), low=1, high=100
    ),
    "table": shapes.fields(
        {
            "scheme": identifier,
            "root": shapes.sha256,
            "rows": integer(),
            "nonce": shapes.sha256,
            "key": shapes.text(r"[0-9a-f]{16}"),
        }
    ),
    "schema": digests,
    "source": prose(500),
    "licence": prose(200),
    "policy": digests,
    "parents": items(_TO_DATASET, high=20),
    "transformation": nullable(shapes.fields({"name": identifier, "digest": digests})),
}
_SCREENING: Final = {
    "dataset": _TO_DATASET,
    "policy": digests,
    "classes": integer(1, 1000),
    "findings": items(
        shapes.fields(
            {
                "column": prose(200),
                "class": name,
                "by": shapes.one_of("class", "name", "content"),
                "rows": integer(),
            }
        ),
        high=500,
    ),
    "passed": boolean,
}
_VALIDATION: Final = {
    "dataset": _TO_DATASET,
    "policy": digests,
    "suite": digests,
    "result": digests,
    "evaluated": integer(0, 100_000),
    "failed": items(prose(300), high=200),
    "passed": boolean,
}
_INTENT: Final = {
    "dataset": _TO_DATASET,
    "screening": shapes.reference(rf"screening/{shapes.IDENTIFIER}"),
    "validation": shapes.reference(rf"validation/{shapes.IDENTIFIER}"),
    "training": ROWS,
    "evaluation": ROWS,
    "policy": digests,
    "code": shapes.fields(
        {"commit": shapes.text(r"[0-9a-f]{40,64}|none"), "changes": nullable(shapes.sha256)}
    ),
    "environment": digests,
    "algorithm": identifier,
    "seed": integer(),
}
_RUN: Final = {
    "run_id": shapes.text(_RUN_ID_HEX),
    "intent": shapes.reference(rf"intent/{shapes.IDENTIFIER}"),
    "sealed": digests,
    "artifacts": shapes.fields({"digest": digests, "files": integer(0, 100_000)}),
}
_MODEL: Final = {
    "name": name,
    "version": integer(1, MAX_VERSION),
    "run": shapes.reference(f"run/{_RUN_ID_HEX}"),
    "artifacts": digests,
}
_USE: Final = {"dataset": _TO_DATASET, "purpose": prose(300)}
_RETIREMENT: Final = {
    "subject": shapes.reference(RECORD_ID),
    "state": shapes.one_of("retired", "erased"),
    "reason": prose(500),
}
_OUTCOME: Final = {
    "state": _STATE,
    "observed_by": shapes.one_of("task", "listener"),
    "error": nullable(shapes.text(r"[A-Za-z_][A-Za-z0-9_]{0,99}")),
}
_PIPELINE: Final = {
    "dag": _TASK_ID,
    "run": _RUN_ID,
    "outcome": shapes.one_of("success", "failed"),
    "tasks": items(
        shapes.fields(
            {"task": _TASK_ID, "map_index": integer(-1, 100_000), "try": integer(0, 10_000), "state": _STATE}
        ),
        low=1,
        high=400,
    ),
}
_ATTESTATION: Final = {"stream": shapes.text(r"[a-z]+:[A-Za-z0-9][A-Za-z0-9_.:+~-]{0,249}")}


def has_stream(record_id: str) -> bool:
    """Whether what the record speaks of has a stream of its own; else the dataset's it is about counts."""
    return record_id.split("/")[0] in ("dataset", "model", "run")


def stream_of(record_id: str) -> str:
    """The stream of the dataset, model or run that the id names."""
    kind, name, *_ = record_id.split("/")
    return f"{kind}:{name}"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record: the shape of its request, what it is about, what its id is made of.

    ``about`` gives the streams that a request names but for its task's, and ``refers`` the fields that
    refer to records. ``key`` names the fields whose values make the id, so that `dataset/rand-hie/1` is
    made of ``("name", "version")``.
    """

    name: str
    shape: shapes.Shape
    about: Callable[[Any], list[str]]
    refers: tuple[str, ...]
    key: tuple[str, ...]

    def record_id(self, request: Any) -> str:
        """The record's id, as people and references write it."""
        return "/".join([self.name, *(str(request[part]) for part in self.key)])

    def streams(self, request: Any) -> list[str]:
        """The record's streams, as far as the request tells them."""
        streams = self.about(request)
        if "task" in request:
            streams.append("pipeline:" + request["task"]["dag"])
        return streams

    def reads(self, request: Any, streams: list[str]) -> list[str]:
        """The keys in state that deciding on a new request of ``streams`` reads, as far as it tells them."""
        keys = [key_of(stream) for stream in streams]
        for field in self.refers:
            for reference in request[field] if type(request[field]) is list else (request[field],):
                keys += (state_key(reference["id"]), retirement_key(reference["id"]))
        if self.key == _VERSIONS:
            keys.append(latest_key(self.name, request["name"]))
        return keys


def _kind(
    kind: str,
    body: dict[str, shapes.Shape],
    about: Callable[[Any], list[str]],
    refers: tuple[str, ...] = (),
    key: tuple[str, ...] = ("request_id",),
) -> Kind:
    task = TASK if kind == "outcome" else optional(TASK)
    return Kind(kind, shapes.fields({"request_id": identifier, **body, "task": task}), about, refers, key)


def _about_dataset(request: Any) -> list[str]:
    return [stream_of(request["dataset"]["id"])]


def _about_subject(request: Any) -> list[str]:
    subject = request["subject"]["id"]
    return [stream_of(subject)] if has_stream(subject) else []


_VERSIONS: Final = ("name", "version")

DATASET: Final = _kind("dataset", _DATASET, lambda it: [f"dataset:{it['name']}"], ("parents",), _VERSIONS)
SCREENING: Final = _kind("screening", _SCREENING, _about_dataset, ("dataset",))
VALIDATION: Final = _kind("validation", _VALIDATION, _about_dataset, ("dataset",))
INTENT: Final = _kind("intent", _INTENT, _about_dataset, ("dataset", "screening", "validation"))
RUN: Final = _kind("run", _RUN, lambda it: [f"run:{it['run_id']}"], ("intent",), ("run_id",))
MODEL: Final = _kind("model", _MODEL, lambda it: [f"model:{it['name']}"], ("run",), _VERSIONS)
USE: Final = _kind("use", _USE, _about_dataset, ("dataset",))
RETIREMENT: Final = _kind("retirement", _RETIREMENT, _about_subject, ("subject",))
OUTCOME: Final = _kind("outcome", _OUTCOME, lambda it: [])
PIPELINE: Final = _kind("pipeline", _PIPELINE, lambda it: [f"pipeline:{it['dag']}"])
ATTESTATION: Final = _kind("attestation", _ATTESTATION, lambda it: [it["stream"]])


def state_key(record_id: str) -> str:
    """Where the facts of a record stand in state; versions are zero-padded, so that scans are in order."""
    kind, *parts = record_id.split("/")
    if kind in (DATASET.name, MODEL.name):
        parts[-1] = parts[-1].zfill(12)
    return "/".join(["provenance", kind, *parts])


def latest_key(kind: str, subject: str) -> str:
    """Where the latest version of a dataset or a model stands."""
    return f"provenance/latest/{kind}/{subject}"


def request_key(request_id: str) -> str:
    """Where the first record of a request stands."""
    return f"provenance/request/{request_id}"


def retirement_key(record_id: str) -> str:
    """Where it stands that a record's subject was retired or erased."""
    return f"provenance/retirement/{record_id}"
