"""Writes a first policy from the data: types and ranges inferred, what only a person knows left marked."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chaincode import canonical
from tallystick.errors import InvalidInput
from tallystick.fingerprint.data_file import file_kind, open_plain
from tallystick.policy.columns import column_names
from tallystick.policy.marked import EDIT_ME

if TYPE_CHECKING:
    from tallystick.policy.profile import Profile

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
# A policy is published. Ranges are rounded outward from what this file holds, and values are listed where
# at least 11 rows have each: make them what is allowed, and remove what speaks of a person.
columns:
"""


def new_policy(data: Path) -> str:
    """The text of a first policy for the CSV or Parquet file ``data``, which is read as a stream.

    Nothing in it lets a single row through (`profile`). `load_policy` refuses it until a person has replaced
    every EDIT-ME. Raises `InvalidInput` for a file that cannot be read or has no rows.
    """
    from tallystick.policy.profile import SPELLINGS

    in_csv = file_kind(data) == "csv"
    delimiter = _delimiter(data) if in_csv else ","
    names = column_names(data, delimiter)
    _check_names(data, names)
    profiles = _profiles(data, names, delimiter if in_csv else None)
    if not profiles[0].rows:
        raise InvalidInput(f"{data}: no rows", hint="A policy is written from a header line and rows.")
    nulls = [text for text in SPELLINGS if any(text in profile.null_spellings for profile in profiles)]
    spelled = "" if delimiter == "," else f"  delimiter: {_quoted(delimiter)}\n"
    if nulls:
        spelled += f"  null: [{', '.join(_quoted(text) for text in ('', *nulls))}]\n"
    name = re.sub(r"[^a-z0-9]+", "-", data.stem.lower()).strip("-")[:60] or "dataset"
    head = _HEAD.format(
        mark=EDIT_ME, name=_word(name), title=_quoted(data.stem), format=spelled and "format:\n" + spelled
    )
    return head + "".join(_column(profile, nulls) for profile in profiles)


def _delimiter(data: Path) -> str:
    with open_plain(data) as file:
        line = file.readline(1 << 16)
    return max(",;\t|", key=lambda mark: line.count(mark.encode()))


def _check_names(data: Path, names: list[str]) -> None:
    """Refuse, before every row is read, what no policy can hold."""
    from tallystick.policy.models import MAX_COLUMNS, MAX_NAME

    if len(names) > MAX_COLUMNS:
        raise InvalidInput(
            f"{data}: {len(names):,} columns",
            hint=f"A policy has at most {MAX_COLUMNS:,}: keep those you use.",
        )
    for position, name in enumerate(names, start=1):
        if len(name) > MAX_NAME:
            raise InvalidInput(
                f"{data}:1  the name of column {position} is longer than {MAX_NAME} characters",
                hint="Rename it. Has the file a header line?",
            )


def _profiles(data: Path, names: list[str], delimiter: str | None) -> list[Profile]:
    """The columns of a Parquet file or, with ``delimiter``, of a CSV."""
    from tallystick.fingerprint.csv_source import Dialect, open_csv
    from tallystick.fingerprint.sources import open_parquet
    from tallystick.policy.profile import Profile

    if delimiter is None:
        schema, batches, _ = open_parquet(data)
        profiles = [Profile(field.name, field.type) for field in schema]
    else:
        texts = dict.fromkeys(names, "string")
        _, batches = open_csv(data, texts, Dialect(delimiter, null=()))
        profiles = [Profile(name) for name in names]
    for batch in batches:
        for profile, array in zip(profiles, batch.columns, strict=True):
            profile.add(array)
    return profiles


def _column(profile: Profile, nulls: list[str]) -> str:
    parts = [f"name: {_quoted(profile.name)}", f"type: {profile.type}"]
    low, high = profile.range()
    parts += [f"{key}: {_bound(bound)}" for key, bound in (("min", low), ("max", high)) if _is_bound(bound)]
    if categories := profile.categories(nulls):
        parts.append(f"values: [{', '.join(map(_quoted, categories))}]")
    if profile.nullable(nulls):
        parts.append("nullable: true")
    elif profile.unique():
        parts.append("unique: true")
    if profile.type in ("date", "timestamp") or profile.identifies():
        parts.append("class: excluded")
    return f"  - {{{', '.join(parts)}}}\n"


def _is_bound(value: Any) -> bool:
    """Whether a policy can hold it: there, finite and, of whole numbers, safe."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is not None and (isinstance(value, str) or abs(value) <= canonical.MAX_INTEGER)


def _bound(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    text = repr(value)
    # "1e-07" is text to YAML 1.1, "1.0e-07" a number to all.
    return text.replace("e", ".0e", 1) if "e" in text and "." not in text else text


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=True)


def _word(name: str) -> str:
    return name if re.fullmatch(r"[a-z][a-z0-9-]*", name) and name not in _WORDS else _quoted(name)


_WORDS: Final = frozenset({"yes", "no", "on", "off", "true", "false", "null", "y", "n"})
