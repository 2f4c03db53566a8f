"""Trains a recorded run again from its records alone, and compares metrics and predictions with them.

Two numbers agree where they differ by at most `ABSOLUTE` + `RELATIVE` x the recorded one's magnitude:
room for another machine's rounding, none for another model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tallystick import sealing
from tallystick.errors import InvalidInput
from tallystick.steps.code_version import code_version, environment_digest
from tallystick.steps.execution import execute
from tallystick.steps.metrics import Floats
from tallystick.steps.opening import open_dataset
from tallystick.steps.records import FoundRecord, find_record
from tallystick.steps.results import Result, reference
from tallystick.steps.run_record import RunRecord, read_predictions, read_run_record, rows_value
from tallystick.steps.train import make_plan
from tallystick.steps.workspace import Workspace

RELATIVE: Final = 1e-6
ABSOLUTE: Final = 1e-9


@dataclass(frozen=True)
class Reproduced(Result):
    """What training again gave. ``metrics`` are {name, recorded, again, agrees}; ``predictions`` {rows,
    identical, largest_difference, agrees}; ``rows`` whether the same rows were chosen. ``differs`` names
    what is not as it was then (code, environment): no failure by itself."""

    run: str
    reproduced: bool
    rows: bool
    metrics: list[dict[str, Any]]
    predictions: dict[str, Any]
    differs: list[str]
    tolerance: dict[str, float]


def reproduce(w: Workspace, record_id: str) -> Reproduced:
    """Train again what the run or model ``record_id`` records; nothing is written to the ledger.

    Raises `InvalidInput` for a record of another kind, `CouldNotCheck` where data or keys are erased or
    not here, and `NotAsRecorded` where they differ from what is recorded.
    """
    run = _run(w, record_id)
    intent = find_record(w, reference(run.body["intent"]))
    dataset = open_dataset(w, reference(intent.body["dataset"]))
    recorded = read_run_record(w.store, sealing.resolve(w.store, run.body["sealed"], dataset.sealing))
    plan = make_plan(dataset)
    rows = (
        rows_value(*plan.training) == intent.body["training"]
        and rows_value(*plan.evaluation) == intent.body["evaluation"]
    )
    done = execute(dataset.table, dataset.policy, plan.folds)
    metrics = _metrics(recorded, done.metrics)
    predictions = _predictions(read_predictions(w.store, recorded.value["predictions"]), done.predictions)
    same = rows and predictions["agrees"] and all(metric["agrees"] for metric in metrics)
    return Reproduced(
        run.value["id"],
        bool(same),
        rows,
        metrics,
        predictions,
        _differs(recorded),
        {"relative": RELATIVE, "absolute": ABSOLUTE},
    )


def _run(w: Workspace, record_id: str) -> FoundRecord:
    kind = record_id.split("/")[0]
    if kind not in ("run", "model"):
        raise InvalidInput(f"{record_id} is neither a run nor a model", hint="See the ids with: tally log")
    found = find_record(w, record_id)
    return found if kind == "run" else find_record(w, reference(found.body["run"]))


def _metrics(recorded: RunRecord, again: dict[str, float]) -> list[dict[str, Any]]:
    then = recorded.metrics
    return [
        {
            "name": name,
            "recorded": then.get(name),
            "again": again.get(name),
            "agrees": name in then and name in again and _close(then[name], again[name]),
        }
        for name in sorted(then.keys() | again.keys())
    ]


def _predictions(then: Floats, again: Floats) -> dict[str, Any]:
    if then.shape != again.shape:
        return {"rows": len(again), "identical": False, "largest_difference": None, "agrees": False}
    return {
        "rows": len(again),
        "identical": bool(np.array_equal(then, again)),
        "largest_difference": float(np.abs(then - again).max(initial=0.0)),
        "agrees": bool(np.all(np.abs(then - again) <= ABSOLUTE + RELATIVE * np.abs(then))),
    }


def _close(then: float, again: float) -> bool:
    return abs(then - again) <= ABSOLUTE + RELATIVE * abs(then)


def _differs(recorded: RunRecord) -> list[str]:
    code = code_version()
    now = {
        "code": {"commit": code.commit, "changes": code.changes},
        "environment": environment_digest(),
    }
    return [name for name, value in now.items() if recorded.value[name] != value]
