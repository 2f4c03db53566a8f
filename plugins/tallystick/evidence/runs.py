"""What a tracking server must tell for its runs to be held against their sealed records.

`steps.track` has it from MLflow; here nothing knows MLflow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol


class FoundRun(Protocol):
    """A run as it is tracked now. ``artifacts`` are SHA-256 (hex) by path; ``metrics`` the last values."""

    @property
    def params(self) -> Mapping[str, str]: ...
    @property
    def metrics(self) -> Mapping[str, float]: ...
    @property
    def artifacts(self) -> Mapping[str, str]: ...


class RunReader(Protocol):
    """Reads a tracking server anew. Both methods raise `CouldNotCheck` where it cannot be reached."""

    def run_ids(self) -> Collection[str]:
        """Every run in the experiments that belong to this ledger."""

    def run(self, run_id: str) -> FoundRun:
        """One of `run_ids`, with the digests of its artifacts as they are now."""


@dataclass(frozen=True)
class TrackedRuns:
    """A reader that asks once: a model is held against the same run as the run's own record."""

    list_runs: Callable[[], Collection[str]]
    read_run: Callable[[str], FoundRun]

    def run_ids(self) -> Collection[str]:
        """As `RunReader.run_ids`."""
        return self._run_ids

    def run(self, run_id: str) -> FoundRun:
        """As `RunReader.run`."""
        return self._read(run_id)

    @cached_property
    def _run_ids(self) -> Collection[str]:
        return frozenset(self.list_runs())

    @cached_property
    def _read(self) -> Callable[[str], FoundRun]:
        return lru_cache(maxsize=1024)(self.read_run)
