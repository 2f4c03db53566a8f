"""Metrics against scikit-learn's, and what is left out because it is not defined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as peer

from tallystick.steps.metrics import baseline, measure


def test_regression_is_what_scikit_learn_says() -> None:
    rng = np.random.default_rng(1)
    target, predicted = rng.normal(size=50), rng.normal(size=50)
    found = measure(0, target, predicted.reshape(-1, 1))
    assert found["mae"] == pytest.approx(peer.mean_absolute_error(target, predicted))
    assert found["rmse"] == pytest.approx(peer.root_mean_squared_error(target, predicted))
    assert found["r2"] == pytest.approx(peer.r2_score(target, predicted))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_two_classes_are_what_scikit_learn_says(rows: list[tuple[bool, int]]) -> None:
    target = np.array([float(positive) for positive, _ in rows])
    score = np.array([(step + 1) / 8 for _, step in rows])
    found = measure(2, target, np.column_stack([1 - score, score]))
    assert found["accuracy"] == pytest.approx(peer.accuracy_score(target, score > 0.5))
    assert found["logloss"] == pytest.approx(peer.log_loss(target, score, labels=[0, 1]))
    if 0 < target.sum() < len(target):
        assert found["auc"] == pytest.approx(peer.roc_auc_score(target, score))
    else:
        assert "auc" not in found


def test_what_is_not_defined_is_left_out() -> None:
    assert "r2" not in measure(0, np.ones(3), np.zeros((3, 1)))
    assert "auc" not in measure(3, np.array([0.0, 1.0, 2.0]), np.full((3, 3), 1 / 3))


def test_a_class_held_impossible_costs_much_but_not_infinity() -> None:
    assert np.isfinite(measure(2, np.array([1.0]), np.array([[1.0, 0.0]]))["logloss"])


def test_the_baseline_knows_only_the_training_target() -> None:
    assert baseline(0, np.array([1.0, 3.0]), 2).tolist() == [[2.0], [2.0]]
    assert baseline(3, np.array([0.0, 0.0, 1.0, 0.0]), 1).tolist() == [[0.75, 0.25, 0.0]]
