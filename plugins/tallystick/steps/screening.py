"""The step that looks for identifiers and records what it found, without a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tallystick.clients.provenance import Reference, Requests
from tallystick.steps.errors import CheckFailed
from tallystick.steps.ingest import Ingested
from tallystick.steps.opening import open_dataset
from tallystick.steps.results import Result, fitting
from tallystick.steps.screen import screen
from tallystick.steps.workspace import Workspace


@dataclass(frozen=True)
class Screened(Result):
    """A screening that passed. ``findings`` are what the policy lets stand: {column, class, by, rows}."""

    screening: Reference
    classes: int
    findings: list[dict[str, Any]]


def run_screening(w: Workspace, requests: Requests, ingested: Ingested) -> Screened:
    """Screen a registered dataset against Safe Harbor's identifiers and record the findings that stop it.

    Raises `CheckFailed` after recording where there is one.
    """
    dataset = open_dataset(w, ingested.dataset)
    result = screen(dataset.table, dataset.policy)
    findings = {
        stops: [
            {
                "column": found.column[:200],
                "class": found.identifier_class,
                "by": found.by,
                "rows": found.rows,
            }
            for found in result.findings
            if found.stops == stops
        ]
        for stops in (True, False)
    }
    stopping = findings[True]
    recorded = w.provenance.record_screening(
        requests.of("screening"),
        dataset=ingested.dataset,
        policy=dataset.body["policy"],
        classes=result.checked_classes,
        findings=fitting(stopping, 500),
    )
    if stopping:
        columns = ", ".join(sorted({f'"{found["column"]}" ({found["class"]})' for found in stopping})[:5])
        raise CheckFailed(
            f"{ingested.dataset.id}: the screening found identifiers in {columns}",
            recorded.reference,
            hint=f"It is recorded as {recorded.reference.id}. Remove or generalise these columns.",
        )
    return Screened(recorded.reference, result.checked_classes, findings[False])
