"""What is out of reach, damaged or elsewhere while verifying: said, in bounded time, and never skipped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.audited import Audited, make_audited, wrong
from support.cases import verify_home as look
from support.home import settings_of
from support.reading import count_digested

from tallystick.evidence.report import Report
from tallystick.evidence.training import HANDED_OUT
from tallystick.home.verification import verify_home
from tallystick.settings import Settings
from tallystick.store import Store


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    return make_audited(tmp_path_factory.mktemp("faults"))


@contextmanager
def instead(path: Path, content: bytes) -> Iterator[None]:
    kept = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(kept)


def test_what_many_records_name_is_digested_once(audited: Audited, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(audited.settings.objects)
    digested = count_digested(monkeypatch, audited.settings.objects)
    look(audited.settings)
    assert len(digested) > 5  # the data, the predictions, and what the run and its model both name
    assert digested == {digest: store.size(digest) for digest in digested}


def kinds_not_checked(report: Report) -> set[str]:
    assert report.exit_code == 3
    assert {subject.status for subject in wrong(report).values()} == {"cannot check"}
    return {subject.kind for subject in wrong(report).values()}


@pytest.mark.parametrize("content", [b"garbage" * 999, b"SQLite format 3\0" + bytes(4080), b""])
def test_a_damaged_tracking_database_cannot_be_checked(audited: Audited, content: bytes) -> None:
    # A database of another name: SQLAlchemy keeps connections to the good one.
    database = audited.mlflow.with_name(f"damaged-{len(content)}.db")
    database.write_bytes(content)
    settings = replace(audited.settings, mlflow_uri=f"sqlite:///{database}")
    report = look(settings)
    if content:
        assert kinds_not_checked(report) == {"tracking", "run", "model"}
    else:  # an empty file is an empty database: MLflow makes its tables
        assert {subject.status for subject in wrong(report).values()} == {"MISSING"}


def test_a_server_that_does_not_answer_cannot_be_checked_and_soon(audited: Audited) -> None:
    settings = replace(audited.settings, mlflow_uri="http://127.0.0.1:9")
    began = time.monotonic()
    report = look(settings)
    assert time.monotonic() - began < 30
    assert kinds_not_checked(report) == {"tracking", "run", "model"}


def copied(audited: Audited, directory: Path) -> Settings:
    shutil.copytree(audited.settings.home, directory / "home", symlinks=True)
    return settings_of(directory)


def model_file(settings: Settings) -> Path:
    (found,) = settings.mlflow_artifacts.rglob("model.lgb")
    return found


def test_a_copied_home_is_judged_by_its_own_files(audited: Audited, tmp_path: Path) -> None:
    settings = copied(audited, tmp_path)
    beside = look(settings)
    assert kinds_not_checked(beside) == {"run", "model"}
    detail = wrong(beside)[audited.run].detail
    assert str(model_file(audited.settings).parent) in detail
    assert f"{HANDED_OUT} {model_file(audited.settings).parent}, which is not where this home keeps" in detail
    with instead(model_file(settings), b"another model"):
        report = look(settings)
    assert {subject.status for subject in wrong(report).values()} == {"CHANGED"}
    assert "artifact model.lgb: recorded" in wrong(report)[audited.run].detail
    with instead(model_file(audited.settings), b"another model"):
        assert look(settings).exit_code == 3
        assert look(audited.settings).exit_code == 1


def test_a_moved_home_is_verified(audited: Audited, tmp_path: Path) -> None:
    settings = copied(audited, tmp_path)
    aside = audited.settings.home.with_name("aside")
    audited.settings.home.rename(aside)
    try:
        assert look(settings).verified
        shutil.rmtree(settings.mlflow_artifacts)
        gone = wrong(look(settings))[audited.run]
    finally:
        aside.rename(audited.settings.home)
    assert gone.status == "CHANGED"
    assert "artifact model.lgb: recorded, and gone from MLflow" in gone.detail


def test_a_link_to_the_files_of_another_home_is_not_followed(audited: Audited, tmp_path: Path) -> None:
    settings = copied(audited, tmp_path)
    model_file(settings).unlink()
    place = settings.mlflow_artifacts / model_file(audited.settings).relative_to(
        audited.settings.mlflow_artifacts
    )
    place.symlink_to(model_file(audited.settings))
    detail = wrong(look(settings))[audited.run].detail
    assert "a link among a run's artifacts leads out of this home" in detail


def test_a_dataset_key_that_others_may_read_is_not_used(audited: Audited) -> None:
    (key,) = audited.settings.keys.glob("*.key")
    key.chmod(0o644)
    try:
        report = look(audited.settings)
    finally:
        key.chmod(0o600)
    assert report.exit_code == 3
    assert f"{key} can be read by others" in wrong(report)["dataset/visits/1"].detail


def test_reading_needs_no_key_of_the_log(audited: Audited) -> None:
    audited.settings.log_key.chmod(0o644)
    try:
        assert verify_home(audited.settings).verified
    finally:
        audited.settings.log_key.chmod(0o600)


def test_a_head_that_cannot_be_remembered_is_said_and_changes_no_verdict(
    audited: Audited, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    settings = replace(audited.settings, state_dir=tmp_path / "file" / "state")
    assert verify_home(settings).verified
    (said,) = [record.message for record in caplog.records if "not remembered" in record.message]
    assert "Not a directory" in said


def test_a_remembered_head_that_cannot_be_read_cannot_be_checked(audited: Audited, tmp_path: Path) -> None:
    settings = replace(audited.settings, state_dir=tmp_path / "state")
    assert verify_home(settings).verified
    (note,) = (tmp_path / "state" / "heads").glob("*.note")
    note.unlink()
    note.mkdir()
    assert kinds_not_checked(verify_home(settings)) == {"last head seen"}
