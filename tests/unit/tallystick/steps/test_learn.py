"""Every algorithm of a policy: learns, repeats itself, and comes out in a format that MLflow loads."""

from __future__ import annotations

from pathlib import Path

import lightgbm
import numpy as np
import pyarrow as pa
import pytest
from support.policies import STATED

from tallystick.errors import InvalidInput
from tallystick.policy import DatasetPolicy
from tallystick.steps.execution import execute
from tallystick.steps.features import feature_frame
from tallystick.steps.learn import LIGHTGBM, SKOPS
from tallystick.steps.model_folder import write_model_folder
from tallystick.steps.split import split

BASE = {**STATED, "split": {"kind": "random", "test_fraction": 0.3}}
ROWS = 240
FEW = {"lightgbm": {"n_estimators": 15}, "hist_gradient_boosting": {"max_iter": 15}}


def columns(target: str) -> list[dict[str, object]]:
    return [
        {"name": "y", "type": target},
        {"name": "a", "type": "float", "nullable": True},
        {"name": "flag", "type": "bool"},
        {"name": "site", "type": "string", "values": ["north", "south", "never"]},
    ]


def made_policy(kind: str, algorithm: str, target: str, **params: object) -> DatasetPolicy:
    task = {"kind": kind, "target": "y", "group": "site"}
    model = {"algorithm": algorithm, "params": {**FEW.get(algorithm, {}), **params}, "seed": 3}
    return DatasetPolicy.model_validate({**BASE, "task": task, "model": model, "columns": columns(target)})


def made_table(target: str) -> pa.Table:
    rng = np.random.default_rng(5)
    a = rng.normal(size=ROWS)
    values: dict[str, list[object]] = {
        "float": (3 * a).tolist(),
        "int": (np.digitize(a, [-0.4, 0.4]) * 10).tolist(),
        "bool": (a > 0).tolist(),
        "string": np.where(a > 0, "yes", "no").tolist(),
    }
    a[::9] = np.nan
    return pa.table(
        {
            "y": values[target],
            "a": pa.array(a, from_pandas=True),
            "flag": [bool(row % 2) for row in range(ROWS)],
            "site": ["north" if row % 3 else "south" for row in range(ROWS)],
        }
    )


CASES = [
    ("regression", "lightgbm", "float", LIGHTGBM),
    ("regression", "hist_gradient_boosting", "float", SKOPS),
    ("regression", "linear", "float", SKOPS),
    ("classification", "lightgbm", "bool", LIGHTGBM),
    ("classification", "lightgbm", "int", LIGHTGBM),
    ("classification", "hist_gradient_boosting", "string", SKOPS),
    ("classification", "logistic", "int", SKOPS),
]


@pytest.mark.parametrize(("kind", "algorithm", "target", "format_"), CASES)
def test_it_beats_the_baseline_the_same_way_twice(
    kind: str, algorithm: str, target: str, format_: str
) -> None:
    wanted, table = made_policy(kind, algorithm, target), made_table(target)
    folds = split(table, wanted)
    first, second = execute(table, wanted, folds), execute(table, wanted, folds)
    best = "mae" if kind == "regression" else "logloss"
    assert first.metrics[best] < first.metrics[f"baseline_{best}"]
    assert first.metrics == second.metrics
    assert np.array_equal(first.predictions, second.predictions)
    assert first.predictions.shape == (len(folds[0].evaluation), max(len(first.classes), 1))
    assert first.model.format == format_
    assert first.groups == ["north", "south"]
    assert f"{best}/group_2" in first.metrics
    assert not any("north" in name for name in first.metrics)


def test_classes_are_named_in_the_order_of_their_values() -> None:
    for target, names in (("int", ["0", "10", "20"]), ("bool", ["False", "True"]), ("string", ["no", "yes"])):
        wanted, table = made_policy("classification", "lightgbm", target), made_table(target)
        assert execute(table, wanted, split(table, wanted)).classes == names


@pytest.mark.parametrize(
    ("algorithm", "params"),
    [
        ("lightgbm", {"objective": "no-such-objective"}),
        ("lightgbm", {"num_leaves": -1}),
        ("hist_gradient_boosting", {"no_such_param": 1}),
        ("linear", {"fit_intercept": "canary-of-a-value"}),
    ],
)
def test_parameters_that_cannot_be_used_are_an_error_without_values(
    algorithm: str, params: dict[str, object]
) -> None:
    wanted, table = made_policy("regression", algorithm, "float", **params), made_table("float")
    with pytest.raises(InvalidInput, match="could not be trained") as caught:
        execute(table, wanted, split(table, wanted))
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_whole_number_beyond_a_double_is_rounded_and_not_quoted() -> None:
    wanted, table = made_policy("regression", "lightgbm", "int"), made_table("int")
    big = table.set_column(0, "y", pa.array([2**53 + 1] * ROWS))
    assert np.isfinite(execute(big, wanted, split(big, wanted)).predictions).all()


@pytest.mark.parametrize(("kind", "algorithm", "target", "format_"), CASES)
def test_the_folder_is_the_same_bytes_twice_and_names_its_signature(
    kind: str, algorithm: str, target: str, format_: str, tmp_path: Path
) -> None:
    wanted, table = made_policy(kind, algorithm, target), made_table(target)
    done = execute(table, wanted, split(table, wanted))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_model_folder(tmp_path / name, done.model, wanted, len(done.classes))
    first = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}
    assert sorted(first) == ["MLmodel", done.model.name, "python_env.yaml", "requirements.txt"]
    assert b'"name": "site"' in first["MLmodel"].replace(b"\n    ", b" ")


@pytest.mark.parametrize("algorithm", ["lightgbm", "hist_gradient_boosting", "linear"])
def test_a_column_may_have_any_name(algorithm: str) -> None:
    odd = {"a": 'a[0]{"x": 1}, b', "flag": "the flag", "site": "the_flag"}
    plain, table = made_policy("regression", algorithm, "float"), made_table("float")
    renamed = [
        {**column, "name": odd.get(str(column["name"]), column["name"])} for column in columns("float")
    ]
    task = {"kind": "regression", "target": "y", "group": odd["site"]}
    model = {"algorithm": algorithm, "params": FEW.get(algorithm, {}), "seed": 3}
    policy = DatasetPolicy.model_validate({**BASE, "task": task, "model": model, "columns": renamed})
    named = table.rename_columns([odd.get(name, name) for name in table.column_names])
    folds = split(table, plain)
    done = execute(named, policy, folds)
    assert np.array_equal(done.predictions, execute(table, plain, folds).predictions)
    if algorithm == "lightgbm":
        kept = lightgbm.Booster(model_str=done.model.data.decode())
        rows = feature_frame(named, policy).iloc[folds[0].evaluation]
        assert np.array_equal(kept.predict(rows), np.ravel(done.predictions))
