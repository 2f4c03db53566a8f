"""Folds: what is on which side, and that it is the same every time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.policies import STATED

from chaincode import canonical
from tallystick.errors import InvalidInput
from tallystick.policy import DatasetPolicy
from tallystick.steps.features import equal_covariates, feature_frame
from tallystick.steps.split import _by_first_row, all_rows, split

BASE = {
    **STATED,
    "task": {"kind": "regression", "target": "y"},
    "model": {"algorithm": "linear", "seed": 7},
    "columns": [
        {"name": "y", "type": "float", "nullable": True},
        {"name": "a", "type": "int", "nullable": True},
        {"name": "b", "type": "string", "nullable": True},
        {"name": "g", "type": "string", "class": "group"},
        {"name": "t", "type": "int", "class": "time"},
    ],
}


def policy(seed: int = 7, **split: object) -> DatasetPolicy:
    model = {"algorithm": "linear", "seed": seed}
    return DatasetPolicy.model_validate({**BASE, "model": model, "split": split})


def table(a: list[int], **columns: list[object]) -> pa.Table:
    n = len(a)
    rows = {"y": [float(i) for i in range(n)], "a": a, "b": ["x"] * n, "g": ["g"] * n, "t": list(range(n))}
    return pa.table({**rows, **columns})


def sides(made: pa.Table, wanted: DatasetPolicy) -> tuple[list[int], list[int]]:
    (fold,) = split(made, wanted)
    return fold.training.tolist(), fold.evaluation.tolist()


@given(st.lists(st.integers(0, 12), min_size=30, max_size=60), st.integers(0, 1000))
def test_random_keeps_equal_covariates_on_one_side(a: list[int], seed: int) -> None:
    a += list(range(100, 110))
    training, evaluation = sides(table(a), policy(seed, kind="random", test_fraction=0.25))
    assert sorted(training + evaluation) == list(range(len(a)))
    assert not {a[row] for row in training} & {a[row] for row in evaluation}
    assert 0 < len(evaluation) <= int(np.ceil(0.25 * len(a)))


def test_without_equal_covariates_together_every_row_stands_alone() -> None:
    alone = policy(kind="random", test_fraction=0.5, equal_covariates_together=False)
    _, evaluation = sides(table([1] * 20), alone)
    assert len(evaluation) == 10
    with pytest.raises(InvalidInput, match="no rows to be judged on"):
        split(table([1] * 20), policy(kind="random", test_fraction=0.5))


def test_the_seed_decides_and_nothing_else() -> None:
    made = table(list(range(50)))
    first = sides(made, policy(1, kind="random", test_fraction=0.2))
    assert first == sides(made, policy(1, kind="random", test_fraction=0.2))
    assert first != sides(made, policy(2, kind="random", test_fraction=0.2))
    assert first[1] == [3, 4, 11, 13, 14, 18, 28, 39, 45, 49]


def test_rows_without_a_target_take_no_part() -> None:
    y = [None if row % 2 else float(row) for row in range(20)]
    training, evaluation = sides(table(list(range(20)), y=y), policy(kind="random", test_fraction=0.3))
    assert sorted(training + evaluation) == list(range(0, 20, 2))


def test_groups_and_what_hangs_together_through_equal_covariates_stay_on_one_side() -> None:
    groups = [name for name in "abcdefghij" for _ in range(3)]
    a = list(range(30))
    a[3] = a[0]  # ties group b to group a
    together = policy(kind="group", column="g", test_fraction=0.4)
    for seed in range(20):
        (fold,) = split(
            table(a, g=groups),
            together.model_copy(
                update={"model": policy(seed, **{"kind": "random", "test_fraction": 0.1}).model}
            ),
        )
        sides_of = [{groups[row] for row in part} for part in (fold.training, fold.evaluation)]
        assert not sides_of[0] & sides_of[1]
        assert any({"a", "b"} <= side for side in sides_of)


@pytest.mark.parametrize("together", [True, False])
def test_groups_are_drawn_in_the_order_of_their_first_rows(together: bool) -> None:
    """As docs/formats/run-record.md says, whatever the groups are called and however they are tied."""
    names = [*"gcabdefh", *"hgfedcba"]
    by_group = policy(kind="group", column="g", test_fraction=0.4, equal_covariates_together=together)
    a = list(range(16))
    a[9] = a[2]  # ties the groups g and a
    tied = {"a": "g"} if together else {}
    units = [tied.get(name, name) for name in names]
    order = list(dict.fromkeys(units))
    seed = int(canonical.digest(canonical.encode(["tallystick-split-v1", 7])), 16)
    draws = np.random.PCG64(seed).random_raw(len(order))
    held: list[str] = []
    left = 7
    for at in np.argsort(draws, kind="stable").tolist():
        if units.count(order[at]) <= left:
            held.append(order[at])
            left -= units.count(order[at])
    assert sides(table(a, g=names), by_group)[1] == [row for row, unit in enumerate(units) if unit in held]


def test_units_are_numbered_by_their_first_row_whoever_labelled_them() -> None:
    assert _by_first_row(np.array([5, 2, 5, 9, 2, 0])).tolist() == [0, 1, 0, 2, 1, 3]


def test_time_with_a_fraction_holds_the_last_rows_out() -> None:
    training, evaluation = sides(
        table(list(range(10)), t=[9, 8, 7, 6, 5, 4, 3, 2, 2, 1]),
        policy(kind="time", column="t", test_fraction=0.2),
    )
    assert evaluation == [0, 1]
    assert training == list(range(2, 10))


def test_equal_times_stay_on_one_side() -> None:
    _, evaluation = sides(
        table(list(range(6)), t=[1, 2, 3, 4, 4, 4]), policy(kind="time", column="t", test_fraction=0.2)
    )
    assert evaluation == [3, 4, 5]


def test_walk_forward_never_looks_ahead() -> None:
    made = table(list(range(12)))
    folds = split(made, policy(kind="time", column="t", boundaries=["4", "8"]))
    assert [(f.training.tolist(), f.evaluation.tolist()) for f in folds] == [
        ([0, 1, 2, 3], [4, 5, 6, 7]),
        ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11]),
    ]
    assert all_rows([fold.evaluation for fold in folds]).tolist() == list(range(4, 12))


def test_by_time_a_row_that_was_seen_judges_nothing() -> None:
    a = list(range(12))
    a[9] = a[2]
    folds = split(table(a), policy(kind="time", column="t", boundaries=["4", "8"]))
    assert folds[1].evaluation.tolist() == [8, 10, 11]


def test_a_fold_without_rows_is_refused() -> None:
    with pytest.raises(InvalidInput, match="fold 2 no rows to be judged on"):
        split(table(list(range(6))), policy(kind="time", column="t", boundaries=["3", "99"]))


@pytest.mark.parametrize(
    ("kind", "values", "boundary"),
    [
        ("date", pa.array([0, 1, 2, 3], pa.date32()), "1970-01-03"),
        ("timestamp", pa.array([0, 1, 2, 3], pa.timestamp("us", "UTC")), "1970-01-01T00:00:00.000002"),
        ("timestamp", pa.array([0, 1, 2, 3], pa.timestamp("us", "UTC")), "1970-01-01T01:00:00.000002+01:00"),
    ],
)
def test_a_boundary_is_the_first_moment_that_is_judged(kind: str, values: pa.Array, boundary: str) -> None:
    columns = [*BASE["columns"][:-1], {"name": "t", "type": kind, "class": "time"}]
    by_time = {"kind": "time", "column": "t", "boundaries": [boundary]}
    wanted = DatasetPolicy.model_validate({**BASE, "columns": columns, "split": by_time})
    training, evaluation = sides(table([1, 2, 3, 4], t=values), wanted)
    assert (training, evaluation) == ([0, 1], [2, 3])


def test_equal_covariates_take_missing_for_equal_and_minus_zero_for_zero(
    make_policy: Callable[..., DatasetPolicy],
) -> None:
    wanted = make_policy("{name: s, type: string, nullable: true}", "{name: f, type: float, nullable: true}")
    made = pa.table(
        {
            "cost": [1.0, 2.0, 3.0, 4.0],
            "n": [1, 1, 1, 1],
            "s": [None, None, "x", None],
            "f": [float("nan"), None, 0.0, -0.0],
        }
    )
    numbers = equal_covariates(feature_frame(made, wanted))
    assert numbers[0] == numbers[1]
    assert len(set(numbers.tolist())) == 3
    zeros = made.set_column(2, "s", pa.array(["x"] * 4)).slice(2)
    assert len(set(equal_covariates(feature_frame(zeros, wanted)).tolist())) == 1
