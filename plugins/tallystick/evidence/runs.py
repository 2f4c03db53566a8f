"""What a tracking server must tell for its runs to be held against their sealed records.

`steps.tracked_runs` has it from MLflow; here nothing knows MLflow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Protocol

from tallystick.errors import Unreachable


class FoundVersion(Protocol):
    """A version of a registered model. ``own`` where it leads to the model that its run logged; ``model`` is
    the record that it says it is of, if it says one."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def own(self) -> bool: ...
    @property
    def model(self) -> str: ...


class FoundRun(Protocol):
    """A run as it is tracked now. ``fields`` are what else a run record says of it; ``artifacts`` SHA-256
    (hex) by path; ``metrics`` the last values; ``registered`` the registry's versions that name this run.
    ``elsewhere`` is a place beside the one that was read, from which the server hands artifacts out."""

    @property
    def fields(self) -> Mapping[str, str]: ...
    @property
    def params(self) -> Mapping[str, str]: ...
    @property
    def metrics(self) -> Mapping[str, float]: ...
    @property
    def artifacts(self) -> Mapping[str, str]: ...
    @property
    def elsewhere(self) -> str: ...
    @property
    def registered(self) -> Sequence[FoundVersion]: ...


class RunReader(Protocol):
    """Reads a tracking server anew. Every method raises `CouldNotCheck` where it cannot be reached."""

    def run_ids(self, origin: str, datasets: Collection[str], recorded: Collection[str]) -> Collection[str]:
        """Every run, deleted ones too, in the experiments of the ledger ``origin``: those that it made, those
        that hold a ``recorded`` run, and those that nobody's ledger made and that are named like one of its
        ``datasets``."""

    def versions(self, origin: str, names: Collection[str]) -> Mapping[tuple[str, str], str]:
        """Every version of the registered models ``names``, by name and version, with the run that it says it
        is of, empty where it says none; but those of a run of another ledger than ``origin``."""

    def run(self, run_id: str) -> FoundRun | None:
        """A run with the digests of its artifacts as they are now; None where it is deleted or not there."""


class TrackedRuns:
    """A reader that asks once: a model is held against the same run as the run's own record, and a server
    that does not answer is not asked again."""

    def __init__(
        self,
        list_runs: Callable[[str, Collection[str], Collection[str]], Collection[str]],
        list_versions: Callable[[str, Collection[str]], Mapping[tuple[str, str], str]],
        read_run: Callable[[str], FoundRun | None],
    ) -> None:
        self._list_runs = list_runs
        self._list_versions = list_versions
        self._read_run = lru_cache(maxsize=1024)(read_run)
        self._gone: Unreachable | None = None

    def run_ids(self, origin: str, datasets: Collection[str], recorded: Collection[str]) -> Collection[str]:
        """As `RunReader.run_ids`."""
        with self._asking():
            return self._list_runs(origin, datasets, recorded)

    def versions(self, origin: str, names: Collection[str]) -> Mapping[tuple[str, str], str]:
        """As `RunReader.versions`."""
        with self._asking():
            return self._list_versions(origin, names)

    def run(self, run_id: str) -> FoundRun | None:
        """As `RunReader.run`."""
        with self._asking():
            return self._read_run(run_id)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        if self._gone is not None:
            raise self._gone
        try:
            yield
        except Unreachable as error:
            self._gone = error
            raise
