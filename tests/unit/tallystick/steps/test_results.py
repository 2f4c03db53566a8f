"""Results between tasks and run records in the store: what went in comes out, and nothing else does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from chaincode import canonical
from tallystick import floats
from tallystick.clients.provenance import Reference
from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.steps import run_record
from tallystick.steps.results import Result, fitting
from tallystick.store import Store


@dataclass(frozen=True)
class Sample(Result):
    record: Reference
    names: list[str]
    number: float


SAMPLE = Sample(Reference("dataset/x/1", "ab" * 32), ["a"], 0.1)


def test_a_result_survives_json() -> None:
    assert Sample.from_value(json.loads(json.dumps(SAMPLE.value()))) == SAMPLE


@pytest.mark.parametrize(
    "value", [None, {}, {**SAMPLE.value(), "more": 1}, {**SAMPLE.value(), "record": "dataset/x/1"}]
)
def test_anything_else_is_no_result(value: object) -> None:
    with pytest.raises(InvalidInput):
        Sample.from_value(value)


def test_predictions_come_back_as_they_were_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "objects")
    predictions = np.array([[0.1, -0.0], [1e300, 5e-324]])
    place = run_record.keep_predictions(store, predictions)
    assert np.array_equal(run_record.read_predictions(store, place), predictions)
    with pytest.raises(NotAsRecorded, match="not as many"):
        run_record.read_predictions(store, {**place, "rows": 3})


@pytest.mark.parametrize("data", [b"{", b"[]", canonical.encode({"v": 2, "predictions": {}})])
def test_what_is_no_run_record_is_refused(tmp_path: Path, data: bytes) -> None:
    store = Store(tmp_path / "objects")
    with pytest.raises(NotAsRecorded):
        run_record.read_run_record(store, store.add_bytes(data))


def test_metrics_are_finite_or_refused() -> None:
    metrics = {"mae": 0.1 + 0.2, "r2": -1e-17}
    assert floats.untag(run_record.tagged(metrics)) == metrics
    with pytest.raises(InvalidInput, match="mae is not a finite number"):
        run_record.tagged({"mae": float("nan")})


def test_a_record_has_room_for_what_fits() -> None:
    assert fitting(["a", "b", "c"], 2) == ["a", "b"]
    many = fitting(["é" * 300] * 200, 200)
    assert 0 < len(many) < 200
    assert len(canonical.encode(many)) <= 40 << 10
