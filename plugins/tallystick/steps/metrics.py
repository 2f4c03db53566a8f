"""How good predictions are, as names and numbers. What is not defined (one class, no spread) is left out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_LEAST_PROBABILITY = 1e-15


def measure(classes: int, target: Floats, predictions: Floats) -> dict[str, float]:
    """The metrics of ``predictions`` (n x 1, or n x ``classes`` probabilities) against ``target`` (n).

    Regression (``classes`` 0): mae, rmse, r2. Classification: accuracy, logloss and, for two classes, auc.
    """
    return _regression(target, predictions[:, 0]) if classes == 0 else _classification(target, predictions)


def baseline(classes: int, training: Floats, rows: int) -> Floats:
    """What needs no features: the mean, or each class's share, of the training target, ``rows`` times."""
    if classes == 0:
        return np.full((rows, 1), training.mean())
    shares = np.bincount(training.astype(np.int64), minlength=classes) / len(training)
    return np.tile(shares, (rows, 1))


def _regression(target: Floats, predicted: Floats) -> dict[str, float]:
    errors = predicted - target
    found = {"mae": float(np.abs(errors).mean()), "rmse": float(np.sqrt((errors**2).mean()))}
    spread = float(((target - target.mean()) ** 2).sum())
    if spread > 0:
        found["r2"] = 1.0 - float((errors**2).sum()) / spread
    return found


def _classification(target: Floats, predicted: Floats) -> dict[str, float]:
    truth = target.astype(np.int64)
    likely = np.clip(predicted[np.arange(len(truth)), truth], _LEAST_PROBABILITY, 1.0)
    found = {
        "accuracy": float((predicted.argmax(axis=1) == truth).mean()),
        "logloss": float(-np.log(likely).mean()),
    }
    positives = int((truth == 1).sum())
    if predicted.shape[1] == 2 and 0 < positives < len(truth):
        found["auc"] = _auc(truth == 1, predicted[:, 1], positives)
    return found


def _auc(positive: npt.NDArray[np.bool_], score: Floats, positives: int) -> float:
    """The share of pairs in the right order (Mann-Whitney), ties as half."""
    _, at, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[at]
    pairs = positives * (len(score) - positives)
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / pairs)
