"""The sealed run record: what a training was and what came out of it. docs/formats/run-record.md."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from chaincode import canonical
from tallystick import floats
from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.steps.metrics import Floats
from tallystick.store import Store

MAX_RECORD: Final = 16 << 20
_MAX_PREDICTIONS: Final = 4 << 30


@dataclass(frozen=True)
class RunRecord:
    """A run record, read back. Names are those of its fields."""

    value: Mapping[str, Any]

    @property
    def params(self) -> dict[str, str]:
        """Name to text, exactly as in MLflow."""
        return dict(self.value["params"])

    @property
    def metrics(self) -> dict[str, float]:
        """Name to number, exactly as in MLflow."""
        return dict(floats.untag(self.value["metrics"]))

    @property
    def tracked(self) -> dict[str, str]:
        """Name to text: what else MLflow is told of the run."""
        return dict(self.value["tracked"])

    @property
    def artifacts(self) -> dict[str, str]:
        """Path below the model's artifacts to SHA-256."""
        return dict(self.value["artifacts"])


def read_run_record(store: Store, digest: str) -> RunRecord:
    """The run record of a SHA-256. Raises `CouldNotCheck` and `NotAsRecorded` as `Store.read` does."""
    try:
        value = canonical.decode(store.read(digest, MAX_RECORD))
    except canonical.NotCanonical:
        raise NotAsRecorded(f"object {digest[:12]} is no run record") from None
    if not isinstance(value, dict) or value.get("v") != 1 or not value.keys() >= {"predictions", "tracked"}:
        raise NotAsRecorded(f"object {digest[:12]} is no run record of a known version")
    return RunRecord(value)


def tagged(metrics: Mapping[str, float]) -> dict[str, Any]:
    """Metrics as canonical JSON carries them. Raises `InvalidInput` for one that is not finite."""
    wrong = [name for name, value in metrics.items() if not np.isfinite(value)]
    if wrong:
        raise InvalidInput(
            f"the model's {wrong[0]} is not a finite number",
            hint="The training diverged. Check model.params in the policy and the ranges of its columns.",
        )
    tagged: dict[str, Any] = floats.tag(metrics)
    return tagged


def keep_predictions(store: Store, predictions: Floats) -> dict[str, Any]:
    """Store ``predictions`` (n x k) and say where: little-endian doubles, row by row."""
    digest = store.add_bytes(np.ascontiguousarray(predictions, "<f8").tobytes())
    return {"sha256": digest, "rows": predictions.shape[0], "columns": predictions.shape[1]}


def read_predictions(store: Store, place: Mapping[str, Any]) -> Floats:
    """What `keep_predictions` stored, n x k. Raises as `Store.read` does."""
    data = store.read(place["sha256"], _MAX_PREDICTIONS)
    shape = (place["rows"], place["columns"])
    if len(data) != struct.calcsize("<d") * shape[0] * shape[1]:
        raise NotAsRecorded("the stored predictions are not as many as the run record says")
    return np.frombuffer(data, "<f8").astype(np.float64).reshape(shape)


def rows_value(root: str, rows: int) -> dict[str, Any]:
    """Root and count of a set of rows, as intents and run records have it."""
    return {"root": root, "rows": rows}


def fold_values(
    parts: Sequence[tuple[tuple[str, int], tuple[str, int]]], metrics: Sequence[Mapping[str, float]]
) -> list[dict[str, Any]]:
    """The folds of a run record: of each (training, evaluation), both (root, rows), and its metrics."""
    return [
        {
            "training": rows_value(*training),
            "evaluation": rows_value(*evaluation),
            "metrics": tagged(measured),
        }
        for (training, evaluation), measured in zip(parts, metrics, strict=True)
    ]
