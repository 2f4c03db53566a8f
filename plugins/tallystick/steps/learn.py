"""Trains one model by one of the policy's algorithms; the model comes out in the algorithm's own format."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tallystick.errors import InvalidInput
from tallystick.policy import DatasetPolicy
from tallystick.steps.metrics import Floats

if TYPE_CHECKING:
    import pandas as pd

LIGHTGBM: Final = "lightgbm-text"
SKOPS: Final = "skops"
#: Fixed, so that a machine with more cores trains the same model.
THREADS: Final = 2
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
_ROUNDS: Final = ("n_estimators", "num_iterations", "num_boost_round")


@dataclass(frozen=True)
class Model:
    """A trained model. ``data`` is the file ``name`` as it is kept; ``trusted`` the types beyond skops' own
    that reading it needs. ``predict`` gives n x 1 values, or n x classes probabilities."""

    name: str
    format: str
    data: bytes
    trusted: tuple[str, ...]
    predict: Callable[[pd.DataFrame], Floats]


def learn(policy: DatasetPolicy, frame: pd.DataFrame, target: Floats, classes: int) -> Model:
    """Train on ``frame`` and ``target`` (class indices where ``classes`` is not 0), by the policy's seed.

    Raises `InvalidInput` where the algorithm cannot work with the policy's parameters or columns.
    """
    train = _lightgbm if policy.model.algorithm == "lightgbm" else _sklearn
    try:
        with warnings.catch_warnings():
            # A warning of theirs may quote values, and a log would keep it.
            warnings.simplefilter("ignore")
            return train(policy, frame, target, classes)
    except (ValueError, TypeError, KeyError, ArithmeticError, _lightgbm_error()) as error:
        # Their messages may quote values, so nothing of them is shown or chained.
        raise InvalidInput(
            f"{policy.model.algorithm} could not be trained on {policy.name}: {type(error).__name__}",
            hint="Check model.params in the policy, and keep columns of free text out (class: excluded).",
        ) from None


def _lightgbm_error() -> type[Exception]:
    import lightgbm

    found: type[Exception] = lightgbm.basic.LightGBMError
    return found


def _lightgbm(policy: DatasetPolicy, frame: pd.DataFrame, target: Floats, classes: int) -> Model:
    import lightgbm

    params: dict[str, Any] = {"num_threads": THREADS, **_objective(classes), **policy.model.params}
    rounds = [params.pop(name) for name in _ROUNDS if name in params]
    params |= {
        "seed": policy.model.seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    named = frame.set_axis(_lightgbm_names(list(frame.columns)), axis="columns")
    booster = lightgbm.train(params, lightgbm.Dataset(named, target), rounds[0] if rounds else 100)

    def predict(rows: pd.DataFrame) -> Floats:
        return _columns(np.asarray(booster.predict(rows), np.float64), classes)

    return Model("model.lgb", LIGHTGBM, booster.model_to_string().encode(), (), predict)


def _lightgbm_names(names: list[str]) -> list[str]:
    """The names, or numbers for all where LightGBM would refuse or rewrite one. It predicts by position."""
    plain = all(_PLAIN_NAME.fullmatch(name) for name in names)
    return names if plain else [f"column_{position}" for position in range(1, len(names) + 1)]


def _objective(classes: int) -> dict[str, Any]:
    if classes == 0:
        return {"objective": "regression"}
    if classes == 2:
        return {"objective": "binary"}
    return {"objective": "multiclass", "num_class": classes}


def _columns(predictions: Floats, classes: int) -> Floats:
    """LightGBM's predictions as n x 1 or n x classes: of two classes it gives only the second's."""
    if classes == 2 and predictions.ndim == 1:
        return np.column_stack([1.0 - predictions, predictions])
    return predictions.reshape(len(predictions), -1)


def _sklearn(policy: DatasetPolicy, frame: pd.DataFrame, target: Floats, classes: int) -> Model:
    import skops.io  # type: ignore[import-untyped]

    estimator = _estimator(policy, frame, classes)
    estimator.fit(frame, target if classes == 0 else target.astype(np.int64))

    def predict(rows: pd.DataFrame) -> Floats:
        if classes == 0:
            return np.asarray(estimator.predict(rows), np.float64).reshape(-1, 1)
        # A class that the training rows lack has probability 0.
        full = np.zeros((len(rows), classes))
        full[:, estimator.classes_] = estimator.predict_proba(rows)
        return full

    data = skops.io.dumps(estimator)
    return Model("model.skops", SKOPS, data, tuple(skops.io.get_untrusted_types(data=data)), predict)


def _estimator(policy: DatasetPolicy, frame: pd.DataFrame, classes: int) -> Any:
    seed, params = policy.model.seed, policy.model.params
    if policy.model.algorithm == "hist_gradient_boosting":
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
        return kind(**params, random_state=seed)
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    texts = [name for name in frame.columns if frame[name].dtype == "category"]
    numbers = [name for name in frame.columns if name not in texts]
    prepared = make_column_transformer(
        (make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
    )
    if classes:
        logistic = LogisticRegression(**{"max_iter": 1000, **params}, random_state=seed)
        return make_pipeline(prepared, logistic)
    return make_pipeline(prepared, LinearRegression(**params))
