"""Uploads a training to MLflow, reads everything back, and records run and model.

What is uploaded was sealed before, by `train`. What MLflow then holds must equal it, or nothing is recorded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tallystick import sealing
from tallystick.clients.provenance import Reference, Requests
from tallystick.errors import CouldNotCheck, NotAsRecorded
from tallystick.files import private_directory
from tallystick.settings import Settings
from tallystick.steps.ingest import Ingested
from tallystick.steps.opening import Dataset, open_dataset
from tallystick.steps.results import Result
from tallystick.steps.run_record import RunRecord, read_run_record
from tallystick.steps.tracked_runs import MODEL, ORIGIN, TrackedRun, read_run
from tallystick.steps.tracking_server import is_local, tracking
from tallystick.steps.train import Trained
from tallystick.steps.versions import with_latest
from tallystick.steps.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

_BATCH: Final = 100


@dataclass(frozen=True)
class Tracked(Result):
    """A run and a model version on the ledger. ``run_id`` is MLflow's; ``version`` the ledger's version of
    the model, ``registered`` MLflow's."""

    run: Reference
    model: Reference
    run_id: str
    version: int
    registered: str
    metrics: dict[str, float]


def track(w: Workspace, requests: Requests, ingested: Ingested, trained: Trained) -> Tracked:
    """Upload what `train` sealed, compare what MLflow then holds, and record run and model version.

    A run that was recorded before (a task that was killed in between) is taken up, not made again. Raises
    `NotAsRecorded` where MLflow gives back anything else, `CouldNotCheck` where it cannot be reached, and
    whatever the ledger says.
    """
    dataset = open_dataset(w, ingested.dataset)
    record = read_run_record(w.store, trained.sealed)
    if (
        record.value["intent"] != trained.intent.value()
        or record.value["dataset"] != ingested.dataset.value()
    ):
        raise NotAsRecorded("the run record is of another training than the one to be tracked")
    recorded = w.provenance.read(trained.intent.id)["facts"]["run"]
    run_id = recorded.removeprefix("run/") if recorded else _upload(w, dataset, record, trained)
    _compare(record, read_run(w.settings, run_id))
    artifacts = sealing.seal(dataset.sealing, trained.artifacts)
    if recorded:
        run = Reference(recorded, w.provenance.read(recorded)["facts"]["digest"])
    else:
        run = w.provenance.record_run(
            requests.of("run"),
            run_id=run_id,
            intent=trained.intent,
            sealed=sealing.seal(dataset.sealing, trained.sealed),
            artifacts=artifacts,
            files=len(record.artifacts),
        ).reference
    model = _register(w, requests, ingested.name, run, artifacts)
    version = int(model.id.rsplit("/", 1)[1])
    return Tracked(run, model, run_id, version, _noted(w.settings, run_id, model), record.metrics)


def _upload(w: Workspace, dataset: Dataset, record: RunRecord, trained: Trained) -> str:
    """A finished run with all that was sealed; its id. A run that fails is marked as failed in MLflow."""
    from mlflow.entities import LoggedModelOutput

    policy = dataset.policy
    with tracking(w.settings) as client, tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "model"
        w.store.open_folder(trained.artifacts, folder)
        experiment = _experiment(client, w.settings, w.ledger.origin, policy.name)
        told = record.tracked
        run_id: str = client.create_run(
            experiment,
            start_time=int(told["start_time"]),
            tags=_parts(told, "tag "),
            run_name=told["run_name"],
        ).info.run_id
        try:
            _log(client, run_id, record)
            model_name = told["model.name"]
            model_id = client.create_logged_model(experiment, model_name, source_run_id=run_id).model_id
            client.log_model_artifacts(model_id, str(folder))
            client.finalize_logged_model(model_id, "READY")
            client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
            _register_in_mlflow(client, policy.name, run_id, model_id)
            client.set_terminated(run_id, told["status"], int(told["end_time"]))
        except BaseException:
            with suppress(Exception):
                client.set_terminated(run_id, "FAILED")
            raise
    return run_id


def _log(client: MlflowClient, run_id: str, record: RunRecord) -> None:
    from mlflow.entities import Dataset as MlflowDataset
    from mlflow.entities import DatasetInput, Metric, Param

    when = int(record.tracked["end_time"])
    metrics = [Metric(name, value, when, 0) for name, value in record.metrics.items()]
    params = [Param(name, value) for name, value in record.params.items()]
    for start in range(0, max(len(metrics), len(params)), _BATCH):
        part = slice(start, start + _BATCH)
        client.log_batch(run_id, metrics=metrics[part], params=params[part])
    described = MlflowDataset(**_parts(record.tracked, "dataset."))
    client.log_inputs(run_id, [DatasetInput(described, [])])


def _parts(told: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): text for name, text in told.items() if name.startswith(prefix)}


def _compare(record: RunRecord, found: TrackedRun) -> None:
    """Raise `NotAsRecorded` where MLflow holds anything else than the run record, naming the first field."""
    for what, sealed, now in (
        ("param", record.params, found.params),
        ("metric", record.metrics, found.metrics),
        ("artifact", record.artifacts, found.artifacts),
        ("field", record.tracked, found.fields),
    ):
        names = sorted(sealed.keys() | now.keys())
        for name in names:
            if sealed.get(name) != now.get(name):
                raise NotAsRecorded(
                    f"MLflow run {found.run_id}: {what} {name} is not what was sealed before the upload",
                    hint="Something changed it between upload and reading back. Nothing was recorded.",
                )


def _register(
    w: Workspace, requests: Requests, name: str, run: Reference, artifacts: dict[str, str]
) -> Reference:
    """The model version of ``run`` on the ledger: the latest if it is of this run, else the next."""

    def register(latest: int) -> Reference:
        facts = w.provenance.read(f"model/{name}/{latest}")["facts"] if latest else None
        if facts is not None and facts["run"] == run.id:
            return Reference(f"model/{name}/{latest}", facts["digest"])
        return w.provenance.register_model(
            requests.of("model"), name=name, version=latest + 1, run=run, artifacts=artifacts
        ).reference

    return with_latest(w, "model", name, register)


def _register_in_mlflow(client: MlflowClient, name: str, run_id: str, model_id: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    client.create_model_version(
        name, f"models:/{model_id}", run_id=run_id, model_id=model_id, await_creation_for=0
    )


def _noted(settings: Settings, run_id: str, model: Reference) -> str:
    """MLflow's version of the model, with a tag that names the ledger's."""
    with tracking(settings) as client:
        versions = client.search_model_versions(f"run_id='{run_id}'")
        if not versions:
            raise CouldNotCheck(f"MLflow has no model version of the run {run_id}")
        client.set_model_version_tag(versions[0].name, versions[0].version, MODEL, model.id)
        return str(versions[0].version)


def _experiment(client: MlflowClient, settings: Settings, origin: str, name: str) -> str:
    """The experiment of a dataset. One that another ledger made is left to it: on a shared server each
    ledger answers for every run in its own."""
    found = client.get_experiment_by_name(name)
    if found is not None and found.tags.get(ORIGIN, origin) != origin:
        name = f"{name}-{origin.rsplit('/', 1)[-1]}"
        found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    place = None
    if is_local(settings):
        place = private_directory(settings.mlflow_artifacts / name).as_uri()
    return str(client.create_experiment(name, artifact_location=place, tags={ORIGIN: origin}))
