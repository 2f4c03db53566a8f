"""Uploads a training to MLflow, reads everything back, and records run and model; the only room with MLflow.

What is uploaded was sealed before, by `train`. What MLflow then holds must equal it, or nothing is recorded.
"""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tallystick import sealing
from tallystick.clients.provenance import Reference, Requests
from tallystick.errors import CouldNotCheck, NotAsRecorded, Refused
from tallystick.files import private_directory
from tallystick.fingerprint.files import file_digest
from tallystick.settings import Settings
from tallystick.steps.ingest import ATTEMPTS, VERSION_TAKEN, Ingested
from tallystick.steps.opening import Dataset, open_dataset
from tallystick.steps.results import Result
from tallystick.steps.run_record import RunRecord, read_run_record
from tallystick.steps.train import Trained
from tallystick.steps.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

_BATCH: Final = 100
_TAG: Final = "tallystick."
_ORIGIN: Final = f"{_TAG}origin"
_ALL: Final = 3  # mlflow.entities.ViewType.ALL, without importing MLflow for it


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


@dataclass(frozen=True)
class Registered:
    """A version of a registered model. ``own`` where it leads to the model that its run logged."""

    name: str
    version: str
    own: bool


@dataclass(frozen=True)
class TrackedRun:
    """What MLflow holds of a run. ``artifacts`` are the logged model's files: path to SHA-256;
    ``registered`` the registry's versions that name the run."""

    run_id: str
    experiment: str
    status: str
    params: dict[str, str]
    metrics: dict[str, float]
    artifacts: dict[str, str]
    registered: tuple[Registered, ...]


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


def read_run(settings: Settings, run_id: str) -> TrackedRun:
    """What MLflow holds of a run, every artifact digested. Raises `CouldNotCheck` where there is no such
    run or MLflow cannot be read."""
    found = find_run(settings, run_id)
    if found is None:
        raise CouldNotCheck(f"MLflow has no run {run_id}, or it was deleted there")
    return found


def find_run(settings: Settings, run_id: str) -> TrackedRun | None:
    """As `read_run`, but None where there is no such run or it was deleted."""
    with _client(settings) as client, tempfile.TemporaryDirectory() as folder:
        run = _get_run(client, run_id)
        if run is None:
            return None
        artifacts: dict[str, str] = {}
        places: dict[str, str] = {}
        for output in run.outputs.model_outputs if run.outputs else []:
            place = client.get_logged_model(output.model_id).artifact_location
            artifacts |= _downloaded(place, Path(folder) / output.model_id)
            places[f"models:/{output.model_id}"] = place
        experiment = client.get_experiment(run.info.experiment_id).name
        return TrackedRun(
            run_id,
            experiment,
            run.info.status,
            dict(run.data.params),
            _metrics(client, run),
            artifacts,
            _registered(client, run_id, places),
        )


def _metrics(client: MlflowClient, run: Any) -> dict[str, float]:
    """The last value of each metric; and, as one more metric, what its history has beside that value.

    MLflow keeps both, in different tables, and shows the history as the metric's curve.
    """
    found = dict(run.data.metrics)
    for name, value in run.data.metrics.items():
        history = [each.value for each in client.get_metric_history(run.info.run_id, name)]
        if history != [value]:
            other = [each for each in history if each != value]
            found[f"{name} (history)"] = other[0] if other else float("nan")
    return found


def list_runs(settings: Settings, origin: str, datasets: Collection[str]) -> dict[str, str]:
    """Every run, deleted ones too, in the experiments of the ledger ``origin``: run id to experiment's name.

    Those are the experiments that it made, and those that no ledger made and that are named like one of
    its ``datasets``. Raises `CouldNotCheck` where MLflow cannot be read.
    """
    with _client(settings) as client:
        found: dict[str, str] = {}
        for experiment in _pages(client.search_experiments, _ALL):
            made_by = experiment.tags.get(_ORIGIN)
            if made_by == origin or (made_by is None and experiment.name in datasets):
                runs = _pages(client.search_runs, [experiment.experiment_id], "", _ALL)
                found |= {run.info.run_id: experiment.name for run in runs}
        return found


def _pages(search: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
    """Everything of a search that MLflow gives page by page."""
    page = search(*arguments)
    yield from page
    while page.token:
        page = search(*arguments, page_token=page.token)
        yield from page


def _get_run(client: MlflowClient, run_id: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return None if run.info.lifecycle_stage == "deleted" else run


def _registered(client: MlflowClient, run_id: str, places: Mapping[str, str]) -> tuple[Registered, ...]:
    """The registry's versions that name a run, held against the ``places`` of the models that it logged."""
    versions = _pages(client.search_model_versions, f"run_id='{run_id}'")
    return tuple(
        Registered(
            version.name,
            str(version.version),
            # What is served is read from the place, what people see is the source: both can be edited.
            own=version.source in places
            and client.get_model_version_download_uri(version.name, version.version)
            == places[version.source],
        )
        for version in versions
    )


def _upload(w: Workspace, dataset: Dataset, record: RunRecord, trained: Trained) -> str:
    """A finished run with all that was sealed; its id. A run that fails is marked as failed in MLflow."""
    from mlflow.entities import LoggedModelOutput

    policy = dataset.policy
    with _client(w.settings) as client, tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "model"
        w.store.open_folder(trained.artifacts, folder)
        experiment = _experiment(client, w.settings, w.ledger.origin, policy.name)
        name = dataset.reference.id.removeprefix("dataset/").replace("/", " v")
        tags = {f"{_TAG}dataset": dataset.reference.id, f"{_TAG}intent": trained.intent.id}
        run_id: str = client.create_run(experiment, tags=tags, run_name=name).info.run_id
        try:
            _log(client, run_id, record, dataset)
            model_id = client.create_logged_model(experiment, "model", source_run_id=run_id).model_id
            client.log_model_artifacts(model_id, str(folder))
            client.finalize_logged_model(model_id, "READY")
            client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
            _register_in_mlflow(client, policy.name, run_id, model_id)
            client.set_terminated(run_id, "FINISHED")
        except BaseException:
            with suppress(Exception):
                client.set_terminated(run_id, "FAILED")
            raise
    return run_id


def _log(client: MlflowClient, run_id: str, record: RunRecord, dataset: Dataset) -> None:
    import json

    from mlflow.entities import Dataset as MlflowDataset
    from mlflow.entities import DatasetInput, Metric, Param

    now = time.time_ns() // 1_000_000
    metrics = [Metric(name, value, now, 0) for name, value in record.metrics.items()]
    params = [Param(name, value) for name, value in record.params.items()]
    for start in range(0, max(len(metrics), len(params)), _BATCH):
        part = slice(start, start + _BATCH)
        client.log_batch(run_id, metrics=metrics[part], params=params[part])
    columns = [
        {"name": column.name, "type": "string" if column.type == "string" else "double", "required": True}
        for column in dataset.policy.columns
    ]
    described = MlflowDataset(
        name=dataset.policy.name,
        digest=dataset.body["table"]["root"][:32],  # all that MLflow has room for
        source_type="tallystick",
        source=json.dumps(dataset.reference.value()),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps({"num_rows": dataset.body["table"]["rows"]}),
    )
    client.log_inputs(run_id, [DatasetInput(described, [])])


def _compare(record: RunRecord, found: TrackedRun) -> None:
    """Raise `NotAsRecorded` where MLflow holds anything else than the run record, naming the first field."""
    for what, sealed, now in (
        ("param", record.params, found.params),
        ("metric", record.metrics, found.metrics),
        ("artifact", record.artifacts, found.artifacts),
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
    for attempt in range(ATTEMPTS):
        latest = w.provenance.latest_version("model", name)
        facts = w.provenance.read(f"model/{name}/{latest}")["facts"] if latest else None
        if facts is not None and facts["run"] == run.id:
            return Reference(f"model/{name}/{latest}", facts["digest"])
        try:
            return w.provenance.register_model(
                requests.of("model"), name=name, version=latest + 1, run=run, artifacts=artifacts
            ).reference
        except Refused as refused:
            if refused.code != VERSION_TAKEN or attempt == ATTEMPTS - 1:
                raise
    raise CouldNotCheck(f"no version of the model {name} could be registered")


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
    with _client(settings) as client:
        versions = client.search_model_versions(f"run_id='{run_id}'")
        if not versions:
            raise CouldNotCheck(f"MLflow has no model version of the run {run_id}")
        client.set_model_version_tag(versions[0].name, versions[0].version, f"{_TAG}model", model.id)
        return str(versions[0].version)


def _experiment(client: MlflowClient, settings: Settings, origin: str, name: str) -> str:
    """The experiment of a dataset. One that another ledger made is left to it: on a shared server each
    ledger answers for every run in its own."""
    found = client.get_experiment_by_name(name)
    if found is not None and found.tags.get(_ORIGIN, origin) != origin:
        name = f"{name}-{origin.rsplit('/', 1)[-1]}"
        found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    place = None
    if _is_local(settings):
        place = private_directory(settings.mlflow_artifacts / name).as_uri()
    return str(client.create_experiment(name, artifact_location=place, tags={_ORIGIN: origin}))


def _downloaded(place: str, folder: Path) -> dict[str, str]:
    from mlflow.artifacts import download_artifacts

    private_directory(folder)
    root = Path(download_artifacts(artifact_uri=place, dst_path=str(folder)))
    return {
        path.relative_to(root).as_posix(): file_digest(path)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def _is_local(settings: Settings) -> bool:
    return settings.mlflow_uri.startswith("sqlite:")


@contextmanager
def _client(settings: Settings) -> Iterator[MlflowClient]:
    """MLflow, quiet and without telemetry. Its errors come out as `CouldNotCheck` without their texts,
    which may quote values."""
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    import mlflow
    from mlflow.exceptions import MlflowException

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        with _alone(settings):
            mlflow.set_tracking_uri(settings.mlflow_uri)  # parts of the registry know no other way
            client: Any = mlflow.MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
            client.get_experiment("0")
        yield client
    except MlflowException as error:
        raise CouldNotCheck(
            f"MLflow could not do its part: {error.error_code}",
            hint=f"Is it there and readable? {settings.mlflow_uri}",
        ) from None


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One process at a time makes MLflow's tables: two at once would trip over each other."""
    if not _is_local(settings):
        yield
        return
    folder = private_directory(settings.mlflow_artifacts.parent)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
