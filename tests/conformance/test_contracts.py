"""Every transaction of every contract: what it records, and each way it is refused."""

from __future__ import annotations

import pytest
from support import ledgers
from support.ledgers import H, adopt_charter, reference

from tallystick.clients import charter
from tallystick.errors import Refused
from tallystick.ledger.port import Call

OTHER = "b" * 64


def refusal(call, *arguments, **options) -> Refused:
    with pytest.raises(Refused) as refused:
        call(*arguments, **options)
    return refused.value


def records(host):
    import json

    return [json.loads(record.content) for record in ledgers.logged_records(host.ledger)]


@pytest.fixture
def chain(host):
    """One of everything, by kind."""
    made = {"dataset": host.submit("register_dataset", ledgers.dataset())}
    made["screening"] = host.submit("record_screening", ledgers.screening(made["dataset"]))
    made["validation"] = host.submit("record_validation", ledgers.validation(made["dataset"]))
    made["intent"] = host.submit(
        "declare_run", ledgers.intent(made["dataset"], made["screening"], made["validation"])
    )
    made["run"] = host.submit("record_run", ledgers.run(made["intent"]))
    made["model"] = host.submit("register_model", ledgers.model(made["run"]))
    return made


class TestCharter:
    def test_it_is_the_first_record_and_names_the_log(self, host):
        (first, *_) = records(host)
        assert (first["kind"], first["id"]) == ("charter", "charter/1")
        assert first["body"]["origin"] == host.ledger.origin
        assert first["streams"]["charter:1"]["number"] == 1

    def test_nothing_is_written_before_it(self, bare):
        assert refusal(bare.submit, "register_dataset", ledgers.dataset()).code == "NO_CHARTER"

    def test_it_is_adopted_once(self, host):
        assert refusal(adopt_charter, host).code == "CHARTER_EXISTS"

    def test_only_an_administrator_adopts_it(self, bare):
        assert refusal(adopt_charter, bare, user="pipeline").code == "FORBIDDEN"

    @pytest.mark.parametrize("party", ["operator", "regulator", "auditor"])
    def test_every_party_reads_it(self, host, party):
        assert charter.read(host.ledger, host.user(party, "reader"))["independent"] == "regulator"


class TestChain:
    def test_every_kind_is_recorded_with_its_streams(self, host, chain):
        by_kind = {record["kind"]: record for record in records(host)}
        assert list(by_kind) == ["charter", *chain]
        assert {name: place["number"] for name, place in by_kind["run"]["streams"].items()} == {
            f"run:{'1' * 32}": 1,
            "dataset:claims": 5,
        }
        assert by_kind["model"]["streams"]["model:risk"]["number"] == 1

    def test_a_record_holds_the_request_and_nothing_of_the_host(self, host, chain):
        record = next(record for record in records(host) if record["kind"] == "dataset")
        assert record["body"] == ledgers.dataset()
        assert record.keys() == {"v", "kind", "id", "body", "streams"}

    def test_references_are_by_digest(self, host, chain):
        wrong = {"id": chain["dataset"]["id"], "digest": {"sha256": OTHER}}
        refused = refusal(host.submit, "record_use", ledgers.use(wrong))
        assert (refused.code, refused.facts) == ("DIGEST_MISMATCH", {"field": "request.dataset"})

    def test_what_is_referred_to_must_stand(self, host):
        ghost = {"id": "dataset/ghost/1", "digest": {"sha256": H}}
        assert refusal(host.submit, "record_use", ledgers.use(ghost)).code == "UNKNOWN_REFERENCE"

    @pytest.mark.parametrize(
        ("field", "kind"),
        [
            ("dataset", "run"),
            ("dataset", "request"),
            ("screening", "validation"),
            ("validation", "screening"),
        ],
    )
    def test_a_reference_is_to_a_record_of_its_kind(self, host, chain, field, kind):
        request = ledgers.intent(
            chain["dataset"], chain["screening"], chain["validation"], request_id="other"
        )
        if kind == "request":  # where the contract keeps requests, beside records and of the same form
            request[field] = {"id": "request/dataset-claims-1", "digest": chain["dataset"]["digest"]}
        else:
            request[field] = reference(chain[kind])
        refused = refusal(host.submit, "declare_run", request)
        assert (refused.code, refused.facts["field"]) == ("MALFORMED", f"request.{field}.id")

    @pytest.mark.parametrize(
        "record_id", ["dataset/claims/01", "dataset/claims/0", "dataset/claims", "latest/dataset/claims"]
    )
    def test_an_id_has_one_spelling(self, host, chain, record_id):
        request = ledgers.use({"id": record_id, "digest": chain["dataset"]["digest"]})
        assert refusal(host.submit, "record_use", request).code == "MALFORMED"
        read = Call("provenance", "read", {"id": record_id})
        assert refusal(host.ledger.evaluate, host.pipeline, read).code == "MALFORMED"

    def test_parents_are_checked(self, host, chain):
        child = ledgers.dataset("child", parents=[reference(chain["dataset"])])
        assert host.submit("register_dataset", child)["id"] == "dataset/child/1"
        orphan = ledgers.dataset("orphan", parents=[{"id": "dataset/ghost/1", "digest": {"sha256": H}}])
        assert refusal(host.submit, "register_dataset", orphan).facts["field"] == "request.parents[0]"

    def test_versions_are_contiguous(self, host, chain):
        assert refusal(host.submit, "register_dataset", ledgers.dataset(version=3)).facts == {"expected": 2}
        assert host.submit("register_dataset", ledgers.dataset(version=2))["id"] == "dataset/claims/2"
        latest = Call("provenance", "latest", {"kind": "dataset", "name": "claims"})
        assert host.ledger.evaluate(host.pipeline, latest) == 2
        assert refusal(host.submit, "register_model", ledgers.model(chain["run"], 3)).facts == {"expected": 2}

    def test_every_version_stays_readable(self, host, chain):
        host.submit("register_dataset", ledgers.dataset(version=2))
        first = host.ledger.evaluate(host.pipeline, Call("provenance", "read", {"id": "dataset/claims/1"}))
        assert first == {"facts": {"digest": chain["dataset"]["digest"]["sha256"]}, "retirement": None}

    def test_a_failed_validation_is_recorded_and_bars_training(self, host, chain):
        failed = ledgers.validation(
            chain["dataset"],
            request_id="validation-2",
            failed=["expect_column_values_to_not_be_null(age)"],
            passed=False,
        )
        recorded = host.submit("record_validation", failed)
        request = ledgers.intent(chain["dataset"], chain["screening"], recorded, request_id="intent-2")
        refused = refusal(host.submit, "declare_run", request)
        assert (refused.code, refused.facts) == ("NOT_PASSED", {"field": "request.validation"})

    def test_a_finding_bars_training(self, host, chain):
        finding = {"column": "note", "class": "email", "by": "content", "rows": 2}
        found = host.submit(
            "record_screening",
            ledgers.screening(chain["dataset"], request_id="screening-2", findings=[finding], passed=False),
        )
        request = ledgers.intent(chain["dataset"], found, chain["validation"], request_id="intent-2")
        assert refusal(host.submit, "declare_run", request).facts == {"field": "request.screening"}

    def test_checks_of_another_dataset_do_not_count(self, host, chain):
        other = host.submit("register_dataset", ledgers.dataset("other"))
        request = ledgers.intent(other, chain["screening"], chain["validation"], request_id="intent-2")
        assert refusal(host.submit, "declare_run", request).code == "OTHER_DATASET"

    def test_an_intent_is_spent_by_its_run(self, host, chain):
        again = ledgers.run(chain["intent"], run_id="2" * 32)
        assert refusal(host.submit, "record_run", again).code == "INTENT_SPENT"

    def test_contradictions_are_refused(self, host, chain):
        lie = ledgers.validation(chain["dataset"], request_id="lie", failed=["x"], passed=True)
        assert refusal(host.submit, "record_validation", lie).code == "CONTRADICTION"


class TestRetirement:
    def test_a_retired_dataset_is_used_no_more(self, host, chain):
        host.submit("retire", ledgers.retirement(chain["dataset"]))
        assert refusal(host.submit, "record_use", ledgers.use(chain["dataset"])).code == "RETIRED"
        assert host.submit("retire", ledgers.retirement(chain["dataset"], "erased"))["id"].startswith(
            "retirement/"
        )
        assert (
            refusal(host.submit, "retire", ledgers.retirement(chain["dataset"], request_id="r3")).code
            == "RETIRED"
        )

    @pytest.mark.parametrize("kind", ["dataset", "screening", "validation", "intent", "run", "model"])
    def test_everything_made_can_be_retired(self, host, chain, kind):
        host.submit("retire", ledgers.retirement(chain[kind], "erased"))
        state = host.ledger.evaluate(host.pipeline, Call("provenance", "read", {"id": chain[kind]["id"]}))
        assert state["retirement"] == {"state": "erased"}

    def test_notes_cannot(self, host, chain):
        noted = host.submit("record_use", ledgers.use(chain["dataset"]))
        assert refusal(host.submit, "retire", ledgers.retirement(noted)).code == "NOT_RETIRABLE"


TASK = {
    "dag": "claims",
    "run": "manual__2026-11-23T00:00:00+00:00",
    "task": "train",
    "map_index": -1,
    "try": 1,
}


class TestPipelines:
    def test_outcomes_and_pipelines_share_a_stream(self, host):
        outcome = {
            "request_id": "o1",
            "task": TASK,
            "state": "failed",
            "observed_by": "task",
            "error": "ValueError",
        }
        host.submit("record_outcome", outcome)
        ended = [{"task": "train", "map_index": -1, "try": 1, "state": "failed"}]
        host.submit(
            "record_pipeline",
            {"request_id": "p1", "dag": "claims", "run": TASK["run"], "outcome": "failed", "tasks": ended},
        )
        numbers = [record["streams"]["pipeline:claims"]["number"] for record in records(host)[1:]]
        assert numbers == [1, 2]

    def test_a_pipeline_with_a_failed_task_has_not_succeeded(self, host):
        ended = [{"task": "train", "map_index": -1, "try": 1, "state": "killed"}]
        request = {"request_id": "p1", "dag": "claims", "run": "r", "outcome": "success", "tasks": ended}
        assert refusal(host.submit, "record_pipeline", request).code == "CONTRADICTION"


class TestAttestation:
    def test_it_states_count_and_time_of_a_stream(self, host, chain):
        host.submit("attest", {"request_id": "a1", "stream": "dataset:claims"})
        attested = records(host)[-1]
        last = next(r for r in records(host) if r["kind"] == "run")["streams"]["dataset:claims"]
        assert attested["body"] == {
            "request_id": "a1", "stream": "dataset:claims", "count": last["number"], "time": last["time"]
        }  # fmt: skip
        assert attested["streams"]["dataset:claims"]["number"] == last["number"] + 1

    def test_a_stream_without_records_is_not_attested(self, host):
        assert (
            refusal(host.submit, "attest", {"request_id": "a1", "stream": "dataset:x"}).code
            == "UNKNOWN_STREAM"
        )


class TestWhoMay:
    @pytest.mark.parametrize(
        ("party", "user"), [("operator", "reader"), ("operator", "admin"), ("regulator", "pipeline")]
    )
    def test_only_the_operators_pipeline_writes(self, host, party, user):
        identity = host.user(party, user)
        refused = refusal(host.submit, "register_dataset", ledgers.dataset(), identity=identity)
        assert (refused.code, refused.facts) == ("FORBIDDEN", {"needs": "pipeline"})

    def test_every_party_reads(self, host, chain):
        read = Call("provenance", "read", {"id": chain["dataset"]["id"]})
        for party in ledgers.PARTIES:
            assert host.ledger.evaluate(host.user(party, "reader"), read)["facts"]

    def test_a_member_of_the_ledger_that_the_charter_does_not_name_reads_nothing(self, bare):
        charter.adopt(
            bare.ledger,
            bare.user("operator", "admin"),
            parties={"operator": "OperatorMSP", "auditor": "AuditorMSP"},
            independent="auditor",
            grants={"pipeline": [("operator", "pipeline")]},
        )
        assert refusal(charter.read, bare.ledger, bare.user("regulator", "reader")).facts == {
            "needs": "member"
        }


class TestRequests:
    def test_the_same_request_returns_the_first_record(self, host):
        first = host.submit("register_dataset", ledgers.dataset())
        count = len(records(host))
        again = host.submit("register_dataset", ledgers.dataset())
        assert again == {**first, "repeated": True}
        assert len(records(host)) == count

    def test_the_same_request_id_with_other_content_is_refused(self, host):
        host.submit("register_dataset", ledgers.dataset())
        refused = refusal(host.submit, "register_dataset", ledgers.dataset(source="x"))
        assert (refused.code, refused.facts) == ("REQUEST_REUSED", {"field": "request.request_id"})

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"rows": 5}, "request"),
            ({"version": 0}, "request.version"),
            ({"name": "Rand HIE"}, "request.name"),
            ({"files": []}, "request.files"),
            ({"policy": {"md5": H}}, "request.policy"),
            ({"policy": {}}, "request.policy"),
            ({"source": ""}, "request.source"),
            ({"files": [{"digest": {"sha256": H}, "bytes": 1}]}, "request.files[0].referenced"),
        ],
    )
    def test_malformed_requests_name_the_field(self, host, change, field):
        refused = refusal(host.submit, "register_dataset", ledgers.dataset(**change))
        assert (refused.code, refused.facts["field"]) == ("MALFORMED", field)

    @pytest.mark.parametrize(
        ("contract", "transaction", "code"),
        [("provenence", "read", "UNKNOWN_CONTRACT"), ("provenance", "drop", "UNKNOWN_TRANSACTION")],
    )
    def test_what_does_not_exist_is_refused(self, host, contract, transaction, code):
        assert refusal(host.ledger.submit, host.pipeline, Call(contract, transaction, {})).code == code

    def test_a_record_above_the_limit_is_refused(self, host):
        columns = [{"column": "c" * 200, "class": "email", "by": "name", "rows": 0}] * 300
        made = host.submit("register_dataset", ledgers.dataset())
        request = ledgers.screening(made, findings=columns, passed=False)
        assert refusal(host.submit, "record_screening", request).code == "TOO_LARGE"


class TestBatch:
    def test_later_items_see_earlier_ones(self, host):
        request = ledgers.dataset()
        items = [
            {"transaction": "register_dataset", "request": request},
            {"transaction": "register_dataset", "request": ledgers.dataset(version=2)},
            {"transaction": "register_dataset", "request": request},
        ]
        results = host.submit("batch", {"items": items})
        assert [result["id"] for result in results] == [
            "dataset/claims/1",
            "dataset/claims/2",
            "dataset/claims/1",
        ]
        assert [result["repeated"] for result in results] == [False, False, True]
        numbers = [record["streams"]["dataset:claims"]["number"] for record in records(host)[1:]]
        assert numbers == [1, 2]

    def test_it_is_all_or_nothing_and_names_the_item(self, host):
        items = [
            {"transaction": "register_dataset", "request": ledgers.dataset()},
            {"transaction": "register_dataset", "request": ledgers.dataset(version=5)},
        ]
        refused = refusal(host.submit, "batch", {"items": items})
        assert (refused.code, refused.facts["item"]) == ("VERSION_NOT_NEXT", 1)
        assert len(records(host)) == 1

    def test_a_transaction_that_does_not_exist_is_named(self, host):
        refused = refusal(host.submit, "batch", {"items": [{"transaction": "drop", "request": {}}]})
        assert (refused.code, refused.facts["item"]) == ("UNKNOWN_TRANSACTION", 0)

    @pytest.mark.parametrize("items", [[], [{"transaction": "batch", "request": {"items": []}}], "x"])
    def test_an_empty_or_nested_batch_is_refused(self, host, items):
        assert refusal(host.submit, "batch", {"items": items}).code in ("MALFORMED", "UNKNOWN_TRANSACTION")
