"""What an MLflow server holds beside our runs: whose experiments, deleted runs, the registry's versions."""

from __future__ import annotations

import pytest
from support import forgery
from support.audited import Audited, changed_row, make_audited, wrong
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
