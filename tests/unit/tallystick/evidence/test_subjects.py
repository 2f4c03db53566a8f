"""What a record's standing makes of what it speaks of: abandoned, retired, erased, never stored."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from support import ledgers
from support.cases import bad

from tallystick.errors import InvalidInput, Unreachable
from tallystick.evidence.chain import Chain
from tallystick.evidence.runs import TrackedRuns
from tallystick.evidence.subjects import OffChain
from tallystick.evidence.training import differences
from tallystick.evidence.verify import verify
from tallystick.fingerprint.keys import Keyring
from tallystick.ledger.embedded.stored import StoredFile
from tallystick.store import Store

NOTHING_TRACKED = TrackedRuns(lambda *asked: (), lambda *asked: {}, lambda run_id: None)


@pytest.fixture
def host(tmp_path):
    host = ledgers.make_host(tmp_path)
    yield host
    host.ledger.close()


def look(host, runs=None, fingerprint=None, **options):
    keyring = Keyring(host.directory / "keys")
    off_chain = OffChain(Store(host.directory / "objects"), keyring, fingerprint, runs)
    with StoredFile(host.directory / "ledger.db") as stored:
        return verify(stored, Chain(stored.blocks()), off_chain=off_chain, **options)


def declare(host):
    data = host.submit("register_dataset", ledgers.dataset())
    screened = host.submit("record_screening", ledgers.screening(data))
    validated = host.submit("record_validation", ledgers.validation(data))
    return data, host.submit("declare_run", ledgers.intent(data, screened, validated))


def of(report, kind):
    (found,) = [subject for subject in report.subjects if subject.kind == kind]
    return found


def test_objects_that_were_never_stored_are_missing(host):
    data = host.submit("register_dataset", ledgers.dataset())
    report = look(host)
    assert report.exit_code == 1
    assert of(report, "dataset").id == data["id"]
    assert of(report, "dataset").status == "MISSING"


@pytest.fixture
def table(host):
    """A dataset record of files that are in the store and a table that can be read; changes as keywords."""
    store = Store(host.directory / "objects")
    key = Keyring(host.directory / "keys").create("claims").key_id
    made = SimpleNamespace(root=ledgers.H, rows=5, schema_digest=ledgers.H)

    def look_at(*contents: bytes, sizes=(5,), found=made):
        digests = [{"sha256": store.add_bytes(content)} for content in contents]
        files = [
            {"digest": digest, "bytes": size, "referenced": False}
            for digest, size in zip(digests, sizes, strict=True)
        ]
        body = ledgers.dataset(files=files, policy=digests[0], schema={"sha256": ledgers.H})
        host.submit("register_dataset", {**body, "table": {**body["table"], "key": key}})
        subject = of(look(host, fingerprint=lambda path, policy, key: found), "dataset")
        return subject.status, subject.detail

    return look_at


def test_a_table_is_made_again_from_the_one_file_of_its_record(table):
    assert table(b"12345") == ("verified", "")


def test_a_table_of_several_files_cannot_be_checked(table):
    status, detail = table(b"12345", b"678", sizes=(5, 3))
    assert status == "cannot check"
    assert "root was not made again" in detail


def test_a_file_has_as_many_bytes_as_its_record_says(table):
    assert table(b"12345", sizes=(6,)) == ("CHANGED", "file 1 of 1: recorded as 6 bytes, and has 5")


def test_an_intent_without_a_run_is_listed_until_it_is_retired(host):
    _, declared = declare(host)
    assert of(look(host), "intent").status == "ABANDONED"
    host.submit("retire", ledgers.retirement(declared))
    intent = of(look(host), "intent")
    assert (intent.status, intent.detail) == ("verified", "retired on record")


def test_an_intent_that_was_spent_says_by_which_run(host):
    _, declared = declare(host)
    run = host.submit("record_run", ledgers.run(declared))
    intent = of(look(host), "intent")
    assert (intent.status, intent.detail) == ("verified", f"spent by {run['id']}")


def test_what_derives_from_an_erased_dataset_is_erased_with_it(host):
    data, declared = declare(host)
    run = host.submit("record_run", ledgers.run(declared))
    host.submit("register_model", ledgers.model(run))
    host.submit("retire", ledgers.retirement(data, "erased"))
    report = look(host, NOTHING_TRACKED)
    assert report.verified
    assert {s.kind: s.status for s in report.subjects if s.kind != "ledger"} == dict.fromkeys(
        ("dataset", "screening", "validation", "intent", "run", "model"), "ERASED"
    )
    assert of(report, "dataset").detail == "a retirement record says so"
    assert of(report, "model").detail == f"with {data['id']}, as a retirement record says"


def test_a_retired_dataset_is_still_looked_at(host):
    data = host.submit("register_dataset", ledgers.dataset())
    host.submit("retire", ledgers.retirement(data))
    dataset = of(look(host), "dataset")
    assert dataset.status == "MISSING"
    assert dataset.detail.endswith("retired on record")


def test_any_record_can_be_asked_for_alone(host):
    data = host.submit("register_dataset", ledgers.dataset())
    used = host.submit("record_use", ledgers.use(data))
    report = look(host, only=used["id"])
    assert [s.kind for s in report.subjects] == ["ledger", "use"]
    assert report.verified


def test_a_record_that_is_not_there_is_the_callers_mistake(host):
    with pytest.raises(InvalidInput, match="no record run/none"):
        look(host, only="run/none")


def test_without_anything_to_look_at_only_the_ledger_is_judged(case):
    assert [s.kind for s in case.verify().subjects] == ["ledger"]
    assert bad(case.verify()) == []


def test_differences_are_told_both_ways():
    told = list(differences("metric", {"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 1.0, "b": 2.5, "d": 4.0}))
    assert told == [
        "metric b: recorded 2.0, MLflow now says 2.5",
        "metric c: recorded, and gone from MLflow",
        "metric d: in MLflow, and not recorded",
    ]
    nan = float("nan")
    assert list(differences("metric", {"a": nan}, {"a": nan})) == []


def test_a_history_is_told_beside_the_value_that_was_recorded():
    def told(now: float) -> list[str]:
        return list(differences("metric", {"a": 2.5}, {"a": 2.5, "a (history)": now}))

    assert told(1.5) == ["metric a (history): recorded 2.5, MLflow now says 1.5"]
    assert told(float("nan")) == ["metric a (history): in MLflow, and not recorded"]


def test_an_intent_without_a_run_is_listed_though_its_dataset_is_erased(host):
    data, _ = declare(host)
    host.submit("retire", ledgers.retirement(data, "erased"))
    intent = of(look(host, NOTHING_TRACKED), "intent")
    assert intent.status == "ABANDONED"
    assert intent.detail.endswith(f"with {data['id']}, as a retirement record says")


def test_a_server_that_does_not_answer_is_asked_once():
    asked = []

    def away(*arguments):
        asked.append(arguments)
        raise Unreachable("nobody answers")

    runs = TrackedRuns(away, away, away)
    for _ in range(2):
        with pytest.raises(Unreachable):
            runs.run("1")
        with pytest.raises(Unreachable):
            runs.run_ids("origin", (), ())
        with pytest.raises(Unreachable):
            runs.versions("origin", ())
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("version", "run", "recorded"),
    [("1", "1" * 32, True), ("2", "", False), ("2", "f" * 32, False)],
)
def test_a_version_under_a_recorded_models_name_is_of_a_run_recorded_for_it(host, version, run, recorded):
    _, declared = declare(host)
    model = host.submit("register_model", ledgers.model(host.submit("record_run", ledgers.run(declared))))
    name = model["id"].split("/")[1]
    asked = []

    def versions(origin, names):
        asked.append((origin, names))
        return {(name, version): run}

    report = look(host, TrackedRuns(lambda *asked: (), versions, lambda run_id: None))
    assert asked == [(host.ledger.origin, {name})]
    listed = [(each.id, each.status) for each in report.subjects if each.kind == "registered version"]
    assert listed == ([] if recorded else [(f"{name}/{version}", "UNRECORDED")])
