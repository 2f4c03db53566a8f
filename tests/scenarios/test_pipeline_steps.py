"""The audited chain without Airflow: a real ledger, Great Expectations and MLflow in a home of its own."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.home import make_home

from chaincode import canonical
from tallystick import heads, sealing, wiring
from tallystick.clients.provenance import Reference, Requests, Task
from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded, PolicyError, Refused
from tallystick.proof.block import parse_block
from tallystick.settings import Settings
from tallystick.steps import track as track_module
from tallystick.steps import train as train_module
from tallystick.steps.anchor import Anchored, anchor
from tallystick.steps.errors import CheckFailed
from tallystick.steps.ingest import Ingested, ingest
from tallystick.steps.opening import open_dataset
from tallystick.steps.records import find_record
from tallystick.steps.reproduce import reproduce
from tallystick.steps.run_record import read_predictions, read_run_record
from tallystick.steps.screening import Screened, run_screening
from tallystick.steps.track import Tracked, list_runs, read_run, track
from tallystick.steps.train import Trained, train
from tallystick.steps.validation import Validated, data_docs, run_validation
from tallystick.steps.workspace import Workspace

ROWS = 300
SITES = ["canary-north", "canary-south"]
PLANS = ["canary-gold", "canary-lead", "canary-zinc"]

POLICY = """\
name: NAME
title: Visits
source: made for a test
licence: internal
purpose: to test the chain
retention: {days: 30, reason: a test}
task: {kind: regression, target: cost, group: site}
model: {algorithm: lightgbm, params: {n_estimators: 10, min_child_samples: 5}, seed: 1}
split: {kind: random, test_fraction: 0.25}
privacy: {regime: hipaa-safe-harbor, subject: code}
columns:
  - {name: code, type: string, pattern: "canary-[a-z]{8}"}
  - {name: site, type: string, values: [canary-north, canary-south]}
  - {name: plan, type: string, nullable: true}
  - {name: visits, type: int, min: 0, max: 10}
  - {name: cost, type: float, min: 0.0}
"""

numbers = count()


def requests(task: str) -> Requests:
    return Requests(Task("chain", f"run-{next(numbers)}", task, -1, 1))


def rows(seed: int = 1) -> list[list[str]]:
    rng = random.Random(seed)
    made = []
    for _ in range(ROWS):
        code = "canary-" + "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=8))
        plan, visits = rng.choice([*PLANS, ""]), rng.randrange(11)
        cost = 31.41592653 * visits + rng.random() + 10 * len(plan)
        made.append([code, rng.choice(SITES), plan, str(visits), repr(cost)])
    return made


@dataclass(frozen=True)
class Bench:
    """A workspace, and where a test's files go."""

    w: Workspace
    settings: Settings
    folder: Path

    def files(
        self, name: str, data: list[list[str]] | None = None, policy: str = POLICY
    ) -> tuple[Path, Path]:
        csv, yaml = self.folder / f"{name}.csv", self.folder / f"{name}.yaml"
        lines = [["code", "site", "plan", "visits", "cost"], *(data or rows())]
        csv.write_text("".join(",".join(line) + "\n" for line in lines))
        yaml.write_text(policy.replace("NAME", name))
        return csv, yaml

    def checked(self, name: str, **files: Any) -> tuple[Ingested, Screened, Validated]:
        ingested = ingest(self.w, requests("ingest"), *self.files(name, **files))
        screened = run_screening(self.w, requests("screen"), ingested)
        return ingested, screened, run_validation(self.w, requests("validate"), ingested)

    def trained(self, name: str, **files: Any) -> tuple[Ingested, Trained]:
        ingested, screened, validated = self.checked(name, **files)
        return ingested, train(self.w, requests("train"), ingested, screened, validated)

    def records(self) -> list[dict[str, Any]]:
        blocks = (parse_block(block.header, block.data) for block in self.w.ledger.blocks())
        return [canonical.decode(r) for block in blocks for e in block.valid for r in e.records]

    def kinds(self, name: str) -> list[str]:
        """The kinds of the records that speak of a dataset, oldest first."""
        told = [r for r in self.records() if {f"dataset:{name}", f"model:{name}"} & r["streams"].keys()]
        return [record["kind"] for record in told]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("chain")
    settings = make_home(folder)
    with wiring.open_workspace(settings) as w:
        yield Bench(w, settings, folder)


@dataclass(frozen=True)
class Chain:
    ingested: Ingested
    screened: Screened
    validated: Validated
    trained: Trained
    tracked: Tracked
    anchored: Anchored

    @property
    def records(self) -> list[Reference]:
        return [
            self.ingested.dataset,
            self.screened.screening,
            self.validated.validation,
            self.trained.intent,
            self.tracked.run,
            self.tracked.model,
        ]


@pytest.fixture(scope="module")
def chain(bench: Bench) -> Chain:
    """The whole chain on one dataset, every result sent through JSON as Airflow sends it."""
    ingested, screened, validated = bench.checked("visits")
    ingested = Ingested.from_value(ingested.value())
    trained = Trained.from_value(train(bench.w, requests("train"), ingested, screened, validated).value())
    tracked = Tracked.from_value(track(bench.w, requests("track"), ingested, trained).value())
    whole = Chain(ingested, screened, validated, trained, tracked, Anchored(0, 0, ""))
    return replace(whole, anchored=anchor(bench.w, requests("anchor"), whole.records))


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
    run = find_record(bench.w.ledger, chain.tracked.run).body
    sealed = sealing.resolve(bench.w.store, run["sealed"], dataset.sealing)
    assert sealed == chain.trained.sealed
    assert (
        sealing.resolve(bench.w.store, run["artifacts"]["digest"], dataset.sealing) == chain.trained.artifacts
    )
    validation = find_record(bench.w.ledger, chain.validated.validation).body
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
    assert found.status == "FINISHED"
    assert list_runs(bench.settings)[chain.tracked.run_id] == "visits"
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
    tables = [find_record(bench.w.ledger, found.dataset).body["table"] for found in (first, other, third)]
    assert len({table["key"] for table in tables}) == 3
    assert len({table["nonce"] for table in tables}) == 3


def test_a_retired_version_is_not_used_again(bench: Bench) -> None:
    first = ingest(bench.w, requests("ingest"), *bench.files("gone"))
    bench.w.provenance.retire(
        requests("retire").of("it"), subject=first.dataset, state="retired", reason="a test"
    )
    second = ingest(bench.w, requests("ingest"), *bench.files("gone"))
    assert (second.version, second.repeated) == (2, False)
    keys = {find_record(bench.w.ledger, found.dataset).body["table"]["key"] for found in (first, second)}
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


def test_an_identifier_stops_the_pipeline_after_it_is_recorded(bench: Bench) -> None:
    data = rows()
    data[3][2] = "ann@example.org"
    ingested = ingest(bench.w, requests("ingest"), *bench.files("mail", data=data))
    with pytest.raises(CheckFailed, match='"plan" ') as caught:
        run_screening(bench.w, requests("screen"), ingested)
    assert caught.value.exit_code == 1
    body = find_record(bench.w.ledger, caught.value.record).body
    assert not body["passed"]
    assert body["findings"] == [{"column": "plan", "class": "email", "by": "content", "rows": 1}]
    validated = run_validation(bench.w, requests("validate"), ingested)
    with pytest.raises(Refused, match="NOT_PASSED field=screening"):
        train(bench.w, requests("train"), ingested, Screened(caught.value.record, 18, []), validated)


def test_a_broken_row_fails_the_validation_after_it_is_recorded(bench: Bench) -> None:
    data = rows()
    data[5][3] = "99"
    ingested = ingest(bench.w, requests("ingest"), *bench.files("high", data=data))
    screened = run_screening(bench.w, requests("screen"), ingested)
    with pytest.raises(CheckFailed, match=r"1 of \d+ expectations failed") as caught:
        run_validation(bench.w, requests("validate"), ingested)
    body = find_record(bench.w.ledger, caught.value.record).body
    assert body["failed"] == ["expect_column_values_to_be_between(visits)"]
    with pytest.raises(Refused, match="NOT_PASSED field=validation"):
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
    assert list(list_runs(bench.settings).values()).count("killed") == 1


def test_a_run_record_of_another_intent_is_not_tracked(bench: Bench, chain: Chain) -> None:
    stranger = replace(chain.trained, intent=Reference(chain.trained.intent.id, "ab" * 32))
    with pytest.raises(NotAsRecorded, match="another training"):
        track(bench.w, requests("track"), chain.ingested, stranger)


def test_without_its_key_a_dataset_cannot_be_opened_but_a_new_version_can_be_made(bench: Bench) -> None:
    first = ingest(bench.w, requests("ingest"), *bench.files("erased"))
    bench.w.keyring.erase(find_record(bench.w.ledger, first.dataset).body["table"]["key"])
    with pytest.raises(CouldNotCheck, match="erased or not here"):
        open_dataset(bench.w, first.dataset)
    assert ingest(bench.w, requests("ingest"), *bench.files("erased")).version == 2


def test_without_a_regime_digests_are_plain(bench: Bench) -> None:
    policy = POLICY.replace(
        "{regime: hipaa-safe-harbor, subject: code}", "{regime: none, reason: made up}"
    ).replace('"canary-[a-z]{8}"}', '"canary-[a-z]{8}", class: excluded}')
    ingested = ingest(bench.w, requests("ingest"), *bench.files("plain", policy=policy))
    body = find_record(bench.w.ledger, ingested.dataset).body
    assert body["files"][0]["digest"] == {"sha256": ingested.file}
    assert body["files"][0]["bytes"] == (bench.folder / "plain.csv").stat().st_size
