"""Must show 3 and 4: whatever is changed, in MLflow, in a file, in a model, in the ledger, is named."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import forgery
from support.audited import Audited, changed_row, make_audited, wrong, wrong_while
from support.cases import off_chain, verify_home

from tallystick import wiring
from tallystick.clients.provenance import Request
from tallystick.errors import CouldNotCheck
from tallystick.evidence.chain import Chain
from tallystick.evidence.verify import verify
from tallystick.evidence.witness import Kept
from tallystick.home import verification
from tallystick.ledger.embedded.stored import StoredFile
from tallystick.proof.trust import parse_trust
from tallystick.settings import Settings


@pytest.fixture(scope="module")
def audited(tmp_path_factory) -> Audited:
    return make_audited(tmp_path_factory.mktemp("tampering"))


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
    found = wrong_while(
        audited,
        "UPDATE params SET value = '2' WHERE key = 'seed'",
        "UPDATE params SET value = '1' WHERE key = 'seed'",
    )
    assert "param seed: recorded 1, MLflow now says 2" in found[audited.run].detail


def test_a_metric_changed_only_in_its_history_is_named(audited):
    """MLflow keeps the last value apart from the history, which its pages draw."""
    with closing(sqlite3.connect(audited.mlflow)) as connection:
        name, value = connection.execute("SELECT key, value FROM metrics ORDER BY key LIMIT 1").fetchone()
    found = wrong_while(
        audited,
        f"UPDATE metrics SET value = 0.125 WHERE key = '{name}'",
        f"UPDATE metrics SET value = {value!r} WHERE key = '{name}'",
    )
    assert f"metric {name} (history)" in found[audited.run].detail


def test_a_run_deleted_in_mlflow_is_missing(audited):
    found = wrong_while(
        audited,
        "UPDATE runs SET lifecycle_stage = 'deleted'",
        "UPDATE runs SET lifecycle_stage = 'active'",
    )
    assert {subject.status for subject in found.values()} == {"MISSING"}
    assert set(found) == {audited.run, audited.model}


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


def test_one_record_alone_can_be_verified(audited):
    report = verify_home(audited.settings, only=audited.run)
    assert [subject.kind for subject in report.subjects] == ["ledger", "run"]
    assert report.verified


def test_a_tracking_server_that_cannot_be_reached_cannot_be_checked(audited):
    class Unreachable:
        def run_ids(self, origin: str, datasets: Any, recorded: Any) -> list[str]:
            raise CouldNotCheck("MLflow could not be read")

        def versions(self, origin: str, names: Any) -> Any:
            raise CouldNotCheck("MLflow could not be read")

        def run(self, run_id: str) -> Any:
            raise CouldNotCheck("MLflow could not be read")

    looking = off_chain(audited.settings)
    with StoredFile(audited.ledger) as stored:
        report = verify(
            stored,
            Chain(stored.blocks()),
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
    return Kept(checkpoint or audited.checkpoint, parse_trust(audited.trust))


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
    assert verification.verify_home(attacked.settings).verified
    for leftover in attacked.settings.home.glob("ledger.db*"):
        leftover.unlink()
    shutil.copy(yesterday, attacked.ledger)
    report = verification.verify_home(attacked.settings)
    assert report.exit_code == 1
    assert [subject.kind for subject in wrong(report).values()] == ["last head seen"]
    shutil.rmtree(attacked.settings.state_dir)
    assert verification.verify_home(attacked.settings).verified


def _head_id(note: str) -> str:
    return " ".join(note.splitlines()[:2])
