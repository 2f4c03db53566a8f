"""What a column holds, gathered batch by batch: its type, and what of its values may be published.

A policy is recorded and handed on, so nothing here lets a single row through. Ranges are rounded outward, and
a value is named only where at least `SMALL_CELL` rows have it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tallystick.errors import InvalidInput
from tallystick.fingerprint.columns import is_text, logical_type, utc_times

SMALL_CELL: Final = 11
"""The fewest rows that may share a published value: the cell size suppression policy of the U.S. Centers for
Medicare & Medicaid Services, under which no cell of 10 or less of a health data release is displayed."""

SPELLINGS: Final = ("NA", "N/A", "NaN", "nan", "NULL", "null")
"""Texts that may stand for a missing value, beside none at all."""

_MAX_CATEGORIES: Final = 20
_MAX_DISTINCT: Final = 1 << 18
_STEPS: Final = (Decimal("0.5"), Decimal(1), Decimal(2), Decimal(5), Decimal(10), Decimal(20))

# Narrowest first. A number with leading zeros is a code (ZIP 02139), not a quantity.
_PATTERNS: Final = {
    "bool": r"^(true|false|True|False|TRUE|FALSE)$",
    "int": r"^-?(0|[1-9][0-9]{0,15})$",
    "float": r"^-?(0|[1-9][0-9]*|(0|[1-9][0-9]*)?\.[0-9]+|(0|[1-9][0-9]*)\.)([eE][-+]?[0-9]+)?$",
    "date": r"^\d{4}-\d\d-\d\d$",
    "timestamp": r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[-+]\d\d:?\d\d)?$",
}
_TARGETS: Final = {"int": pa.int64(), "float": pa.float64(), "date": pa.date32()}


class Profile:
    """One column. ``kinds`` are the types that all values so far are of, narrowest first; of none: text."""

    def __init__(self, name: str, kind: pa.DataType | None = None) -> None:
        """``kind`` is the type of a Parquet's column; a CSV's are texts, and looked into."""
        self.name = name
        self.kinds = list(_PATTERNS) if kind is None else _own_kind(kind)
        self.rows = 0
        self.spelled: Counter[str] = Counter()
        self._in_csv = kind is None
        self._missing = 0
        self._values: Counter[Any] | None = Counter()
        self._ends: dict[str, _Ends] = {}
        self._distinct: set[Any] | None = set()

    def add(self, array: pa.Array) -> None:
        """Take in the column's values of the next batch: of a CSV as they are written, without nulls."""
        self.rows += len(array)
        if pa.types.is_dictionary(array.type):
            array = array.cast(array.type.value_type)
        present = array.drop_null()
        if self._in_csv:
            absent = pc.is_in(present, value_set=pa.array(["", *SPELLINGS]))
            self.spelled.update(present.filter(absent).to_pylist())
            present = present.filter(pc.invert(absent))
        elif pa.types.is_floating(present.type):
            present = present.filter(pc.invert(pc.is_nan(present)))
        self._missing += len(array) - len(present)
        if len(present):
            self._narrow(present)
            self._count(present)

    @property
    def type(self) -> str:
        """The policy's type: the narrowest that holds all values, text where there are none."""
        return self.kinds[0] if self.kinds and self._missing < self.rows else "string"

    @property
    def null_spellings(self) -> list[str]:
        """How missing values are written here, other than by nothing at all."""
        return [] if self.type == "string" else [text for text in SPELLINGS if self.spelled[text]]

    def nullable(self, spellings: list[str]) -> bool:
        """Whether a value is missing, where ``spellings`` are those of the whole file."""
        return any(self.spelled[text] for text in ("", *spellings)) or self._missing > self.spelled.total()

    def unique(self) -> bool:
        """Whether all values differ; of more than a quarter of a million it is not said."""
        return self._all_differ() and self.rows <= _MAX_DISTINCT

    def identifies(self) -> bool:
        """Whether its values, all different, are an identifier rather than a measurement."""
        return self._all_differ() and (self.type == "string" or (self.type == "int" and self.rows >= 100))

    def range(self) -> tuple[Any, Any]:
        """Bounds that hold all values, rounded outward; None where there is none.

        Numbers to 1, 2 or 5 times a power of ten, beyond a value that fewer than `SMALL_CELL` rows have; zero
        stands, for it says a sign and no more. Dates to whole decades.
        """
        ends = self._ends.get(self.type)
        if ends is None or ends.low is None:
            return None, None
        if self.type == "date":
            return f"{max(1, ends.low.year // 10 * 10):04}-01-01", f"{ends.high.year // 10 * 10 + 9:04}-12-31"
        low = -_outward(-Decimal(repr(ends.low)), ends.low_rows < SMALL_CELL)
        high = _outward(Decimal(repr(ends.high)), ends.high_rows < SMALL_CELL)
        # Of whole numbers, a bound below one is zero.
        return (int(low), int(high)) if self.type == "int" else (float(low), float(high))

    def categories(self, spellings: list[str]) -> list[str]:
        """The texts that the column holds, sorted, if they are few and `SMALL_CELL` rows have each."""
        counts = Counter(self._values or {})
        counts.update({text: self.spelled[text] for text in SPELLINGS if text not in spellings})
        rows = {text: count for text, count in counts.items() if count}
        if self.type != "string" or self._values is None or not 0 < len(rows) <= _MAX_CATEGORIES:
            return []
        return sorted(rows) if min(rows.values()) >= SMALL_CELL else []

    def _narrow(self, present: pa.Array) -> None:
        for kind in list(self.kinds):
            try:
                typed = _typed(present, kind)
            except pa.ArrowInvalid:
                self.kinds.remove(kind)
                continue
            if kind in _TARGETS:
                self._ends.setdefault(kind, _Ends()).add(typed)

    def _count(self, present: pa.Array) -> None:
        if self._values is not None and is_text(present.type):
            for item in pc.value_counts(present):
                self._values[item["values"].as_py()] += item["counts"].as_py()
                if len(self._values) > _MAX_CATEGORIES:
                    self._values = None
                    break
        if self._distinct is not None and len(self._distinct) <= _MAX_DISTINCT:
            expected = len(self._distinct) + len(present)
            self._distinct.update(map(hash, map(str, present.to_pylist())))
            if len(self._distinct) < expected:
                self._distinct = None

    def _all_differ(self) -> bool:
        return self._distinct is not None and self.rows > 1 and not self._missing and self.type != "float"


@dataclass
class _Ends:
    """The least and the greatest value, and how many rows have each."""

    low: Any = None
    high: Any = None
    low_rows: int = 0
    high_rows: int = 0

    def add(self, array: pa.Array) -> None:
        if pa.types.is_floating(array.type):
            array = array.filter(pc.is_finite(array))
        if len(array) == 0:
            return
        ends = pc.min_max(array).as_py()
        if self.low is None or ends["min"] < self.low:
            self.low, self.low_rows = ends["min"], 0
        if self.high is None or ends["max"] > self.high:
            self.high, self.high_rows = ends["max"], 0
        self.low_rows += pc.sum(pc.equal(array, pa.scalar(self.low, array.type))).as_py()
        self.high_rows += pc.sum(pc.equal(array, pa.scalar(self.high, array.type))).as_py()


def _outward(value: Decimal, beyond: bool) -> Decimal:
    """The least 1, 2 or 5 times a power of ten (or minus that) not below ``value``, or ``beyond`` it."""
    if value == 0:
        return value
    unit = Decimal(1).scaleb(value.adjusted())
    steps = sorted(step * unit * (1 if value > 0 else -1) for step in _STEPS)
    return next(step for step in steps if step > value or (step == value and not beyond))


def _typed(array: pa.Array, kind: str) -> pa.Array:
    """``array`` as ``kind``. Raises `pa.ArrowInvalid` where a value is none."""
    if is_text(array.type):
        if not pc.all(pc.match_substring_regex(array, _PATTERNS[kind])).as_py():
            raise pa.ArrowInvalid
        if kind == "timestamp":
            return utc_times(array)
    return array.cast(_TARGETS[kind]) if kind in _TARGETS else array


def _own_kind(kind: pa.DataType) -> list[str]:
    try:
        own = logical_type("", kind)
    except InvalidInput:
        return []  # a list, say: read as text, its values are none, and the validation says so
    return [] if own in (None, "string") else ["float" if own == "decimal" else own]
