"""Rows as a model sees them: a frame of features and a target, from a table that the policy declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tallystick.policy import DatasetPolicy

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def feature_frame(table: pa.Table, policy: DatasetPolicy) -> pd.DataFrame:
    """The features, in the policy's order: numbers and truths as float64 (missing: NaN), text as categories.

    Categories are the policy's ``values`` or, without them, all that the column holds, sorted.
    """
    import pandas as pd

    columns: dict[str, pd.Series] = {}
    for name in policy.features:
        column = policy.column(name)
        if column.type == "string":
            texts = table[name].to_pandas()
            known = column.values or texts.dropna().unique()
            columns[name] = pd.Series(pd.Categorical(texts, categories=sorted(known)))
        else:
            columns[name] = pd.Series(table[name].cast("float64", safe=False).to_numpy())
    return pd.DataFrame(columns)


def target_values(table: pa.Table, policy: DatasetPolicy) -> tuple[npt.NDArray[np.float64], list[str]]:
    """The target of every row, NaN where missing, and the names of the classes.

    For a regression the value itself and no classes; for a classification the index of the class among
    all that occur, sorted by value (false before true).
    """
    column = table[policy.task.target].combine_chunks()
    if policy.task.kind == "regression":
        return column.cast("float64", safe=False).to_numpy(zero_copy_only=False), []
    classes = sorted(column.drop_null().unique().to_pylist())
    index = {value: code for code, value in enumerate(classes)}
    codes = [index.get(value, np.nan) for value in column.to_pylist()]
    return np.array(codes, np.float64), [str(value) for value in classes]


def equal_covariates(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """A number for each row, the same for rows whose features are all equal (missing equals missing)."""
    matrix = np.empty((len(frame), frame.shape[1]), np.float64)
    for at, name in enumerate(frame.columns):
        column = frame[name]
        matrix[:, at] = column.cat.codes if column.dtype == "category" else column
    matrix[np.isnan(matrix)] = np.nan  # one NaN of many
    matrix += 0.0  # -0.0 becomes 0.0
    rows = matrix.view(np.dtype((np.void, matrix.dtype.itemsize * matrix.shape[1]))).ravel()
    return np.unique(rows, return_inverse=True)[1].astype(np.int64)
