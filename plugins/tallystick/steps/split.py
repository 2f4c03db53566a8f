"""Decides which rows a model learns from and which it is judged on; docs/formats/run-record.md, "Folds".

Deterministic: the same rows, policy and seed give the same folds. Rows without a target take no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from chaincode import canonical
from tallystick.errors import InvalidInput
from tallystick.policy import DatasetPolicy
from tallystick.steps.features import equal_covariates, feature_frame, target_values

if TYPE_CHECKING:
    import pyarrow as pa

Indices = npt.NDArray[np.int64]

_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True)
class Fold:
    """Rows (indices from 0, rising) to learn from and to be judged on. No row is in both."""

    training: Indices
    evaluation: Indices


def split(table: pa.Table, policy: DatasetPolicy) -> list[Fold]:
    """The folds: one, or as many as the policy's time split has boundaries.

    Raises `InvalidInput` where a fold has nothing to learn from or to be judged on.
    """
    usable = np.flatnonzero(~np.isnan(target_values(table, policy)[0]))
    together = np.arange(table.num_rows)
    if policy.split.equal_covariates_together:
        together = equal_covariates(feature_frame(table, policy))
    if policy.split.kind == "time":
        folds = _by_time(table, policy, usable, together)
    else:
        folds = [_held_out(_units(table, policy, together)[usable], usable, policy)]
    for number, fold in enumerate(folds, 1):
        for rows, what in ((fold.training, "to learn from"), (fold.evaluation, "to be judged on")):
            if not len(rows):
                raise InvalidInput(
                    f"the split leaves fold {number} no rows {what}",
                    hint="Change split in the policy, or bring more rows. Rows whose features are equal"
                    " stay on one side unless equal_covariates_together is false.",
                )
    return folds


def all_rows(parts: Sequence[Indices]) -> Indices:
    """The rows of several folds' parts, each once, rising."""
    return np.unique(np.concatenate(parts))


def _units(table: pa.Table, policy: DatasetPolicy, together: Indices) -> Indices:
    """A number for each row, the same for rows that must stay on one side."""
    if policy.split.kind == "random":
        return together
    groups = _codes(table[policy.split.column or ""])
    if not policy.split.equal_covariates_together:
        return _by_first_row(groups)
    # Groups that share a row's features are one, and so on through all that hang together.
    from scipy.sparse import coo_array  # type: ignore[import-untyped]
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

    size = int(groups.max()) + 1
    edges = (np.ones(len(groups), np.int8), (groups, together + size))
    nodes = size + int(together.max()) + 1
    parts = connected_components(coo_array(edges, shape=(nodes, nodes)), directed=False)[1]
    return _by_first_row(parts[groups])


def _by_first_row(labels: npt.NDArray[np.integer]) -> Indices:
    """The labels as numbers in the order in which they first occur, whatever numbered them before."""
    first, at = np.unique(labels, return_index=True, return_inverse=True)[1:]
    return np.argsort(np.argsort(first))[at].astype(np.int64)


def _held_out(units: Indices, usable: Indices, policy: DatasetPolicy) -> Fold:
    """Whole units, in an order drawn by the seed, as long as no more than the fraction is held out."""
    named, at, sizes = np.unique(units, return_inverse=True, return_counts=True)
    wanted = int(np.ceil((policy.split.test_fraction or 0.0) * len(usable)))
    # Raw output of PCG64 is what NumPy promises never to change; Generator's methods may.
    draws = np.random.PCG64(_seed(policy.model.seed)).random_raw(len(named))
    chosen = np.zeros(len(named), bool)
    left = wanted
    for unit in np.argsort(draws, kind="stable").tolist():
        if sizes[unit] <= left:
            chosen[unit] = True
            left -= int(sizes[unit])
        if not left:
            break
    held_out = chosen[at]
    return Fold(usable[~held_out], usable[held_out])


def _seed(seed: int) -> int:
    return int(canonical.digest(canonical.encode(["tallystick-split-v1", seed])), 16)


def _by_time(table: pa.Table, policy: DatasetPolicy, usable: Indices, together: Indices) -> list[Fold]:
    name = policy.split.column or ""
    times = _times(table[name])
    kind = policy.column(name).type
    if policy.split.boundaries:
        boundaries = [_boundary(text, kind) for text in policy.split.boundaries]
    else:
        ordered = np.sort(times[usable])
        count = int(np.ceil((policy.split.test_fraction or 0.0) * len(ordered)))
        boundaries = [int(ordered[max(len(ordered) - count, 0)])] if len(ordered) else [0]
    ends: list[int | None] = [*boundaries[1:], None]
    folds = []
    for start, end in zip(boundaries, ends, strict=True):
        training = usable[times[usable] < start]
        judged = usable[(times[usable] >= start) & (True if end is None else times[usable] < end)]
        # What was seen in training judges nothing; taking it from training would look ahead.
        seen = np.isin(together[judged], together[training])
        folds.append(Fold(training, judged[~seen]))
    return folds


def _times(column: pa.ChunkedArray) -> Indices:
    """Times as whole numbers: days, microseconds or the numbers themselves."""
    import pyarrow as pa

    array = column.combine_chunks()
    if pa.types.is_date(array.type):
        array = array.cast(pa.int32())
    return np.asarray(array.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64)


def _boundary(text: str, kind: str) -> int:
    if kind == "int":
        return int(text)
    if kind == "date":
        return (date.fromisoformat(text) - _EPOCH).days
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + int(since.microseconds)


def _codes(column: pa.ChunkedArray) -> Indices:
    indices = column.combine_chunks().dictionary_encode(null_encoding="encode").indices
    return np.asarray(indices.to_numpy(zero_copy_only=False), np.int64)
