"""The audited chain where something is wrong: recorded, refused, or taken up where it was left."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from support.bench import POLICY, Bench, Chain, requests, rows

from tallystick.clients.provenance import Reference
from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded, PolicyError, Refused
from tallystick.settings import Settings
from tallystick.steps import track as track_module
from tallystick.steps import train as train_module
from tallystick.steps.errors import CheckFailed
from tallystick.steps.ingest import ingest
from tallystick.steps.opening import open_dataset
from tallystick.steps.records import find_record
from tallystick.steps.screening import Screened, run_screening
from tallystick.steps.track import track
from tallystick.steps.tracked_runs import list_runs
from tallystick.steps.train import train
from tallystick.steps.validation import Validated, run_validation


def test_a_file_that_cannot_be_read_is_named_and_nothing_is_recorded(bench: Bench) -> None:
    before = bench.w.ledger.height
    csv, yaml = bench.files("broken")
    csv.write_text(csv.read_text().rsplit(",", 2)[0])
    with pytest.raises(InvalidInput, match=r"broken\.csv"):
        ingest(bench.w, requests("ingest"), csv, yaml)
    csv.write_text(csv.read_text().replace("plan", "plans", 1))
    with pytest.raises(PolicyError, match='did you mean "plans"'):
        ingest(bench.w, requests("ingest"), csv, yaml)
    nameless = rows()
    nameless[7][0] = ""
    with pytest.raises(InvalidInput, match='column "code"'):
        ingest(bench.w, requests("ingest"), *bench.files("nameless", data=nameless))
    assert bench.w.ledger.height == before


def test_of_a_file_that_is_refused_the_store_keeps_nothing_but_what_it_had(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def has(csv: Path) -> bool:
        digest = sha256(csv.read_bytes()).hexdigest()
        return (bench.w.store.root / digest[:2] / digest[2:]).exists()

    nameless = rows(seed=77)
    nameless[7][0] = ""
    csv, yaml = bench.files("kept-out", data=nameless)
    with pytest.raises(InvalidInput, match='column "code"'):
        ingest(bench.w, requests("ingest"), csv, yaml)
    assert not has(csv)
    bench.w.store.add_file(csv)  # somebody else's object by now
    with pytest.raises(InvalidInput, match='column "code"'):
        ingest(bench.w, requests("ingest"), csv, yaml)
    assert has(csv)
    csv, yaml = bench.files("kept-out", data=rows(seed=78))

    def refuse(*_: object, **__: object) -> None:
        raise Refused("no", code="FORBIDDEN")

    monkeypatch.setattr(type(bench.w.provenance), "register_dataset", refuse)
    with pytest.raises(Refused):
        ingest(bench.w, requests("ingest"), csv, yaml)
    assert not has(csv)
    monkeypatch.undo()
    ingest(bench.w, requests("ingest"), csv, yaml)
    assert has(csv)


def test_a_refused_file_that_somebody_else_registered_meanwhile_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    csv, yaml = bench.files("twice", data=rows(seed=79))
    register, others = type(bench.w.provenance).register_dataset, []

    def refuse_the_first(door: Any, request: Any, **fields: Any) -> Any:
        if not others:
            others.append(None)
            others[0] = ingest(bench.w, requests("other"), csv, yaml)
            raise Refused("no", code="FORBIDDEN")
        return register(door, request, **fields)

    monkeypatch.setattr(type(bench.w.provenance), "register_dataset", refuse_the_first)
    with pytest.raises(Refused):
        ingest(bench.w, requests("first"), csv, yaml)
    assert bench.w.store.verify(others[0].file)


def test_an_identifier_stops_the_pipeline_after_it_is_recorded(bench: Bench) -> None:
    data = rows()
    data[3][2] = "ann@example.org"
    ingested = ingest(bench.w, requests("ingest"), *bench.files("mail", data=data))
    with pytest.raises(CheckFailed, match='"plan" ') as caught:
        run_screening(bench.w, requests("screen"), ingested)
    assert caught.value.exit_code == 1
    body = find_record(bench.w, caught.value.record).body
    assert not body["passed"]
    assert body["findings"] == [{"column": "plan", "class": "email", "by": "content", "rows": 1}]
    validated = run_validation(bench.w, requests("validate"), ingested)
    with pytest.raises(Refused, match=r"NOT_PASSED field=request\.screening"):
        train(bench.w, requests("train"), ingested, Screened(caught.value.record, 18, []), validated)


def test_a_broken_row_fails_the_validation_after_it_is_recorded(bench: Bench) -> None:
    data = rows()
    data[5][3] = "99"
    ingested = ingest(bench.w, requests("ingest"), *bench.files("high", data=data))
    screened = run_screening(bench.w, requests("screen"), ingested)
    with pytest.raises(CheckFailed, match=r"1 of \d+ expectations failed") as caught:
        run_validation(bench.w, requests("validate"), ingested)
    body = find_record(bench.w, caught.value.record).body
    assert body["failed"] == ["expect_column_values_to_be_between(visits)"]
    with pytest.raises(Refused, match=r"NOT_PASSED field=request\.validation"):
        train(bench.w, requests("train"), ingested, screened, Validated(caught.value.record, 1, [], ""))


def test_nothing_is_trained_where_the_intent_cannot_be_recorded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingested, screened, validated = bench.checked("closed")

    def down(*arguments: Any, **fields: Any) -> Any:
        raise CouldNotCheck("the ledger is away")

    monkeypatch.setattr(bench.w.ledger, "submit", down)
    monkeypatch.setattr(train_module, "execute", lambda *_: pytest.fail("it trained"))
    with pytest.raises(CouldNotCheck, match="away"):
        train(bench.w, requests("train"), ingested, screened, validated)


def test_data_that_changed_after_validation_is_not_trained_on(bench: Bench) -> None:
    ingested, screened, validated = bench.checked("swapped")
    path = bench.w.store.path(ingested.file)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"canary-gold", b"canary-lead", 1))
    before = bench.w.ledger.height
    with pytest.raises(NotAsRecorded, match="changed"):
        train(bench.w, requests("train"), ingested, screened, validated)
    assert bench.w.ledger.height == before
    # The same file taken in again puts the object back.
    assert ingest(bench.w, requests("ingest"), *bench.files("swapped")).repeated


def change_a_metric(settings: Settings, run_id: str) -> None:
    with sqlite3.connect(settings.home / "mlflow" / "mlflow.db") as database:
        for table in ("metrics", "latest_metrics"):
            database.execute(f"UPDATE {table} SET value = 0.0 WHERE key = 'mae' AND run_uuid = ?", [run_id])
    database.close()


def change_an_artifact(settings: Settings, run_id: str) -> None:
    path = max(settings.mlflow_artifacts.rglob("model.lgb"), key=lambda found: found.stat().st_mtime_ns)
    path.write_bytes(path.read_bytes() + b"\n")


@pytest.mark.parametrize(
    ("change", "named"), [(change_a_metric, "metric mae"), (change_an_artifact, "artifact model.lgb")]
)
def test_what_mlflow_gives_back_differently_is_not_recorded(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Settings, str], None],
    named: str,
) -> None:
    name = named.replace(" ", "-")
    ingested, trained = bench.trained(name)
    upload = track_module._upload

    def upload_and_change(*arguments: Any) -> str:
        run_id = upload(*arguments)
        change(bench.settings, run_id)
        return run_id

    monkeypatch.setattr(track_module, "_upload", upload_and_change)
    with pytest.raises(NotAsRecorded, match=named):
        track(bench.w, requests("track"), ingested, trained)
    assert bench.kinds(name)[-1] == "intent"


def interrupted(*_: Any) -> Any:
    raise KeyboardInterrupt


def test_a_task_killed_between_run_and_model_goes_on_where_it_was(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingested, trained = bench.trained("killed")
    register = track_module._register
    monkeypatch.setattr(track_module, "_register", interrupted)
    with pytest.raises(KeyboardInterrupt):
        track(bench.w, requests("track"), ingested, trained)
    monkeypatch.setattr(track_module, "_register", register)
    first = track(bench.w, requests("track"), ingested, trained)
    second = track(bench.w, requests("track"), ingested, trained)
    assert (first.run, first.model) == (second.run, second.model)
    assert bench.kinds("killed")[-3:] == ["intent", "run", "model"]
    assert list(list_runs(bench.settings, bench.w.ledger.origin, ()).values()).count("killed") == 1


def test_a_run_record_of_another_intent_is_not_tracked(bench: Bench, chain: Chain) -> None:
    stranger = replace(chain.trained, intent=Reference(chain.trained.intent.id, "ab" * 32))
    with pytest.raises(NotAsRecorded, match="another training"):
        track(bench.w, requests("track"), chain.ingested, stranger)


def test_without_its_key_a_dataset_cannot_be_opened_but_a_new_version_can_be_made(bench: Bench) -> None:
    first = ingest(bench.w, requests("ingest"), *bench.files("erased"))
    bench.w.keyring.erase(find_record(bench.w, first.dataset).body["table"]["key"])
    with pytest.raises(CouldNotCheck, match="erased or not here"):
        open_dataset(bench.w, first.dataset)
    assert ingest(bench.w, requests("ingest"), *bench.files("erased")).version == 2


def test_without_a_regime_digests_are_plain(bench: Bench) -> None:
    policy = POLICY.replace(
        "{regime: hipaa-safe-harbor, subject: code}", "{regime: none, reason: made up}"
    ).replace('"canary-[a-z]{8}"}', '"canary-[a-z]{8}", class: excluded}')
    ingested = ingest(bench.w, requests("ingest"), *bench.files("plain", policy=policy))
    body = find_record(bench.w, ingested.dataset).body
    assert body["files"][0]["digest"] == {"sha256": ingested.file}
    assert body["files"][0]["bytes"] == (bench.folder / "plain.csv").stat().st_size
