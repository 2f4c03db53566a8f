"""One training: which of several folds' models is the registered one, and whose each metric is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.policies import STATED

from tallystick.policy import DatasetPolicy
from tallystick.steps.execution import Execution, execute
from tallystick.steps.features import feature_frame, target_values
from tallystick.steps.learn import learn
from tallystick.steps.metrics import measure
from tallystick.steps.split import Fold, split
from tallystick.steps.train import Plan, _fold_params

ROWS = 60


def policy(**split: Any) -> DatasetPolicy:
    return DatasetPolicy.model_validate(
        {
            **STATED,
            "task": {"kind": "regression", "target": "y", "group": "g"},
            "model": {"algorithm": "linear", "seed": 7},
            "split": split,
            "columns": [
                {"name": "y", "type": "float"},
                {"name": "a", "type": "int"},
                {"name": "g", "type": "string"},
                {"name": "t", "type": "int"},
            ],
        }
    )


WALK = policy(kind="time", column="t", boundaries=["30", "40", "50"])
ONE = policy(kind="time", column="t", boundaries=["30"])
# What is learnt early is wrong later, so that no two folds have the same metrics.
TABLE = pa.table(
    {
        "y": [float(row * row) for row in range(ROWS)],
        "a": list(range(ROWS)),
        "g": ["left" if row % 2 else "right" for row in range(ROWS)],
        "t": list(range(ROWS)),
    }
)


@pytest.fixture(scope="module")
def walked() -> tuple[list[Fold], Execution]:
    folds = split(TABLE, WALK)
    return folds, execute(TABLE, WALK, folds)


def test_a_metric_without_a_suffix_is_the_registered_models_on_rows_it_never_saw(
    walked: tuple[list[Fold], Execution],
) -> None:
    folds, done = walked
    frame, (target, _) = feature_frame(TABLE, WALK), target_values(TABLE, WALK)
    last = folds[-1]
    again = learn(WALK, frame.iloc[last.training], target[last.training], 0)
    assert again.predict(frame).tolist() == done.model.predict(frame).tolist()
    own = measure(0, target[last.evaluation], done.model.predict(frame.iloc[last.evaluation]))
    assert {name: done.metrics[name] for name in own} == own == done.fold_metrics[-1]
    assert not set(last.training) & set(last.evaluation)


def test_the_metrics_of_all_folds_are_named_so(walked: tuple[list[Fold], Execution]) -> None:
    folds, done = walked
    target, _ = target_values(TABLE, WALK)
    every = np.concatenate([fold.evaluation for fold in folds])
    assert done.metrics["mae/all_folds"] == measure(0, target[every], done.predictions)["mae"]
    assert done.metrics["mae/all_folds"] != done.metrics["mae"]
    assert [done.metrics[f"mae/fold_{number}"] for number in (1, 2, 3)] == [
        metrics["mae"] for metrics in done.fold_metrics
    ]
    assert {"baseline_mae", "baseline_mae/all_folds", "mae/group_1", "mae/group_2"} <= done.metrics.keys()


def test_one_fold_has_no_metrics_of_folds() -> None:
    done = execute(TABLE, ONE, split(TABLE, ONE))
    assert not [name for name in done.metrics if "fold" in name]


def test_params_say_which_folds_model_is_registered(walked: tuple[list[Fold], Execution]) -> None:
    folds, _ = walked
    parts = [(("root", len(fold.training)), ("root", len(fold.evaluation))) for fold in folds]
    plan = Plan(folds, ("root", 50), ("root", 30), parts)
    assert _fold_params(plan) == {
        "folds": "3",
        "registered_model": "fold 3 of 3, the last; not refitted on the rows it was judged on",
        "registered_model.training_rows": "50",
        "registered_model.evaluation_rows": "10",
    }
    assert _fold_params(Plan(folds[:1], *parts[0], parts[:1])) == {}
