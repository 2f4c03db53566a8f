"""What a tracking server must tell for its runs to be held against their sealed records.

`steps.track` has it from MLflow; here nothing knows MLflow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol


class FoundVersion(Protocol):
    """A version of a registered model. ``own`` where it leads to the model that its run logged."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def own(self) -> bool: ...


class FoundRun(Protocol):
    """A run as it is tracked now. ``artifacts`` are SHA-256 (hex) by path; ``metrics`` the last values;
    ``registered`` the registry's versions that name this run."""

    @property
    def params(self) -> Mapping[str, str]: ...
    @property
    def metrics(self) -> Mapping[str, float]: ...
    @property
    def artifacts(self) -> Mapping[str, str]: ...
    @property
    def registered(self) -> Sequence[FoundVersion]: ...


class RunReader(Protocol):
    """Reads a tracking server anew. Both methods raise `CouldNotCheck` where it cannot be reached."""

    def run_ids(self, origin: str, datasets: Collection[str]) -> Collection[str]:
        """Every run, deleted ones too, in the experiments of the ledger ``origin``: those that it made, and
        those that nobody's ledger made and that are named like one of its ``datasets``."""

    def run(self, run_id: str) -> FoundRun | None:
        """A run with the digests of its artifacts as they are now; None where it is deleted or not there."""


@dataclass(frozen=True)
class TrackedRuns:
    """A reader that asks once: a model is held against the same run as the run's own record."""

    list_runs: Callable[[str, Collection[str]], Collection[str]]
    read_run: Callable[[str], FoundRun | None]

    def run_ids(self, origin: str, datasets: Collection[str]) -> Collection[str]:
        """As `RunReader.run_ids`."""
        return self.list_runs(origin, datasets)

    def run(self, run_id: str) -> FoundRun | None:
        """As `RunReader.run`."""
        return self._read(run_id)

    @cached_property
    def _read(self) -> Callable[[str], FoundRun | None]:
        return lru_cache(maxsize=1024)(self.read_run)
