"""When a provenance record may be written: pure, (state, request) -> None or the refusal.

No rule of this contract depends on the time; streams keep its order (chaincode/streams.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from chaincode.errors import Refusal

RETIRABLE = frozenset({"dataset", "screening", "validation", "intent", "run", "model"})


class Subject(NamedTuple):
    """What state says of a record that a request refers to; None where there is nothing."""

    facts: Any
    retirement: Any


def usable(subject: Subject, reference: Mapping[str, Any], field: str) -> Refusal | None:
    """A reference, at the path ``field``, must be to a record that stands here and is not retired."""
    refusal = known(subject, reference, field)
    if refusal is None and subject.retirement is not None:
        return Refusal("RETIRED", field=field)
    return refusal


def known(subject: Subject, reference: Mapping[str, Any], field: str) -> Refusal | None:
    """A reference must be to a record that stands here, by its digest."""
    if subject.facts is None:
        return Refusal("UNKNOWN_REFERENCE", field=field)
    if reference["digest"].get("sha256") != subject.facts["digest"]:
        return Refusal("DIGEST_MISMATCH", field=field)
    return None


def is_next(latest: int, version: int) -> Refusal | None:
    """Versions are contiguous from 1: a gap would be a version that somebody dropped."""
    if version != latest + 1:
        return Refusal("VERSION_NOT_NEXT", expected=latest + 1)
    return None


def states_agree(request: Mapping[str, Any], failures: str) -> Refusal | None:
    """``passed`` must say what the list of failures says."""
    if request["passed"] != (len(request[failures]) == 0):
        return Refusal("CONTRADICTION", field="request.passed")
    return None


def may_record_validation(request: Mapping[str, Any]) -> Refusal | None:
    """A validation that evaluated nothing has not passed, and no more can fail than was evaluated."""
    if request["evaluated"] == 0 or len(request["failed"]) > request["evaluated"]:
        return Refusal("CONTRADICTION", field="request.evaluated")
    return states_agree(request, "failed")


def may_declare_run(checks: Mapping[str, Subject], request: Mapping[str, Any]) -> Refusal | None:
    """Training starts only on a dataset whose screening and validation passed, with rows to train on."""
    for name, check in checks.items():
        if check.facts["dataset"] != request["dataset"]["id"]:
            return Refusal("OTHER_DATASET", field=f"request.{name}")
        if not check.facts["passed"]:
            return Refusal("NOT_PASSED", field=f"request.{name}")
    for name in ("training", "evaluation"):
        if request[name]["rows"] == 0:
            return Refusal("NO_ROWS", field=f"request.{name}")
    return None


def may_record_run(intent: Subject, existing: Any) -> Refusal | None:
    """An intent is spent by the first run recorded under it."""
    if existing is not None:
        return Refusal("EXISTS", field="request.run_id")
    if intent.facts["run"] is not None:
        return Refusal("INTENT_SPENT", field="request.intent")
    return None


def may_retire(subject: Subject, request: Mapping[str, Any]) -> Refusal | None:
    """What was made can be retired, notes about it cannot; retired may become erased, never less."""
    if request["subject"]["id"].split("/")[0] not in RETIRABLE:
        return Refusal("NOT_RETIRABLE", field="request.subject")
    if subject.retirement is not None and not (
        subject.retirement["state"] == "retired" and request["state"] == "erased"
    ):
        return Refusal("RETIRED", field="request.subject")
    return None


def pipeline_agrees(request: Mapping[str, Any]) -> Refusal | None:
    """A pipeline succeeded exactly where no task failed."""
    failed = {"failed", "upstream_failed", "killed", "manual_failed"}
    if (request["outcome"] == "failed") != any(task["state"] in failed for task in request["tasks"]):
        return Refusal("CONTRADICTION", field="request.outcome")
    return None
