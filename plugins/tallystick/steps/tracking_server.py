"""The way to MLflow: quiet, without telemetry, bounded in time, its errors turned into `CouldNotCheck`."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tallystick.errors import CouldNotCheck, TallystickError, Unreachable
from tallystick.files import alone, check_database, private_directory
from tallystick.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

_QUIET: Final = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
#: MLflow's own (7 retries of 120 s, and whatever pause a server asks for) are more than anybody waits for.
_BOUNDS: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}
_SQLITE: Final = "sqlite:///"


def is_local(settings: Settings) -> bool:
    """Whether runs are kept in a file of this machine and not on a server."""
    return settings.mlflow_uri.startswith(_SQLITE)


def is_of_home(settings: Settings) -> bool:
    """Whether that file lies in the home, so that artifacts do too."""
    database = Path(settings.mlflow_uri.removeprefix(_SQLITE)).resolve()
    return is_local(settings) and database.is_relative_to(settings.home.resolve())


@contextmanager
def tracking(settings: Settings) -> Iterator[MlflowClient]:
    """A client of MLflow. What MLflow raises meanwhile comes out as `CouldNotCheck`, without its text, which
    may quote values; `Unreachable` where it cannot be asked anything.

    An unreachable server is given up after less than a minute, unless MLflow's own variables say otherwise.
    """
    os.environ |= _QUIET
    with _bounded():
        with _translated(settings, Unreachable, "MLflow cannot be reached"):
            _look(settings)
            client = _client(settings)
        with _translated(settings, CouldNotCheck, "MLflow could not do its part"):
            yield client


def _look(settings: Settings) -> None:
    """Raise `Unreachable` for a file of a database that cannot be opened: MLflow would try for an hour."""
    file = Path(settings.mlflow_uri.removeprefix(_SQLITE))
    if not is_local(settings):
        return
    try:
        check_database(file)
        if file.exists() and not os.access(file, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise Unreachable(
            f"MLflow's database {file} cannot be opened: {error.strerror}",
            hint="Put it back as it was, or restore it from a backup.",
        ) from None


def _client(settings: Settings) -> MlflowClient:
    import mlflow
    from mlflow.exceptions import MlflowException

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with _making_tables(settings):
        mlflow.set_tracking_uri(settings.mlflow_uri)  # parts of the registry know no other way
        client: Any = mlflow.MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
        try:
            client.get_experiment("0")
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    made: MlflowClient = client
    return made


@contextmanager
def _translated(settings: Settings, kind: type[CouldNotCheck], message: str) -> Iterator[None]:
    try:
        yield
    except TallystickError:
        raise
    except Exception as error:
        # What lies beneath MLflow (SQLAlchemy, requests, storage) raises classes of its own; a damaged
        # database makes it trip over anything.
        said = getattr(error, "error_code", None) or type(error).__name__
        raise kind(f"{message}: {said}", hint=f"Is it there and whole? {settings.mlflow_shown}") from None


@contextmanager
def _bounded() -> Iterator[None]:
    """Our patience for as long as this lasts; variables that are set stay as they are."""
    ours = {name: value for name, value in _BOUNDS.items() if name not in os.environ}
    os.environ |= ours
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


@contextmanager
def _making_tables(settings: Settings) -> Iterator[None]:
    """One process at a time makes MLflow's tables: two at once would trip over each other."""
    with ExitStack() as stack:
        if is_local(settings):
            # Where nothing can be written no tables are made either, but there may be some to read.
            with suppress(CouldNotCheck):
                folder = private_directory(settings.mlflow_artifacts.parent)
                stack.enter_context(alone(folder / "lock"))
        yield
