"""What a tracking server must tell for its runs to be held against their sealed records.

`steps.track` has it from MLflow; here nothing knows MLflow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run as it is tracked now. ``artifacts`` are SHA-256 (hex) by path; ``metrics`` the last values."""

    params: Mapping[str, str]
    metrics: Mapping[str, float]
    artifacts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A registered model's version as it is tracked now."""

    run_id: str
    artifacts: Mapping[str, str]


class RunReader(Protocol):
    """Reads a tracking server anew. Every method raises `CouldNotCheck` where it cannot be reached."""

    def run_ids(self) -> Collection[str]:
        """Every run, deleted ones included, in the experiments that belong to this ledger."""

    def run(self, run_id: str) -> FoundRun | None:
        """A run, or None where there is none or it is deleted."""

    def model(self, name: str, version: int) -> FoundModel | None:
        """A version of a registered model, or None."""
