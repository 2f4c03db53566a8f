"""Writes a first policy from the data: types and ranges inferred, what only a person knows left marked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tallystick.errors import InvalidInput
from tallystick.policy.columns import column_names, is_parquet
from tallystick.policy.marked import EDIT_ME

if TYPE_CHECKING:
    import polars

_SPELLINGS: Final = ["NA", "N/A", "NaN", "nan", "NULL", "null"]
_MAX_CATEGORIES: Final = 20

# So many distinct whole numbers are an identifier rather than a measurement.
_IDS_FROM: Final = 100

_HEAD: Final = """\
# A first policy, written from the data. Every {mark} must be replaced; the rest may stay.
# What each key means: docs/formats/dataset-policy.md
name: {name}
title: {title}
source: {mark}            # where the data comes from
licence: {mark}           # under which licence it may be used
purpose: {mark}           # what the model is for
retention:
  days: 365
  reason: {mark}          # why the data is kept that long
{format}task:
  kind: {mark}            # regression or classification
  target: {mark}          # the column to predict
  # group: COLUMN          # a column whose values get metrics of their own
model:
  algorithm: lightgbm      # or hist_gradient_boosting, linear, logistic
  seed: 1
split:
  kind: random             # or: group, time (both need column: COLUMN)
  test_fraction: 0.2       # by time also: boundaries: ["2015-01-01", ...]
privacy:
  regime: {mark}          # hipaa-safe-harbor, or none with a reason
  # reason: why no regime applies
  # subject: COLUMN        # the column that tells one person from another
# Ranges are what this file holds; widen them to what is allowed.
columns:
"""


def new_policy(data: Path) -> str:
    """The text of a first policy for the CSV or Parquet file ``data``.

    `load_policy` refuses it until a person has replaced every EDIT-ME. Raises `InvalidInput` for a file
    that cannot be read or has no rows.
    """
    delimiter = "," if not data.is_file() or is_parquet(data) else _delimiter(data)
    column_names(data, delimiter)
    frame, nulls = _read(data, delimiter)
    if frame.height == 0:
        raise InvalidInput(f"{data}: no rows", hint="A policy is written from a header line and rows.")
    spelled = "" if delimiter == "," else f"  delimiter: {_quoted(delimiter)}\n"
    if nulls != [""]:
        spelled += f"  null: [{', '.join(_quoted(text) for text in nulls)}]\n"
    name = re.sub(r"[^a-z0-9]+", "-", data.stem.lower()).strip("-")[:60] or "dataset"
    head = _HEAD.format(
        mark=EDIT_ME, name=_word(name), title=_quoted(data.stem), format=spelled and "format:\n" + spelled
    )
    return head + "".join(_column(column) for column in frame.get_columns())


def _delimiter(data: Path) -> str:
    with data.open("rb") as file:
        line = file.readline(1 << 16)
    return max(",;\t|", key=lambda mark: line.count(mark.encode()))


def _read(data: Path, delimiter: str) -> tuple[polars.DataFrame, list[str]]:
    import polars

    try:
        if is_parquet(data):
            return polars.read_parquet(data), [""]
        raw = polars.read_csv(data, separator=delimiter, infer_schema=False)
    except (polars.exceptions.PolarsError, OSError):
        hint = "Every line needs as many fields as the header, in UTF-8."
        raise InvalidInput(f"{data}: not a CSV or Parquet file that can be read", hint=hint) from None
    nulls = [""]
    columns = []
    for column in raw.get_columns():
        typed, used = _typed(column)
        columns.append(typed)
        nulls += [text for text in used if text not in nulls]
    return polars.DataFrame(columns), nulls


def _typed(column: polars.Series) -> tuple[polars.Series, list[str]]:
    """The column as the narrowest type that holds all of it, and the spellings of null that it used."""
    import polars

    used = [text for text in _SPELLINGS if (column == text).any()]
    for nulls in ([""], ["", *used]):
        values = column.set(column.is_in(nulls), None)
        if values.null_count() == len(values):
            continue
        present = values.drop_nulls()
        for pattern, convert in _attempts():
            if present.str.contains(pattern).all():
                typed = convert(values)
                if typed.null_count() == values.null_count():
                    return typed, nulls[1:]
    return column.set(column == "", None).cast(polars.String), []


def _attempts() -> list[tuple[str, Any]]:
    import polars

    # A number with leading zeros is a code (ZIP 02139), not a quantity.
    return [
        (r"^(true|false|True|False|TRUE|FALSE)$", lambda s: s.str.to_lowercase() == "true"),
        (r"^-?(0|[1-9][0-9]{0,15})$", lambda s: s.cast(polars.Int64, strict=False)),
        (
            r"^-?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][-+]?[0-9]+)?$",
            lambda s: s.cast(polars.Float64, strict=False),
        ),
        (r"^\d{4}-\d\d-\d\d$", lambda s: s.str.to_date("%Y-%m-%d", strict=False)),
        (
            r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?$",
            lambda s: s.str.replace(" ", "T").str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", strict=False),
        ),
        (
            r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[-+]\d\d:?\d\d)$",
            lambda s: (
                s.str.replace(" ", "T")
                .str.replace("Z$", "+00:00")
                .str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", strict=False)
            ),
        ),
    ]


def _column(column: polars.Series) -> str:
    import polars

    kind = column.dtype
    parts = [f"name: {_quoted(column.name)}"]
    present = column.drop_nulls()
    if kind.is_integer():
        parts += ["type: int", *_range(present)]
    elif kind.is_float():
        present = present.drop_nans()
        parts += ["type: float", *_range(present.cast(polars.Float64).filter(present.is_finite()))]
    elif kind == polars.Boolean:
        parts.append("type: bool")
    elif kind == polars.Date:
        parts += ["type: date", *_range(present.cast(polars.String)), "class: excluded"]
    elif kind == polars.Datetime:
        parts += ["type: timestamp", "class: excluded"]
    else:
        parts += ["type: string", *_categories(present.cast(polars.String, strict=False))]
    if len(present) < len(column):
        parts.append("nullable: true")
    elif not kind.is_float() and len(column) > 1 and column.n_unique() == len(column):
        parts.append("unique: true")
        if kind == polars.String or (kind.is_integer() and len(column) >= _IDS_FROM):
            parts.append("class: excluded")
    return f"  - {{{', '.join(parts)}}}\n"


def _range(values: polars.Series) -> list[str]:
    if len(values) == 0:
        return []
    low: Any = values.min()
    high: Any = values.max()
    if isinstance(low, str):
        return [f"min: {_quoted(low)}", f"max: {_quoted(high)}"]
    return [f"min: {_number(low)}", f"max: {_number(high)}"]


def _number(value: Any) -> str:
    text = repr(value)
    # "1e-07" is text to YAML 1.1, "1.0e-07" a number to all.
    return text.replace("e", ".0e", 1) if "e" in text and "." not in text else text


def _categories(values: polars.Series) -> list[str]:
    distinct = values.unique()
    # A value that is nearly a row's own must not be copied into a policy.
    if not 0 < len(distinct) <= _MAX_CATEGORIES or len(values) < 5 * len(distinct):
        return []
    return [f"values: [{', '.join(_quoted(value) for value in sorted(distinct.to_list()))}]"]


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=True)


def _word(name: str) -> str:
    return name if re.fullmatch(r"[a-z][a-z0-9-]*", name) and name not in _WORDS else _quoted(name)


_WORDS: Final = frozenset({"yes", "no", "on", "off", "true", "false", "null", "y", "n"})
