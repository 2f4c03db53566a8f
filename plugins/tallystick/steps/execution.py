"""One training as a pure function of dataset and folds: what `train` records and `reproduce` does again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from tallystick.policy import DatasetPolicy
from tallystick.steps.features import feature_frame, target_values
from tallystick.steps.learn import Model, learn
from tallystick.steps.metrics import Floats, baseline, measure
from tallystick.steps.split import Fold

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_GROUPS: Final = 50
Metrics = dict[str, float]


@dataclass(frozen=True)
class Execution:
    """What a training gave. ``model`` is the last fold's, the one to be registered. ``predictions`` are the
    folds' evaluation rows' one after another, n x 1 or n x classes. ``groups`` are the values that metrics
    ``…/group_K`` speak of."""

    model: Model
    predictions: Floats
    classes: list[str]
    metrics: Metrics
    fold_metrics: list[Metrics]
    groups: list[str]


def execute(table: pa.Table, policy: DatasetPolicy, folds: Sequence[Fold]) -> Execution:
    """Train on each fold's training rows and judge on its evaluation rows. Raises `InvalidInput`.

    Metrics are those of ``model`` on its own fold's evaluation rows, which it never saw; ``baseline_…`` is
    what its training rows' mean, or their share of each class, would have had, and ``…/group_K`` group K's,
    from 1. Where there are several folds, ``…/fold_K`` is fold K's and ``…/all_folds`` that of all folds'
    predictions together: it judges the way of training, not the one model.
    """
    frame = feature_frame(table, policy)
    target, classes = target_values(table, policy)
    predictions, simple, fold_metrics = [], [], []
    for fold in folds:
        model = learn(policy, frame.iloc[fold.training], target[fold.training], len(classes))
        predictions.append(model.predict(frame.iloc[fold.evaluation]))
        simple.append(baseline(len(classes), target[fold.training], len(fold.evaluation)))
        fold_metrics.append(measure(len(classes), target[fold.evaluation], predictions[-1]))
    rows = folds[-1].evaluation
    metrics = _with_baseline(len(classes), target[rows], predictions[-1], simple[-1])
    if len(folds) > 1:
        every = np.concatenate([fold.evaluation for fold in folds])
        judged = np.concatenate(predictions), np.concatenate(simple)
        of_all = _with_baseline(len(classes), target[every], *judged)
        metrics |= {f"{name}/all_folds": value for name, value in of_all.items()}
        metrics |= _numbered("fold", fold_metrics)
    groups = _groups(table, policy, rows)
    of_group = [measure(len(classes), target[rows[at]], predictions[-1][at]) for _, at in groups]
    metrics |= _numbered("group", of_group)
    names = [name for name, _ in groups]
    return Execution(model, np.concatenate(predictions), classes, metrics, fold_metrics, names)


def _with_baseline(classes: int, target: Floats, predictions: Floats, simple: Floats) -> Metrics:
    found = measure(classes, target, predictions)
    baselines = measure(classes, target, simple)
    return found | {f"baseline_{name}": value for name, value in baselines.items()}


def _numbered(what: str, several: Sequence[Metrics]) -> Metrics:
    """Numbers instead of names: a group's name is a data value, and MLflow must hold none."""
    return {
        f"{name}/{what}_{number}": value
        for number, metrics in enumerate(several, 1)
        for name, value in metrics.items()
    }


def _groups(
    table: pa.Table, policy: DatasetPolicy, rows: npt.NDArray[np.int64]
) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """The most frequent values of the policy's group among ``rows``, sorted, with their places in it."""
    if policy.task.group is None:
        return []
    texts = [str(value) for value in table[policy.task.group].take(rows).to_pylist()]
    names, at, counts = np.unique(np.array(texts), return_inverse=True, return_counts=True)
    kept = np.sort(np.argsort(-counts, kind="stable")[:_MOST_GROUPS])
    return [(str(names[code]), np.flatnonzero(at == code)) for code in kept.tolist()]
