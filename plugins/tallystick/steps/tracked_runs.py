"""What MLflow holds of our runs, read anew: for `track`, which compares before it records, and `verify`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from tallystick.errors import CouldNotCheck
from tallystick.files import private_directory
from tallystick.fingerprint.files import file_digest
from tallystick.settings import Settings
from tallystick.steps.tracking_server import is_of_home, tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: The tag of an experiment that says which ledger made it, and what tags of ours begin with.
TAG: Final = "tallystick."
ORIGIN: Final = f"{TAG}origin"
MODEL: Final = f"{TAG}model"
_ALL: Final = 3  # mlflow.entities.ViewType.ALL, without importing MLflow for it


@dataclass(frozen=True)
class Registered:
    """A version of a registered model. ``own`` where it leads to the model that its run logged; ``model``
    is the record that it says it is of, empty where it says none."""

    name: str
    version: str
    own: bool
    model: str


@dataclass(frozen=True)
class TrackedRun:
    """What MLflow holds of a run. ``fields`` are as a run record's ``tracked`` has them
    (docs/formats/run-record.md); ``artifacts`` the logged models' files and the run's own: path to SHA-256.

    ``elsewhere`` names a place from which MLflow serves them that was not looked at; what is digested lies
    in the home. ``registered`` are the registry's versions that name the run.
    """

    run_id: str
    fields: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    artifacts: dict[str, str]
    elsewhere: str
    registered: tuple[Registered, ...]


def read_run(settings: Settings, run_id: str) -> TrackedRun:
    """What MLflow holds of a run, every artifact digested. Raises `CouldNotCheck` where there is no such
    run or MLflow cannot be read."""
    found = find_run(settings, run_id)
    if found is None:
        raise CouldNotCheck(f"MLflow has no run {run_id}, or it was deleted there")
    return found


def find_run(settings: Settings, run_id: str) -> TrackedRun | None:
    """As `read_run`, but None where there is no such run or it was deleted."""
    with tracking(settings) as client:
        run = _unless_gone(lambda: client.get_run(run_id))
        if run is None or run.info.lifecycle_stage == "deleted":
            return None
        models = _models(client, run)
        fields = _fields(run, models)
        own, elsewhere = _own_files(settings, run)
        if own is None:  # no field of this name is ever recorded
            fields["artifact_uri"] = run.info.artifact_uri
        artifacts = {f"run/{name}": "" for name in own or ()}
        for model in models:
            files, other = _files(settings, model)
            artifacts |= files
            elsewhere = elsewhere or other
        places = {f"models:/{model.model_id}": model.artifact_location for model in models}
        return TrackedRun(
            run_id,
            fields,
            dict(run.data.params),
            _metrics(client, run),
            artifacts,
            elsewhere,
            _registered(client, run_id, places),
        )


def list_runs(
    settings: Settings, origin: str, datasets: Collection[str], recorded: Collection[str] = ()
) -> dict[str, str]:
    """Every run, deleted ones too, in the experiments of the ledger ``origin``: run id to experiment's name.

    Those are the experiments that it made, those that hold a ``recorded`` run, whatever became of their name
    and tags, and those that no ledger made and that are named like one of its ``datasets``. Raises
    `CouldNotCheck` where MLflow cannot be read.
    """
    with tracking(settings) as client:
        known = [_unless_gone(lambda id=run_id: client.get_run(id)) for run_id in recorded]  # type: ignore[misc]
        holding = {run.info.experiment_id for run in known if run is not None}
        found: dict[str, str] = {}
        for experiment in _pages(client.search_experiments, _ALL):
            made_by = experiment.tags.get(ORIGIN)
            named = made_by is None and experiment.name in datasets
            if made_by == origin or experiment.experiment_id in holding or named:
                runs = _pages(client.search_runs, [experiment.experiment_id], "", _ALL)
                found |= {run.info.run_id: experiment.name for run in runs}
        return found


def list_versions(settings: Settings, origin: str, names: Collection[str]) -> dict[tuple[str, str], str]:
    """Every version of the registered models ``names``, by name and version, with its run, if it names one.

    On a shared server those of a run in an experiment that another ledger than ``origin`` made are left to
    it. Raises `CouldNotCheck` where MLflow cannot be read.
    """
    with tracking(settings) as client:

        @cache
        def made_by(run_id: str) -> str:
            run = _unless_gone(lambda: client.get_run(run_id)) if run_id else None
            tags = client.get_experiment(run.info.experiment_id).tags if run else {}
            return str(tags.get(ORIGIN, origin))

        return {
            (name, str(version.version)): version.run_id or ""
            for name in names
            for version in _pages(client.search_model_versions, f"name='{name}'")
            if made_by(version.run_id or "") == origin
        }


def _pages(search: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
    """Everything of a search that MLflow gives page by page."""
    page = search(*arguments)
    yield from page
    while page.token:
        page = search(*arguments, page_token=page.token)
        yield from page


def _unless_gone(read: Callable[[], Any]) -> Any:
    """What ``read`` gives, None where MLflow has no such thing."""
    from mlflow.exceptions import MlflowException

    try:
        return read()
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _models(client: MlflowClient, run: Any) -> list[Any]:
    """The models that a run logged, without those that were deleted."""
    found = [_unless_gone(lambda id=each.model_id: client.get_logged_model(id)) for each in _outputs(run)]  # type: ignore[misc]
    return [model for model in found if model is not None]


def _outputs(run: Any) -> list[Any]:
    return list(run.outputs.model_outputs) if run.outputs else []


def _fields(run: Any, models: list[Any]) -> dict[str, str]:
    found = {
        "run_name": str(run.info.run_name),
        "status": str(run.info.status),
        "start_time": str(run.info.start_time),
        "end_time": str(run.info.end_time),
    }
    found |= {f"tag {name}": text for name, text in run.data.tags.items() if name.startswith(TAG)}
    for number, each in enumerate(run.inputs.dataset_inputs if run.inputs else [], 1):
        name = "dataset" if number == 1 else f"dataset {number}"
        found |= {f"{name}.{part}": str(text) for part, text in each.dataset.to_dictionary().items()}
        found |= {f"{name}.tag {tag.key}": str(tag.value) for tag in each.tags}
    for number, model in enumerate(models, 1):
        name = "model" if number == 1 else f"model {number}"
        own = "this run" if model.source_run_id == run.info.run_id else str(model.source_run_id)
        found |= {f"{name}.name": str(model.name), f"{name}.status": str(model.status), f"{name}.run": own}
        found |= {f"{name}.param {key}": str(text) for key, text in model.params.items()}
        found |= {f"{name}.metric {each.key}": repr(each.value) for each in model.metrics or []}
        more = {"type": model.model_type, "status_message": model.status_message}
        found |= {f"{name}.{part}": str(text) for part, text in more.items() if text}
    for number, each in enumerate(run.inputs.model_inputs if run.inputs else [], 1):
        found[f"model input {number}"] = str(each.model_id)
    found |= {f"{each.model_id}.step": str(each.step) for each in _outputs(run) if each.step}
    return found


def _metrics(client: MlflowClient, run: Any) -> dict[str, float]:
    """The last value of each metric; and, as one more metric, what its history has beside that value, and a
    step that is not 0.

    MLflow keeps both, in different tables, and shows the history as the metric's curve.
    """
    found = dict(run.data.metrics)
    for last in run.data.to_proto().metrics:
        history = client.get_metric_history(run.info.run_id, last.key)
        if [each.value for each in history] != [last.value]:
            other = [each.value for each in history if each.value != last.value]
            found[f"{last.key} (history)"] = other[0] if other else float("nan")
        if steps := [each.step for each in (last, *history) if each.step]:
            found[f"{last.key} (step)"] = float(steps[0])
    return found


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
            model=str(version.tags.get(MODEL, "")),
        )
        for version in versions
    )


def _own_files(settings: Settings, run: Any) -> tuple[list[str] | None, str]:
    """Names of what was logged to the run itself, where `track` logs nothing; None where MLflow's place of
    them is none of `track`'s. And what `TrackedRun.elsewhere` says."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    if is_of_home(settings):
        here, elsewhere = _in_home(settings, run.info.artifact_uri, run.info.run_id, "artifacts")
        if here is None:
            return None, elsewhere
        return [path.relative_to(here).as_posix() for path in _walk(settings, here)], elsewhere
    repository: Any = get_artifact_repository(run.info.artifact_uri)
    return [each.path for each in repository.list_artifacts()], ""


def _files(settings: Settings, model: Any) -> tuple[dict[str, str], str]:
    """A logged model's files, path to SHA-256, none where MLflow's place of them is none of `track`'s; and
    what `TrackedRun.elsewhere` says."""
    from mlflow.artifacts import download_artifacts

    place = model.artifact_location
    if is_of_home(settings):
        here, elsewhere = _in_home(settings, place, "models", model.model_id, "artifacts")
        if here is None:
            return {}, elsewhere
        return {path.relative_to(here).as_posix(): _digest(path) for path in _walk(settings, here)}, elsewhere
    with tempfile.TemporaryDirectory() as folder:
        root = Path(download_artifacts(artifact_uri=place, dst_path=str(private_directory(Path(folder)))))
        paths = [path for path in sorted(root.rglob("*")) if path.is_file()]
        return {path.relative_to(root).as_posix(): file_digest(path) for path in paths}, ""


def _in_home(settings: Settings, place: str, *end: str) -> tuple[Path | None, str]:
    """Where in the home the files at ``place`` lie, which ends in the name of an experiment and ``end``; and
    ``place`` itself if it is another one that is there.

    MLflow keeps absolute paths: in a home that was moved or copied they lead to the one it came from. But
    they have the form in which `track` writes them, letter by letter: of any other (a path alone, a query,
    a fragment) MLflow makes a folder by rules of its own, so it leads to None and is elsewhere.
    """
    path, root = Path(unquote(place.removeprefix("file://"))), settings.mlflow_artifacts
    above, tail = path.parts[: -len(end) - 1], path.parts[-len(end) - 1 :]
    ours = tail[1:] == end and above[-2:] == root.parts[-2:]
    if not ours or not path.is_absolute() or path.as_uri() != place:
        return None, place
    here = root.resolve().joinpath(*tail)
    return here, str(path) if path.resolve() != here.resolve() and path.exists() else ""


def _walk(settings: Settings, folder: Path) -> list[Path]:
    """What lies below ``folder`` and is no directory itself; a link to one, which MLflow follows, is none.
    Raises `CouldNotCheck` for a link that leads out of the home."""
    paths = sorted(folder.rglob("*"))
    home = settings.home.resolve()
    if any(not path.resolve().is_relative_to(home) for path in paths):
        raise CouldNotCheck("a link among a run's artifacts leads out of this home")
    return [path for path in paths if path.is_symlink() or not path.is_dir()]


def _digest(path: Path) -> str:
    """SHA-256 of a file; words for a pipe, a link to a directory, and what else `track` never writes."""
    return file_digest(path) if path.is_file() else "no plain file"
