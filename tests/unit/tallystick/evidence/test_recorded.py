"""Whatever a ledger holds is judged and never stops a verification: odd forms, references to nowhere."""

from __future__ import annotations

from contextlib import closing

import pytest
from support import ledgers

from chaincode import canonical
from chaincode.provenance import records
from tallystick.evidence.derived import Derived
from tallystick.evidence.subjects import OffChain, examine
from tallystick.fingerprint.keys import Keyring
from tallystick.store import Store

RUN_ID = "1" * 32
FAILED = [f"expect_column_values_to_not_be_null(c{number})" for number in range(5)]


class Shelf:
    """Records as a walk leaves them, and a store for what they name."""

    def __init__(self, derived, directory):
        self.derived = derived
        self.store = Store(directory / "objects")
        self.keyring = Keyring(directory / "keys")
        self.leaf = 0

    def put(self, kind, record_id, body, facts=None):
        data = canonical.encode({"v": 1, "kind": kind, "id": record_id, "body": body, "streams": {}})
        self.leaf += 1
        self.derived.add_record(record_id, kind, 1, self.leaf, data)
        self.derived.write_state({records.state_key(record_id): canonical.encode(facts or {})}, (1, 0))
        return {"id": record_id, "digest": {"sha256": canonical.digest(data)}}

    def chain(self, **validation):
        """A dataset, its checks, an intent and a run; arguments change the validation's body."""
        data = self.put("dataset", "dataset/claims/1", ledgers.dataset())
        screened = self.put("screening", "screening/screening-1", ledgers.screening(data))
        checked = ledgers.validation(data, **validation)
        validated = self.put("validation", "validation/validation-1", checked)
        declared = ledgers.intent(data, screened, validated)
        facts = {"run": f"run/{RUN_ID}"}
        declared = self.put("intent", "intent/intent-1", declared, facts)
        self.put("run", f"run/{RUN_ID}", ledgers.run(declared))
        return declared

    def look(self, only=None):
        off_chain = OffChain(self.store, self.keyring)
        found = examine(self.derived, off_chain, "test/0", only, lambda what, done, total: None)
        return {subject.kind: subject for subject in found}


class dict:
    """A record's id and digest, as the requests of `support.ledgers` take it."""


@pytest.fixture
def shelf(tmp_path):
    with closing(Derived()) as derived:
        yield Shelf(derived, tmp_path)


def test_a_record_in_its_form_is_looked_at(shelf):
    shelf.chain()
    found = shelf.look()
    assert list(found) == ["dataset", "screening", "validation", "intent", "run"]
    assert not any(subject.detail.startswith("record:") for subject in found.values())
    assert found["intent"].status == "verified"


def no_reference(reference):
    return "intent/intent-1"


def nowhere(reference):
    return {**reference, "id": "intent/none"}


def another_kind(reference):
    return {**reference, "id": "dataset/claims/1"}


def another_spelling(reference):
    return {**reference, "id": "request/intent-1"}


def other_bytes(reference):
    return {**reference, "digest": {"sha256": "b" * 64}}


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (no_reference, "record: its intent is no reference"),
        (nowhere, "record: its intent leads to no intent record of this ledger"),
        (another_kind, "record: its intent leads to no intent record of this ledger"),
        (another_spelling, "record: its intent leads to no intent record of this ledger"),
        (other_bytes, "record: its intent leads to a record with another digest"),
    ],
)
def test_a_reference_that_leads_elsewhere_is_not_as_recorded(shelf, change, detail):
    declared = shelf.chain()
    run_id = "2" * 32
    body = ledgers.run(declared, run_id, intent=change(declared))
    recorded = shelf.put("run", f"run/{run_id}", body)
    assert shelf.look(f"run/{run_id}")["run"].status == "CHANGED"
    assert shelf.look(f"run/{run_id}")["run"].detail == detail
    shelf.put("model", "model/risk/1", ledgers.model(recorded))
    assert shelf.look()["model"].detail == detail


@pytest.mark.parametrize("body", [[], None, "x", {}, {"request_id": 1}])
@pytest.mark.parametrize("kind", ["dataset", "screening", "validation", "intent", "run", "model"])
def test_a_body_of_any_form_stops_nothing(shelf, kind, body):
    shelf.put(kind, f"{kind}/odd/1", body)
    (subject,) = shelf.look().values()
    assert subject.status == ("cannot check" if kind == "dataset" else "CHANGED")
    assert subject.detail.startswith("record: ")


def test_a_form_of_another_version_cannot_be_checked(shelf):
    shelf.put("dataset", "dataset/claims/1", {**ledgers.dataset(), "colour": "green"})
    (subject,) = shelf.look().values()
    assert subject.status == "cannot check"
    assert subject.detail == "record: not of a form that this version knows: dataset"


def test_an_id_that_its_body_does_not_make_is_not_as_recorded(shelf):
    shelf.put("dataset", "dataset/claims/2", ledgers.dataset())
    assert shelf.look()["dataset"].status == "CHANGED"


def test_state_of_another_form_stops_nothing(shelf):
    shelf.chain()
    shelf.derived.write_state({records.state_key("intent/intent-1"): b"[]"}, (2, 0))
    assert shelf.look()["intent"].detail == "record: what stands of it in state is not of its form"
    shelf.derived.write_state({records.state_key("intent/intent-1"): None}, (2, 0))
    assert shelf.look()["intent"].status == "CHANGED"


def erase(shelf, key):
    shelf.chain()
    table = {**ledgers.dataset()["table"], "key": key}
    body = {**ledgers.dataset("secret"), "table": table}
    shelf.put("dataset", "dataset/secret/1", body)
    fact = canonical.encode({"state": "erased"})
    shelf.derived.write_state({records.retirement_key("dataset/secret/1"): fact}, (2, 0))
    return shelf.look("dataset/secret/1")["dataset"]


def test_an_erased_dataset_is_erased_when_its_key_is_gone(shelf):
    assert erase(shelf, "0" * 16).status == "ERASED"


def test_an_erased_dataset_whose_key_is_still_here_is_not(shelf):
    subject = erase(shelf, shelf.keyring.create("secret").key_id)
    assert subject.status == "CHANGED"
    assert subject.detail.startswith(
        "recorded as erased, but its key is still here: run `tally retire dataset/secret/1 --erase` again; "
    )
    assert "file 1 of 1" in subject.detail


@pytest.mark.parametrize(
    ("recorded", "passed", "agrees"),
    [
        (FAILED, False, True),
        (FAILED[:2], False, True),
        (FAILED[1:3], False, False),
        ([], False, False),
        ([*FAILED, "expect_more"], False, False),
        (FAILED, True, False),
    ],
)
def test_a_record_names_the_first_of_the_expectations_that_failed(shelf, recorded, passed, agrees):
    results = [{"expectation": name, "success": False} for name in FAILED]
    results.append({"expectation": "expect_rows", "success": True})
    result = shelf.store.add_bytes(canonical.encode({"v": 1, "passed": False, "results": results}))
    told = {"result": {"sha256": result}, "failed": recorded, "passed": passed, "evaluated": 6}
    shelf.chain(**told)
    detail = "result: does not say what the record says of it"
    assert (detail in shelf.look()["validation"].detail) is not agrees


def sealed_run(intent_reference, **changes):
    rows = {"training": {"root": ledgers.H, "rows": 4}, "evaluation": {"root": ledgers.H, "rows": 1}}
    return {
        "v": 1,
        "dataset": None,
        "intent": intent_reference,
        "policy": ledgers.H,
        "environment": ledgers.H,
        "code": {"commit": "none", "changes": None},
        "algorithm": "lightgbm",
        "seed": 7,
        "folds": [{**rows, "metrics": {}}],
        "params": {},
        "tracked": {},
        "metrics": {},
        "artifacts": {},
        "predictions": {"sha256": ledgers.H},
        **changes,
    }


FOLD = {"training": {"root": "b" * 64, "rows": 4}, "evaluation": {"root": ledgers.H, "rows": 1}}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, ""),
        ({"policy": "b" * 64}, "policy"),
        ({"environment": "b" * 64}, "environment"),
        ({"algorithm": "skops"}, "algorithm"),
        ({"seed": 8}, "seed"),
        ({"code": {"commit": "a" * 40, "changes": None}}, "code"),
        ({"folds": [FOLD]}, "training"),
        (
            {"folds": [{**FOLD, **{"training": {"root": ledgers.H, "rows": 4}, "evaluation": 1}}]},
            "evaluation",
        ),
        ({"folds": [FOLD, FOLD]}, ""),
    ],
)
def test_the_sealed_run_is_held_against_its_intent(shelf, changes, named):
    declared = shelf.chain()
    dataset = canonical.decode(shelf.derived.record("intent/intent-1")[4])["body"]["dataset"]
    value = sealed_run(declared, **{"dataset": dataset, **changes})
    sealed = {"sha256": shelf.store.add_bytes(canonical.encode(value))}
    run_id = "2" * 32
    shelf.put("run", f"run/{run_id}", ledgers.run(declared, run_id, sealed=sealed))
    detail = shelf.look(f"run/{run_id}")["run"].detail
    told = [part for part in detail.split("; ") if part.startswith("run record: ")]
    assert told == ([f"run record: {named} not as the intent declared"] if named else [])


@pytest.mark.parametrize(
    "field", ["folds", "params", "tracked", "metrics", "artifacts", "predictions", "policy"]
)
@pytest.mark.parametrize("value", [None, 5, [], [5]])
def test_a_sealed_run_of_any_form_stops_nothing(shelf, field, value):
    declared = shelf.chain()
    value = sealed_run(declared, **{field: value})
    sealed = {"sha256": shelf.store.add_bytes(canonical.encode(value))}
    shelf.put("run", f"run/{'2' * 32}", ledgers.run(declared, "2" * 32, sealed=sealed))
    assert shelf.look(f"run/{'2' * 32}")["run"].status == "CHANGED"
