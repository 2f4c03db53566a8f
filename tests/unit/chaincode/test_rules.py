"""Every rule of the charter and of provenance: what it allows and the nearest thing it refuses."""

from __future__ import annotations

import pytest

from chaincode.charter import rules as charter_rules
from chaincode.context import Caller
from chaincode.provenance import rules
from chaincode.provenance.rules import Subject

H, OTHER = "a" * 64, "b" * 64
REFERENCE = {"id": "dataset/x/1", "digest": {"sha256": H}}
STANDS = Subject({"digest": H}, None)


def code(refusal):
    return refusal.code if refusal else None


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (STANDS, None),
        (Subject(None, None), "UNKNOWN_REFERENCE"),
        (Subject({"digest": OTHER}, None), "DIGEST_MISMATCH"),
        (Subject({"digest": H}, {"state": "retired"}), "RETIRED"),
    ],
)
def test_a_reference_must_stand_with_its_digest_and_not_be_retired(subject, expected):
    assert code(rules.usable(subject, REFERENCE, "dataset")) == expected


def test_a_reference_by_another_algorithm_alone_is_no_reference():
    reference = {"id": "dataset/x/1", "digest": {"hmac-sha256": H}}
    assert code(rules.known(STANDS, reference, "dataset")) == "DIGEST_MISMATCH"


@pytest.mark.parametrize(
    ("version", "expected"), [(3, None), (2, "VERSION_NOT_NEXT"), (4, "VERSION_NOT_NEXT")]
)
def test_versions_are_contiguous(version, expected):
    assert code(rules.is_next(2, version)) == expected


@pytest.mark.parametrize(
    ("passed", "evaluated", "failed", "expected"),
    [
        (True, 1, [], None),
        (False, 1, ["a"], None),
        (True, 0, [], "CONTRADICTION"),
        (True, 1, ["a"], "CONTRADICTION"),
        (False, 1, [], "CONTRADICTION"),
        (False, 1, ["a", "b"], "CONTRADICTION"),
    ],
)
def test_a_validation_says_what_its_failures_say(passed, evaluated, failed, expected):
    request = {"passed": passed, "evaluated": evaluated, "failed": failed}
    assert code(rules.may_record_validation(request)) == expected


def _intent(training=1, evaluation=1):
    return {
        "dataset": {"id": "dataset/x/1"},
        "training": {"rows": training},
        "evaluation": {"rows": evaluation},
    }


@pytest.mark.parametrize(
    ("facts", "request_", "expected"),
    [
        ({"dataset": "dataset/x/1", "passed": True}, _intent(), None),
        ({"dataset": "dataset/x/2", "passed": True}, _intent(), "OTHER_DATASET"),
        ({"dataset": "dataset/x/1", "passed": False}, _intent(), "NOT_PASSED"),
        ({"dataset": "dataset/x/1", "passed": True}, _intent(training=0), "NO_ROWS"),
        ({"dataset": "dataset/x/1", "passed": True}, _intent(evaluation=0), "NO_ROWS"),
    ],
)
def test_training_needs_checks_of_its_dataset_that_passed(facts, request_, expected):
    assert code(rules.may_declare_run({"validation": Subject(facts, None)}, request_)) == expected


def test_an_intent_is_spent_once():
    assert code(rules.may_record_run(Subject({"run": None}, None), None)) is None
    assert code(rules.may_record_run(Subject({"run": "run/1"}, None), None)) == "INTENT_SPENT"
    assert code(rules.may_record_run(Subject({"run": None}, None), {"digest": H})) == "EXISTS"


@pytest.mark.parametrize(
    ("subject_id", "before", "after", "expected"),
    [
        ("dataset/x/1", None, "retired", None),
        ("dataset/x/1", None, "erased", None),
        ("dataset/x/1", "retired", "erased", None),
        ("dataset/x/1", "retired", "retired", "RETIRED"),
        ("dataset/x/1", "erased", "retired", "RETIRED"),
        ("dataset/x/1", "erased", "erased", "RETIRED"),
        ("use/1", None, "retired", "NOT_RETIRABLE"),
    ],
)
def test_retirement_goes_one_way(subject_id, before, after, expected):
    subject = Subject({"digest": H}, {"state": before} if before else None)
    assert code(rules.may_retire(subject, {"state": after, "subject": {"id": subject_id}})) == expected


@pytest.mark.parametrize(
    ("outcome", "states", "expected"),
    [
        ("success", ["success", "skipped"], None),
        ("failed", ["success", "upstream_failed"], None),
        ("failed", ["killed"], None),
        ("success", ["success", "failed"], "CONTRADICTION"),
        ("failed", ["success", "skipped"], "CONTRADICTION"),
    ],
)
def test_a_pipeline_says_what_its_tasks_say(outcome, states, expected):
    request = {"outcome": outcome, "tasks": [{"state": state} for state in states]}
    assert code(rules.pipeline_agrees(request)) == expected


ADMIN = Caller("OperatorMSP", "admin", frozenset({"admin"}))
CHARTER = {
    "parties": {"operator": "OperatorMSP", "regulator": "RegulatorMSP"},
    "independent": "regulator",
    "grants": {"pipeline": [{"party": "operator", "role": "pipeline"}]},
}


@pytest.mark.parametrize(
    ("current", "change", "caller", "expected"),
    [
        (None, {}, ADMIN, None),
        (CHARTER, {}, ADMIN, "CHARTER_EXISTS"),
        (None, {}, Caller("OperatorMSP", "p", frozenset({"pipeline"})), "FORBIDDEN"),
        (None, {}, Caller("OtherMSP", "admin", frozenset({"admin"})), "FORBIDDEN"),
        (None, {"independent": "auditor"}, ADMIN, "MALFORMED"),
        (None, {"parties": {"operator": "OperatorMSP", "regulator": "OperatorMSP"}}, ADMIN, "MALFORMED"),
        (None, {"grants": {"pipeline": [{"party": "auditor", "role": "x"}]}}, ADMIN, "MALFORMED"),
    ],
)
def test_a_charter_is_adopted_once_by_an_administrator_of_a_party(current, change, caller, expected):
    assert code(charter_rules.may_adopt(current, {**CHARTER, **change}, caller)) == expected
