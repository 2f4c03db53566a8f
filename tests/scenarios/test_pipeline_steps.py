"""The audited chain without Airflow: a real ledger, Great Expectations and MLflow in a home of its own."""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np
import pytest
from support.bench import POLICY, Bench, Chain, requests, rows

from tallystick import heads, sealing
from tallystick.clients.provenance import Reference
from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded, Refused
from tallystick.steps.anchor import anchor
from tallystick.steps.ingest import ingest
from tallystick.steps.opening import open_dataset
from tallystick.steps.records import find_record
from tallystick.steps.reproduce import reproduce
from tallystick.steps.run_record import read_predictions, read_run_record
from tallystick.steps.track import track
from tallystick.steps.tracked_runs import list_runs, read_run
from tallystick.steps.validation import data_docs


def test_the_chain_stands_on_the_ledger_in_its_order(bench: Bench, chain: Chain) -> None:
    kinds = [kind for kind in bench.kinds("visits") if kind != "attestation"]
    assert kinds[:6] == ["dataset", "screening", "validation", "intent", "run", "model"]
    assert chain.tracked.model.id == "model/visits/1"
    assert chain.anchored.size > 0
    assert heads.last_head(bench.settings.state_dir, bench.w.ledger.origin) is not None


def test_an_anchor_refuses_what_was_not_acknowledged(bench: Bench, chain: Chain) -> None:
    with pytest.raises(NotAsRecorded, match="not the one acknowledged"):
        anchor(bench.w, requests("anchor"), [Reference(chain.ingested.dataset.id, "ab" * 32)])


def test_everything_is_found_from_the_records_alone(bench: Bench, chain: Chain) -> None:
    dataset = open_dataset(bench.w, chain.ingested.dataset)
    assert dataset.leaves().root == chain.ingested.root
    run = find_record(bench.w, chain.tracked.run).body
    sealed = sealing.resolve(bench.w.store, run["sealed"], dataset.sealing)
    assert sealed == chain.trained.sealed
    assert (
        sealing.resolve(bench.w.store, run["artifacts"]["digest"], dataset.sealing) == chain.trained.artifacts
    )
    validation = find_record(bench.w, chain.validated.validation).body
    result = sealing.resolve(bench.w.store, validation["result"], dataset.sealing)
    assert b"expect_column" in bench.w.store.read(result, 1 << 20)
    assert b"<html" in data_docs(bench.w.store, result).read_bytes().lower()


def test_the_run_is_reproduced_from_its_record(bench: Bench, chain: Chain) -> None:
    for record_id in (chain.tracked.model.id, chain.tracked.run.id):
        again = reproduce(bench.w, record_id)
        assert again.reproduced
        assert again.rows
        assert again.predictions["identical"]
        assert {metric["name"] for metric in again.metrics} == chain.tracked.metrics.keys()
    with pytest.raises(InvalidInput, match="neither a run nor a model"):
        reproduce(bench.w, chain.ingested.dataset.id)


def test_another_model_is_not_taken_for_a_reproduction(
    bench: Bench, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystick.steps.learn.THREADS", 1)
    assert reproduce(bench.w, chain.tracked.model.id).reproduced
    monkeypatch.setattr("tallystick.steps.learn._objective", lambda classes: {"objective": "l1"})
    again = reproduce(bench.w, chain.tracked.model.id)
    assert not again.reproduced
    assert not again.predictions["agrees"]


def test_mlflow_holds_what_was_sealed_and_its_model_predicts_as_recorded(bench: Bench, chain: Chain) -> None:
    record = read_run_record(bench.w.store, chain.trained.sealed)
    found = read_run(bench.settings, chain.tracked.run_id)
    assert (found.params, found.metrics) == (record.params, record.metrics)
    assert found.artifacts == record.artifacts
    assert found.fields == record.tracked
    assert record.tracked["status"] == "FINISHED"
    assert list_runs(bench.settings, bench.w.ledger.origin, ())[chain.tracked.run_id] == "visits"
    with pytest.raises(CouldNotCheck):
        read_run(bench.settings, "0" * 32)


LOADED = [
    ("lightgbm", "regression", "mlflow.lightgbm"),
    ("linear", "regression", "mlflow.sklearn"),
    ("hist_gradient_boosting", "regression", "mlflow.sklearn"),
]


@pytest.mark.parametrize(("algorithm", "kind", "loader"), LOADED)
def test_the_registered_model_predicts_as_recorded(
    bench: Bench, algorithm: str, kind: str, loader: str
) -> None:
    import importlib

    from tallystick.steps.features import feature_frame
    from tallystick.steps.train import make_plan

    name = algorithm.replace("_", "-")
    params = {"lightgbm": "{n_estimators: 5}", "hist_gradient_boosting": "{max_iter: 5}"}.get(algorithm, "{}")
    policy = POLICY.replace(
        "lightgbm, params: {n_estimators: 10, min_child_samples: 5}", f"{algorithm}, params: {params}"
    )
    ingested, trained = bench.trained(name, policy=policy)
    tracked = track(bench.w, requests("track"), ingested, trained)
    loaded = importlib.import_module(loader).load_model(f"models:/{name}/{tracked.registered}")
    dataset = open_dataset(bench.w, ingested.dataset)
    evaluation = make_plan(dataset).folds[0].evaluation
    predicted = loaded.predict(feature_frame(dataset.table, dataset.policy).iloc[evaluation])
    record = read_run_record(bench.w.store, trained.sealed)
    recorded = read_predictions(bench.w.store, record.value["predictions"])
    assert np.array_equal(np.asarray(predicted).reshape(recorded.shape), recorded)


def test_no_value_and_no_plain_digest_of_one_leaves_the_home(bench: Bench, chain: Chain) -> None:
    ledger = b"".join(block.header + block.data for block in bench.w.ledger.blocks())
    ledger += bench.settings.refusals.read_bytes() if bench.settings.refusals.exists() else b""
    told = [v for line in rows() for v in line if len(v) >= 8]
    told += [chain.ingested.file, chain.trained.sealed, chain.trained.artifacts, chain.validated.result]
    told += ["visits.csv", str(bench.folder)]
    assert not [value for value in told if value.encode() in ledger]
    assert chain.ingested.policy.encode() in ledger
    run = read_run(bench.settings, chain.tracked.run_id)
    in_mlflow = repr((run.params, run.metrics))
    database = sqlite3.connect(bench.settings.home / "mlflow" / "mlflow.db")
    in_mlflow += "".join(database.iterdump())
    database.close()
    assert not [value for value in told[:-2] if value in in_mlflow]


def test_the_same_file_again_is_a_use_and_another_a_version_under_a_key_of_its_own(bench: Bench) -> None:
    first = ingest(bench.w, requests("ingest"), *bench.files("again"))
    again = ingest(bench.w, requests("ingest"), *bench.files("again"))
    assert (again.dataset, again.repeated) == (first.dataset, True)
    other = ingest(bench.w, requests("ingest"), *bench.files("again", data=rows(2)))
    assert (other.version, other.repeated) == (2, False)
    policy = POLICY.replace("to test the chain", "another purpose")
    third = ingest(bench.w, requests("ingest"), *bench.files("again", data=rows(2), policy=policy))
    assert (third.version, third.repeated) == (3, False)
    assert bench.kinds("again") == ["dataset", "use", "dataset", "dataset"]
    tables = [find_record(bench.w, found.dataset).body["table"] for found in (first, other, third)]
    assert len({table["key"] for table in tables}) == 3
    assert len({table["nonce"] for table in tables}) == 3


def test_a_retired_version_is_not_used_again(bench: Bench) -> None:
    first = ingest(bench.w, requests("ingest"), *bench.files("gone"))
    bench.w.provenance.retire(
        requests("retire").of("it"), subject=first.dataset, state="retired", reason="a test"
    )
    second = ingest(bench.w, requests("ingest"), *bench.files("gone"))
    assert (second.version, second.repeated) == (2, False)
    keys = {find_record(bench.w, found.dataset).body["table"]["key"] for found in (first, second)}
    assert len(keys) == 2


def test_a_version_that_somebody_registers_meanwhile_is_not_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    provenance = bench.w.provenance
    registered, raced = provenance.register_dataset, iter([True])

    def late(*arguments: Any, **fields: Any) -> Any:
        if next(raced, False):
            raise Refused("meanwhile", code="VERSION_NOT_NEXT")
        return registered(*arguments, **fields)

    monkeypatch.setattr(provenance, "register_dataset", late)
    assert ingest(bench.w, requests("ingest"), *bench.files("raced")).version == 1
