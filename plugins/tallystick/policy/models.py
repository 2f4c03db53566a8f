"""What a dataset policy says, as types. Normative: docs/formats/dataset-policy.md."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from chaincode import canonical
from tallystick import floats

MAX_NAME: Final = 128
"""Longest name of a column, in characters."""
MAX_COLUMNS: Final = 2000

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
ColumnName = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Fraction = Annotated[float, Field(gt=0.0, lt=1.0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
# Great Expectations compares bounds as 64-bit floats: a larger integer would be rounded in silence.
SafeInteger = Annotated[int, Field(ge=-canonical.MAX_INTEGER, le=canonical.MAX_INTEGER)]
Scalar = bool | SafeInteger | Finite | str
Bound = SafeInteger | Finite | str

ColumnType = Literal["int", "float", "string", "bool", "date", "timestamp"]
Role = Literal["feature", "target", "group", "time", "subject", "excluded"]
# 45 CFR 164.514(b)(2)(i), letters (A) to (R) in order.
IdentifierClass = Literal[
    "name", "geographic", "date", "telephone", "fax", "email", "ssn", "medical-record", "health-plan",
    "account", "licence", "vehicle", "device", "url", "ip-address", "biometric", "photograph",
    "other-unique",
]  # fmt: skip
IDENTIFIER_CLASSES: Final[tuple[IdentifierClass, ...]] = get_args(IdentifierClass)
Operator = Literal["<", "<=", "==", ">=", ">"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Retention(_Part):
    """How long the data is kept, in days, and why that long."""

    days: Annotated[int, Field(gt=0, le=36_525)]
    reason: Text


class Format(_Part):
    """How a CSV is written: the delimiter, and the spellings of a missing value."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    null: Annotated[list[str], Field(max_length=20)] = [""]


class Task(_Part):
    """What is predicted; ``group`` names the column whose values get metrics of their own."""

    kind: Literal["regression", "classification"]
    target: ColumnName
    group: ColumnName | None = None


class Model(_Part):
    """What is trained. ``params`` go to the algorithm as they are; the seed stands beside them."""

    algorithm: Literal["lightgbm", "hist_gradient_boosting", "logistic", "linear"]
    params: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], Scalar] = {}
    seed: Annotated[int, Field(ge=0, lt=2**31)]


class Split(_Part):
    """Which rows are held out: a fraction, or (by time) everything from the first boundary on.

    With ``boundaries`` b1 < b2 < … fold i trains on rows before b_i and is judged on the rows from
    b_i up to the next boundary (the last one: to the end).
    """

    kind: Literal["random", "group", "time"]
    column: ColumnName | None = None
    test_fraction: Fraction | None = None
    boundaries: Annotated[list[str], Field(max_length=100)] = []
    equal_covariates_together: bool = True


class Column(_Part):
    """One column. ``min`` and ``max`` are inclusive; ``pattern`` must match the whole value."""

    name: ColumnName
    type: ColumnType
    nullable: bool = False
    unique: bool = False
    min: Bound | None = None
    max: Bound | None = None
    values: Annotated[list[Scalar], Field(min_length=1, max_length=1000)] | None = None
    pattern: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    class_: Role | IdentifierClass | None = Field(default=None, alias="class")

    @model_validator(mode="before")
    @classmethod
    def _whole_numbers_are_floats_in_a_float_column(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or raw.get("type") != "float":
            return raw
        done = {key: _as_float(raw[key]) for key in ("min", "max") if key in raw}
        if isinstance(raw.get("values"), list):
            done["values"] = [_as_float(value) for value in raw["values"]]
        return raw | done


class When(_Part):
    """The rows that a rule speaks of: those whose ``column`` stands so to ``value``."""

    column: ColumnName
    op: Literal["<", "<=", "==", "!=", ">=", ">"] = "=="
    value: Scalar


class Rule(_Part):
    """``left op right`` (a column) or ``left op value``, for every row or the rows of ``when``."""

    left: ColumnName
    op: Operator
    right: ColumnName | None = None
    value: Scalar | None = None
    when: When | None = None


class Privacy(_Part):
    """The regime; ``subject`` names the column that tells one person from another."""

    regime: Literal["hipaa-safe-harbor", "none"]
    reason: Text | None = None
    subject: ColumnName | None = None


class DatasetPolicy(_Part):
    """A dataset policy. Made by `load_policy`, which also checks what one part says of another."""

    name: Name
    title: Text
    source: Text
    licence: Text
    purpose: Text
    retention: Retention
    format: Format = Format()
    task: Task
    model: Model
    split: Split
    columns: Annotated[list[Column], Field(min_length=1, max_length=MAX_COLUMNS)]
    rules: Annotated[list[Rule], Field(max_length=500)] = []
    privacy: Privacy

    _file: Path = PrivateAttr(default=Path("policy"))
    _lines: dict[tuple[str | int, ...], int] = PrivateAttr(default_factory=dict)

    @property
    def file(self) -> Path:
        """Where the policy was read from; not part of its digest."""
        return self._file

    def line(self, *place: str | int) -> int:
        """The 1-based line of ``place`` (keys and list indices), or of the nearest part around it."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 1)

    @cached_property
    def canonical(self) -> bytes:
        """Canonical JSON of the policy, defaults filled in: comments and layout do not change it."""
        return canonical.encode(floats.tag(self.model_dump(by_alias=True)))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `canonical`, 64 hex digits."""
        return canonical.digest(self.canonical)

    def column(self, name: str) -> Column:
        """The column called ``name``. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def role(self, column: Column) -> str:
        """The column's class: as written, else what task, split and privacy make of it."""
        if column.class_ is not None:
            return column.class_
        if column.name == self.task.target:
            return "target"
        if column.name == self.privacy.subject:
            return "subject"
        if column.name == self.split.column:
            return "time" if self.split.kind == "time" else "group"
        return "feature"

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns a model learns from, in the policy's order."""
        return tuple(column.name for column in self.columns if self.role(column) == "feature")

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns that tell rows, times, groups or subjects apart, so that no row may lack one."""
        named = {self.split.column, self.privacy.subject}
        return tuple(
            column.name
            for column in self.columns
            if column.name in named
            or (column.unique and not column.nullable and self.role(column) != "feature")
        )


def _as_float(value: Any) -> Any:
    return float(value) if type(value) is int else value
