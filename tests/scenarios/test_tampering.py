"""Must show 3 and 4: whatever is changed, in MLflow, in a file, in a model, in the ledger, is named."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import forgery
from support.cases import off_chain, verify_home
from support.home import make_home

from tallystick import wiring
from tallystick.clients.provenance import Request, Requests, Task
from tallystick.errors import CouldNotCheck
from tallystick.evidence.report import Report, Subject
from tallystick.evidence.verify import verify
from tallystick.evidence.witness import Kept
from tallystick.ledger.embedded.stored import StoredFile
from tallystick.proof.trust import parse_trust
from tallystick.settings import Settings
from tallystick.steps import track as track_module
from tallystick.steps.ingest import ingest
from tallystick.steps.screening import run_screening
from tallystick.steps.track import track
from tallystick.steps.train import train
from tallystick.steps.validation import run_validation

POLICY = """\
name: visits
title: Visits
source: made up
licence: CC0-1.0
purpose: to test
retention: {days: 365, reason: a year}
task: {kind: regression, target: visits}
model: {algorithm: lightgbm, params: {n_estimators: 5, num_leaves: 4}, seed: 1}
split: {kind: random, test_fraction: 0.25}
privacy: {regime: hipaa-safe-harbor}
columns:
  - {name: visits, type: int, min: 0, max: 50}
  - {name: coinsurance, type: float, min: 0.0, max: 100.0}
  - {name: chronic, type: int, min: 0, max: 9}
"""


@dataclass(frozen=True)
class Audited:
    """A home with one training in it, and what an auditor kept of it."""

    settings: Settings
    run: str
    model: str
    checkpoint: str
    vkey: str

    @property
    def mlflow(self) -> Path:
        return self.settings.home / "mlflow" / "mlflow.db"

    @property
    def ledger(self) -> Path:
        return self.settings.home / "ledger.db"


@pytest.fixture(scope="module")
def audited(tmp_path_factory) -> Audited:
    directory = tmp_path_factory.mktemp("tampering")
    settings = make_home(directory)
    chance = random.Random(7)
    rows = [(chance.randrange(20), round(chance.uniform(0, 100), 2), chance.randrange(9)) for _ in range(400)]
    data, policy = directory / "visits.csv", directory / "visits.yaml"
    data.write_text("visits,coinsurance,chronic\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    policy.write_text(POLICY)
    with wiring.open_workspace(settings) as w:

        def requests(task: str) -> Requests:
            return Requests(Task("visits", "manual__1", task, -1, 1))

        ingested = ingest(w, requests("ingest"), data, policy)
        screened = run_screening(w, requests("screen"), ingested)
        validated = run_validation(w, requests("validate"), ingested)
        trained = train(w, requests("train"), ingested, screened, validated)
        tracked = track(w, requests("track"), ingested, trained)
        found = Audited(settings, tracked.run.id, tracked.model.id, w.ledger.checkpoint(), w.ledger.vkey)
    with closing(sqlite3.connect(found.ledger)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


@contextmanager
def changed(path: Path, old: bytes = b"", new: bytes = b"") -> Iterator[None]:
    """``path`` with one byte flipped in its middle, or ``old`` replaced, for as long as this lasts."""
    content, mode = path.read_bytes(), path.stat().st_mode
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    path.chmod(0o600)
    path.write_bytes(content.replace(old, new, 1) if old else flipped)
    try:
        yield
    finally:
        path.write_bytes(content)
        path.chmod(mode)


@contextmanager
def changed_row(path: Path, statement: str, undo: str, *values: Any) -> Iterator[None]:
    assert forgery.execute(path, statement, *values) >= 1
    try:
        yield
    finally:
        forgery.execute(path, undo)


def wrong(report: Report) -> dict[str, Subject]:
    return {subject.id: subject for subject in report.subjects if subject.status != "verified"}


def object_of(settings: Settings, content: bytes) -> Path:
    """The stored object that contains ``content``."""
    (found,) = [
        path
        for path in settings.objects.glob("??/*")
        if len(path.parent.name) == 2 and content in path.read_bytes()
    ]
    return found


def test_what_nobody_touched_is_verified(audited):
    report = verify_home(audited.settings)
    assert wrong(report) == {}
    assert report.exit_code == 0
    kinds = {subject.kind for subject in report.subjects}
    assert kinds == {"ledger", "dataset", "screening", "validation", "intent", "run", "model"}


def test_a_metric_changed_in_mlflow_is_named_with_both_values(audited):
    with closing(sqlite3.connect(audited.mlflow)) as connection:
        name, value = connection.execute(
            "SELECT key, value FROM latest_metrics ORDER BY key LIMIT 1"
        ).fetchone()
    with (
        changed_row(
            audited.mlflow,
            f"UPDATE latest_metrics SET value = 0.125 WHERE key = '{name}'",
            f"UPDATE latest_metrics SET value = {value!r} WHERE key = '{name}'",
        ),
        changed_row(
            audited.mlflow,
            f"UPDATE metrics SET value = 0.125 WHERE key = '{name}'",
            f"UPDATE metrics SET value = {value!r} WHERE key = '{name}'",
        ),
    ):
        report = verify_home(audited.settings)
    assert report.exit_code == 1
    assert set(wrong(report)) == {audited.run}
    subject = wrong(report)[audited.run]
    assert subject.status == "CHANGED"
    assert f"metric {name}: recorded {value}, MLflow now says 0.125" in subject.detail
    assert wrong(verify_home(audited.settings)) == {}


def test_a_param_changed_in_mlflow_is_named(audited):
    with changed_row(
        audited.mlflow,
        "UPDATE params SET value = '2' WHERE key = 'seed'",
        "UPDATE params SET value = '1' WHERE key = 'seed'",
    ):
        report = verify_home(audited.settings)
    assert "param seed: recorded 1, MLflow now says 2" in wrong(report)[audited.run].detail


def test_a_run_deleted_in_mlflow_is_missing(audited):
    with changed_row(
        audited.mlflow,
        "UPDATE runs SET lifecycle_stage = 'deleted'",
        "UPDATE runs SET lifecycle_stage = 'active'",
    ):
        report = verify_home(audited.settings)
    assert {subject.status for subject in wrong(report).values()} == {"MISSING"}
    assert set(wrong(report)) == {audited.run, audited.model}


def test_one_byte_of_a_model_artifact_is_named(audited):
    (model,) = audited.settings.mlflow_artifacts.rglob("MLmodel")
    other = next(
        path for path in model.parent.iterdir() if path.suffix not in (".yaml", ".txt") and path != model
    )
    with changed(other):
        report = verify_home(audited.settings)
    assert set(wrong(report)) == {audited.run, audited.model}
    assert f"artifact {other.name}: recorded" in wrong(report)[audited.model].detail


def test_a_model_artifact_that_is_gone_is_named(audited):
    (model,) = audited.settings.mlflow_artifacts.rglob("MLmodel")
    aside = model.with_name("aside.tmp")
    model.rename(audited.settings.home / aside.name)
    try:
        report = verify_home(audited.settings)
    finally:
        (audited.settings.home / aside.name).rename(model)
    assert report.exit_code == 1
    assert "artifact MLmodel: recorded, and gone from MLflow" in wrong(report)[audited.model].detail


def test_one_cell_of_a_dataset_is_named(audited):
    stored = object_of(audited.settings, b"visits,coinsurance,chronic\n")
    with changed(stored, b"\n1", b"\n2"):
        report = verify_home(audited.settings)
    assert set(wrong(report)) == {"dataset/visits/1"}
    assert wrong(report)["dataset/visits/1"].status == "CHANGED"


def test_a_dataset_that_is_gone_is_missing(audited):
    stored = object_of(audited.settings, b"visits,coinsurance,chronic\n")
    aside = audited.settings.home / "aside"
    stored.rename(aside)
    try:
        report = verify_home(audited.settings)
    finally:
        aside.rename(stored)
    assert wrong(report)["dataset/visits/1"].status == "MISSING"
    assert report.exit_code == 1


def test_a_validation_result_that_was_touched_is_named(audited):
    stored = object_of(audited.settings, b'"results":[')
    with changed(stored, b'"passed":true', b'"passed":null'):
        report = verify_home(audited.settings)
    ((record_id, subject),) = wrong(report).items()
    assert record_id.startswith("validation/")
    assert subject.status == "CHANGED"


def test_the_sealed_run_record_and_the_policy_are_digested_again(audited):
    with changed(object_of(audited.settings, b'"predictions":')):
        assert set(wrong(verify_home(audited.settings))) == {audited.run}
    with changed(object_of(audited.settings, b'"retention":')):
        touched = wrong(verify_home(audited.settings))
    assert {record_id.split("/")[0] for record_id in touched} == {"dataset", "screening", "validation"}


def test_without_the_key_nothing_sealed_can_be_checked(audited):
    keys = {path: path.read_bytes() for path in audited.settings.keys.glob("*.key")}
    for path in keys:
        path.unlink()
    try:
        report = verify_home(audited.settings)
    finally:
        for path, content in keys.items():
            path.write_bytes(content)
            path.chmod(0o600)
    assert report.exit_code == 3
    assert wrong(report)["dataset/visits/1"].status == "cannot check"


def test_a_run_that_nobody_recorded_is_listed(audited):
    from mlflow import MlflowClient

    client = MlflowClient(audited.settings.mlflow_uri)
    experiment = client.get_experiment_by_name("visits").experiment_id
    extra = client.create_run(experiment).info.run_id
    try:
        report = verify_home(audited.settings)
    finally:
        client.delete_run(extra)
        forgery.execute(audited.mlflow, "DELETE FROM runs WHERE run_uuid = ?", extra)
    assert wrong(report)[f"run/{extra}"].status == "UNRECORDED"
    assert report.exit_code == 1


def test_a_run_that_nobody_recorded_is_listed_though_it_was_deleted(audited):
    from mlflow import MlflowClient

    client = MlflowClient(audited.settings.mlflow_uri)
    extra = client.create_run(client.get_experiment_by_name("visits").experiment_id).info.run_id
    client.delete_run(extra)
    try:
        report = verify_home(audited.settings)
    finally:
        forgery.execute(audited.mlflow, "DELETE FROM runs WHERE run_uuid = ?", extra)
    assert wrong(report)[f"run/{extra}"].status == "UNRECORDED"


@pytest.mark.parametrize(
    ("name", "tags", "ours"),
    [
        ("strangers", {}, False),
        ("visits-2", {"tallystick.origin": "other.example/0000000000000000"}, False),
        ("visits-2", {"tallystick.origin": "OURS"}, True),
    ],
)
def test_runs_count_in_experiments_that_this_ledger_made(audited, name, tags, ours):
    from mlflow import MlflowClient

    client = MlflowClient(audited.settings.mlflow_uri)
    origin = _head_id(audited.checkpoint).split()[0]
    made = {key: value.replace("OURS", origin) for key, value in tags.items()}
    experiment = client.create_experiment(name, tags=made)
    run = client.create_run(experiment).info.run_id
    try:
        report = verify_home(audited.settings)
    finally:
        for table in ("runs", "experiment_tags", "experiments"):
            forgery.execute(audited.mlflow, f"DELETE FROM {table} WHERE experiment_id = ?", int(experiment))
    assert (f"run/{run}" in wrong(report)) is ours
    assert report.verified is not ours


def test_an_experiment_named_like_a_dataset_counts_without_our_tag(audited):
    from mlflow import MlflowClient

    client = MlflowClient(audited.settings.mlflow_uri)
    experiment = client.get_experiment_by_name("visits")
    origin = experiment.tags["tallystick.origin"]
    extra = client.create_run(experiment.experiment_id).info.run_id
    client.delete_experiment_tag(experiment.experiment_id, "tallystick.origin")
    try:
        report = verify_home(audited.settings)
    finally:
        client.set_experiment_tag(experiment.experiment_id, "tallystick.origin", origin)
        forgery.execute(audited.mlflow, "DELETE FROM runs WHERE run_uuid = ?", extra)
    assert set(wrong(report)) == {f"run/{extra}"}


def test_an_experiment_of_another_ledger_is_left_to_it(audited):
    from mlflow import MlflowClient

    client = MlflowClient(audited.settings.mlflow_uri)
    own = track_module._experiment(client, audited.settings, "here.example/0123456789abcdef", "visits")
    try:
        found = client.get_experiment(own)
        assert found.name == "visits-0123456789abcdef"
        assert found.tags["tallystick.origin"] == "here.example/0123456789abcdef"
    finally:
        for table in ("experiment_tags", "experiments"):
            forgery.execute(audited.mlflow, f"DELETE FROM {table} WHERE experiment_id = ?", int(own))


@pytest.mark.parametrize(
    ("statement", "undo", "status", "named"),
    [
        (
            "UPDATE model_versions SET run_id = 'another'",
            "UPDATE model_versions SET run_id = 'RUN'",
            "MISSING",
            "registry: no version of visits is of this run any more",
        ),
        (
            "UPDATE model_versions SET storage_location = storage_location || '-other'",
            "UPDATE model_versions SET storage_location = replace(storage_location, '-other', '')",
            "CHANGED",
            "registry: version 1 of visits leads to another model than the run's",
        ),
        (
            "UPDATE model_versions SET source = source || '-other'",
            "UPDATE model_versions SET source = replace(source, '-other', '')",
            "CHANGED",
            "registry: version 1 of visits leads to another model than the run's",
        ),
        (
            "INSERT INTO model_versions (name, version, run_id, source, current_stage, status, workspace)"
            " SELECT name, 2, run_id, source, current_stage, status, workspace FROM model_versions",
            "DELETE FROM model_versions WHERE version = 2",
            "CHANGED",
            "registry: 2 versions of visits say that they are of this run",
        ),
    ],
)
def test_a_registered_version_that_leads_elsewhere_is_named(audited, statement, undo, status, named):
    undo = undo.replace("RUN", audited.run.removeprefix("run/"))
    with changed_row(audited.mlflow, statement, undo):
        report = verify_home(audited.settings)
    assert set(wrong(report)) == {audited.model}
    assert (wrong(report)[audited.model].status, wrong(report)[audited.model].detail) == (status, named)
    assert verify_home(audited.settings).verified


def test_one_record_alone_can_be_verified(audited):
    report = verify_home(audited.settings, only=audited.run)
    assert [subject.kind for subject in report.subjects] == ["ledger", "run"]
    assert report.verified


def test_a_tracking_server_that_cannot_be_reached_cannot_be_checked(audited):
    class Unreachable:
        def run_ids(self, origin: str, datasets: Any) -> list[str]:
            raise CouldNotCheck("MLflow could not be read")

        def run(self, run_id: str) -> Any:
            raise CouldNotCheck("MLflow could not be read")

    looking = off_chain(audited.settings)
    with StoredFile(audited.ledger) as stored:
        report = verify(
            stored,
            packages=audited.settings.packages,
            off_chain=type(looking)(looking.store, looking.keyring, looking.fingerprint, Unreachable()),
        )
    assert report.exit_code == 3
    assert {subject.status for subject in wrong(report).values()} == {"cannot check"}
    assert {"tracking", "run", "model"} == {subject.kind for subject in wrong(report).values()}


# The hostile operator holds every key; only what the auditor kept tells.


@pytest.fixture
def attacked(audited, tmp_path) -> Iterator[Audited]:
    """The audited home, put back afterwards."""
    aside = tmp_path / "ledger.db"
    shutil.copy(audited.ledger, aside)
    yield audited
    for leftover in audited.settings.home.glob("ledger.db*"):
        leftover.unlink()
    shutil.copy(aside, audited.ledger)


def kept(audited: Audited, checkpoint: str | None = None) -> Kept:
    return Kept(checkpoint or audited.checkpoint, parse_trust(f"log {audited.vkey}\nquorum none\n"))


def test_the_kept_checkpoint_witnesses_an_honest_ledger(audited):
    report = verify_home(audited.settings, kept(audited))
    assert report.verified
    assert report.witnessed


def test_a_ledger_rewritten_and_signed_anew_fails_the_kept_checkpoint(attacked):
    log_key = attacked.settings.log_key
    forgery.sign_anew(attacked.ledger, log_key, lambda number, value: value if number < 3 else None)
    with wiring.open_workspace(attacked.settings) as w:
        for number in range(30):  # until it is longer than what was there
            w.provenance.attest(Request(f"attest-{number}"), stream="dataset:visits")
    alone = verify_home(attacked.settings)
    assert alone.subjects[0].status == "verified"
    assert not alone.witnessed
    assert "NOT witnessed" in alone.subjects[0].detail
    report = verify_home(attacked.settings, kept(attacked))
    assert report.exit_code == 1
    assert not report.witnessed
    assert wrong(report)[_head_id(attacked.checkpoint)].status == "CHANGED"


def test_yesterdays_home_put_back_fails_the_kept_checkpoint(attacked, tmp_path):
    yesterday = tmp_path / "yesterday.db"
    shutil.copy(attacked.ledger, yesterday)
    with wiring.open_workspace(attacked.settings) as w:
        w.provenance.attest(Request("today"), stream="dataset:visits")
        today = w.ledger.checkpoint()
    for leftover in attacked.settings.home.glob("ledger.db*"):
        leftover.unlink()
    shutil.copy(yesterday, attacked.ledger)
    alone = verify_home(attacked.settings)
    assert alone.verified
    assert not alone.witnessed
    report = verify_home(attacked.settings, kept(attacked, today))
    assert report.exit_code == 1
    assert not report.witnessed
    assert wrong(report)[_head_id(today)].detail.startswith("the ledger was longer")


def test_yesterdays_home_put_back_is_seen_on_the_machine_that_saw_todays(attacked, tmp_path):
    """No witness, but enough against whoever restores a home and forgets what lies outside of it."""
    yesterday = tmp_path / "yesterday.db"
    shutil.copy(attacked.ledger, yesterday)
    with wiring.open_workspace(attacked.settings) as w:
        w.provenance.attest(Request("today"), stream="dataset:visits")
    assert wiring.verify(attacked.settings).verified
    for leftover in attacked.settings.home.glob("ledger.db*"):
        leftover.unlink()
    shutil.copy(yesterday, attacked.ledger)
    report = wiring.verify(attacked.settings)
    assert report.exit_code == 1
    assert [subject.kind for subject in wrong(report).values()] == ["last head seen"]
    shutil.rmtree(attacked.settings.state_dir)
    assert wiring.verify(attacked.settings).verified


def _head_id(note: str) -> str:
    return " ".join(note.splitlines()[:2])
