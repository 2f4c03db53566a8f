"""What an MLflow server holds beside our runs: whose experiments, deleted runs, the registry's versions."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support import forgery
from support.audited import Audited, make_audited, wrong, wrong_while
from support.cases import verify_home

from tallystick.steps import track as track_module


@pytest.fixture(scope="module")
def audited(tmp_path_factory) -> Audited:
    return make_audited(tmp_path_factory.mktemp("server"))


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
    origin = audited.checkpoint.splitlines()[0]
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


@pytest.mark.parametrize("tag", ["", "other.example/0000000000000000"])
@pytest.mark.parametrize("name", ["visits", "renamed"])
def test_an_experiment_with_a_recorded_run_is_ours_whatever_its_name_and_tag(audited, tag, name):
    from mlflow import MlflowClient

    client = MlflowClient(audited.settings.mlflow_uri)
    experiment = client.get_experiment_by_name("visits")
    origin = experiment.tags["tallystick.origin"]
    extra = client.create_run(experiment.experiment_id).info.run_id
    client.rename_experiment(experiment.experiment_id, name)
    client.set_experiment_tag(experiment.experiment_id, "tallystick.origin", tag)
    if not tag:
        client.delete_experiment_tag(experiment.experiment_id, "tallystick.origin")
    try:
        report = verify_home(audited.settings)
    finally:
        client.set_experiment_tag(experiment.experiment_id, "tallystick.origin", origin)
        client.rename_experiment(experiment.experiment_id, "visits")
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
    found = wrong_while(audited, statement, undo)
    nobodys = {"visits/1"} if status == "MISSING" else set()
    assert set(found) == {audited.model} | nobodys
    assert (found[audited.model].status, found[audited.model].detail) == (status, named)
    assert verify_home(audited.settings).verified


@pytest.mark.parametrize(
    ("table", "column", "value", "named"),
    [
        ("tags WHERE key = 'tallystick.dataset'", "value", "dataset/other/1", "tag tallystick.dataset"),
        ("tags WHERE key = 'tallystick.intent'", "value", "intent/other", "tag tallystick.intent"),
        ("runs", "status", "FAILED", "status"),
        ("runs", "start_time", 1, "start_time"),
        ("runs", "end_time", 1, "end_time"),
        ("datasets", "digest", "f" * 32, "dataset.digest"),
        ("datasets", "dataset_source", "{}", "dataset.source"),
        ("datasets", "dataset_schema", "{}", "dataset.schema"),
        ("logged_models", "source_run_id", "another", "model.run"),
        ("logged_models", "status", 3, "model.status"),
    ],
)
def test_what_else_mlflow_was_told_of_a_run_is_compared(audited, table, column, value, named):
    name, _, where = table.partition(" ")
    with closing(sqlite3.connect(audited.mlflow)) as connection:
        ((before,),) = connection.execute(f"SELECT {column} FROM {table}").fetchall()
    assert forgery.execute(audited.mlflow, f"UPDATE {name} SET {column} = ? {where}", value) == 1
    try:
        report = verify_home(audited.settings)
    finally:
        forgery.execute(audited.mlflow, f"UPDATE {name} SET {column} = ? {where}", before)
    assert wrong(report)[audited.run].status == "CHANGED"
    assert f"field {named}: recorded " in wrong(report)[audited.run].detail


def test_a_users_own_tags_and_notes_are_not_ours_to_judge(audited):
    from mlflow import MlflowClient

    client, run = MlflowClient(audited.settings.mlflow_uri), audited.run.removeprefix("run/")
    client.set_tag(run, "reviewed", "yes")
    client.set_registered_model_alias("visits", "champion", "1")
    assert verify_home(audited.settings).verified
    client.set_tag(run, "tallystick.approved", "yes")
    try:
        report = verify_home(audited.settings)
    finally:
        client.delete_tag(run, "tallystick.approved")
    detail = "field tag tallystick.approved: in MLflow, and not recorded"
    assert wrong(report)[audited.run].detail == detail


def test_a_file_that_was_added_to_a_run_is_named(audited):
    from mlflow import MlflowClient

    client, run = MlflowClient(audited.settings.mlflow_uri), audited.run.removeprefix("run/")
    client.log_text(run, "a better curve", "curve.txt")
    (added,) = audited.settings.mlflow_artifacts.rglob("curve.txt")
    try:
        report = verify_home(audited.settings)
    finally:
        added.unlink()
    assert "artifact run/curve.txt: in MLflow, and not recorded" in wrong(report)[audited.run].detail


@pytest.mark.parametrize("origin", ["", "other.example/0000000000000000"])
def test_a_version_that_somebody_registered_under_a_recorded_name_is_listed(audited, origin):
    from mlflow import MlflowClient

    client, run_id = MlflowClient(audited.settings.mlflow_uri), None
    if origin:
        experiment = client.create_experiment("elsewhere", tags={"tallystick.origin": origin})
        run_id = client.create_run(experiment).info.run_id
    made = client.create_model_version("visits", "file:///elsewhere", run_id=run_id)
    try:
        report = verify_home(audited.settings)
    finally:
        client.delete_model_version("visits", made.version)
        for table in ("model_versions WHERE version = 2", "experiments WHERE name = 'elsewhere'"):
            forgery.execute(audited.mlflow, f"DELETE FROM {table}")
    rogue = f"visits/{made.version}"
    assert {name: each.status for name, each in wrong(report).items()} == (
        {} if origin else {rogue: "UNRECORDED"}
    )


def test_a_registered_version_that_names_another_record_is_named(audited):
    found = wrong_while(
        audited,
        "UPDATE model_version_tags SET value = 'model/visits/9'",
        "UPDATE model_version_tags SET value = 'model/visits/1'",
    )
    detail = "registry: version 1 of visits says that it is model/visits/9"
    assert found[audited.model].detail == detail


@pytest.fixture
def evil(audited) -> Iterator[dict[str, str]]:
    """Folders with another model beside the run's, by what their names end in."""
    (model,) = audited.settings.mlflow_artifacts.rglob("MLmodel")
    found = {end: str(model.parent) + end for end in ("", "#evil", "?evil", "/../evil")}
    for end in ("#evil", "?evil"):
        shutil.copytree(model.parent, found[end])
        (Path(found[end]) / "MLmodel").write_text("another model")
    yield found
    for end in ("#evil", "?evil"):
        shutil.rmtree(found[end])


@pytest.mark.parametrize(
    "other",
    [
        "{#evil}",
        "{?evil}",
        "{}",
        "{/../evil}",
        "file://{#evil}",
        "file://localhost{}",
        "FILE://{}",
        "relative",
    ],
)
def test_a_models_place_that_is_none_of_ours_is_no_place_of_its_files(audited, evil, other, monkeypatch):
    """MLflow reads a fragment and a query as parts of a path, and a relative path from where its user is."""
    monkeypatch.chdir(audited.settings.mlflow_artifacts)
    with closing(sqlite3.connect(audited.mlflow)) as connection:
        ((before,),) = connection.execute("SELECT artifact_location FROM logged_models").fetchall()
    relative = str(Path(evil[""]).relative_to(audited.settings.mlflow_artifacts))
    place = relative if other == "relative" else re.sub("{(.*)}", lambda found: evil[found[1]], other)
    columns = {"logged_models": "artifact_location", "model_versions": "storage_location"}
    try:
        for table, column in columns.items():
            assert forgery.execute(audited.mlflow, f"UPDATE {table} SET {column} = ?", place) == 1
        found = wrong(verify_home(audited.settings))
    finally:
        for table, column in columns.items():
            forgery.execute(audited.mlflow, f"UPDATE {table} SET {column} = ?", before)
    assert {name: each.status for name, each in found.items()} == {
        audited.run: "CHANGED",
        audited.model: "CHANGED",
    }
    assert f"MLflow hands them out from {place}, which is not where" in found[audited.model].detail


def test_a_runs_own_place_that_is_none_of_ours_is_named(audited, tmp_path):
    run = audited.run.removeprefix("run/")
    with closing(sqlite3.connect(audited.mlflow)) as connection:
        ((before,),) = connection.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run,))
    folder = tmp_path / "mlflow" / "artifacts" / "visits" / run / "artifacts"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("a better model")
    update, found = "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", {}
    try:
        for place in (f"file://{tmp_path}/evil/{run}/artifacts", f"{before}#evil", folder.as_uri()):
            forgery.execute(audited.mlflow, update, place, run)
            found[place] = wrong(verify_home(audited.settings))[audited.run]
    finally:
        forgery.execute(audited.mlflow, update, before, run)
    assert [each.status for each in found.values()] == ["CHANGED", "CHANGED", "cannot check"]
    assert "field artifact_uri: in MLflow, and not recorded" in next(iter(found.values())).detail
    assert verify_home(audited.settings).verified


@pytest.mark.parametrize(
    ("statement", "undo", "named"),
    [
        ("UPDATE metrics SET step = 7", "UPDATE metrics SET step = 0", "metric mae (step)"),
        ("UPDATE latest_metrics SET step = 7", "UPDATE latest_metrics SET step = 0", "metric mae (step)"),
        (
            "INSERT INTO inputs SELECT 'another', 'RUN_INPUT', destination_id, 'MODEL_INPUT', 'm-another', 0"
            " FROM inputs WHERE source_type = 'DATASET'",
            "DELETE FROM inputs WHERE input_uuid = 'another'",
            "field model input 1",
        ),
        (
            "UPDATE inputs SET step = 7 WHERE source_type = 'RUN_OUTPUT'",
            "UPDATE inputs SET step = 0",
            ".step: in MLflow",
        ),
        (
            "UPDATE logged_models SET model_type = 'approved'",
            "UPDATE logged_models SET model_type = NULL",
            "field model.type",
        ),
        (
            "UPDATE logged_models SET status_message = 'approved'",
            "UPDATE logged_models SET status_message = NULL",
            "field model.status_message",
        ),
    ],
)
def test_what_mlflow_was_never_told_of_a_run_is_named(audited, statement, undo, named):
    found = wrong_while(audited, statement, undo)
    assert set(found) == {audited.run}
    assert found[audited.run].status == "CHANGED"
    assert named in found[audited.run].detail
    assert "in MLflow, and not recorded" in found[audited.run].detail


def test_what_is_no_plain_file_among_artifacts_is_named(audited):
    (model,) = audited.settings.mlflow_artifacts.rglob("MLmodel")
    own = model.parents[3] / audited.run.removeprefix("run/") / "artifacts"
    own.mkdir(parents=True, exist_ok=True)
    kept, pipe, links = model.with_name("kept"), model.with_name("pipe"), [model.with_name("l"), own / "l"]
    os.mkfifo(pipe)
    for link in links:
        link.symlink_to(audited.settings.objects, target_is_directory=True)
    model.rename(kept)
    model.mkdir()
    try:
        found = wrong(verify_home(audited.settings))
    finally:
        for each in (pipe, *links):
            each.unlink()
        model.rmdir()
        kept.rename(model)
    assert {each.status for each in found.values()} == {"CHANGED"}
    assert set(found) == {audited.run, audited.model}
    detail = found[audited.run].detail
    for name in ("pipe", "l", "run/l"):
        assert f"artifact {name}: in MLflow, and not recorded" in detail
    assert "artifact MLmodel: recorded, and gone" in detail
    assert verify_home(audited.settings).verified
