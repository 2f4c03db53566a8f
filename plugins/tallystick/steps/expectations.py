"""Compiles a policy to the expectations of Great Expectations, in a fixed order. Pure; imports it not.

Normative: docs/formats/dataset-policy.md, "What is expected". Bounds, value sets, patterns and rules
speak of values that are there; a missing one is the concern of ``nullable`` alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final

from tallystick.policy import Column, DatasetPolicy, Rule
from tallystick.policy.models import When

# The names under which Great Expectations knows the types of the frame that it is given.
_TYPES: Final = {
    "int": "int64", "float": "float64", "string": "str", "bool": "bool", "date": "date",
    "timestamp": "Timestamp",
}  # fmt: skip
_COLUMN: Final = "expect_column_values_to_"


@dataclass(frozen=True)
class Check:
    """One expectation: its type, its arguments, and the name under which it passes or fails."""

    kind: str
    columns: tuple[str, ...]
    arguments: dict[str, Any] = field(hash=False)
    when: When | None = None
    rule: int | None = None

    @property
    def name(self) -> str:
        """``type(column, …)``, with the rule's number (from 1) where a rule made it."""
        name = f"{self.kind}({', '.join(self.columns)})"
        return name if self.rule is None else f"{name} rule {self.rule}"

    @property
    def is_type(self) -> bool:
        """Whether it is the expectation that values are of their declared type."""
        return self.kind == _COLUMN + "be_of_type"


def compile_policy(policy: DatasetPolicy) -> list[Check]:
    """The checks of ``policy``: the table, then each column in order, then each rule in order."""
    names = [column.name for column in policy.columns]
    checks = [
        Check("expect_table_columns_to_match_set", (), {"column_set": names, "exact_match": True}),
        Check("expect_table_row_count_to_be_between", (), {"min_value": 1, "max_value": None}),
    ]
    for column in policy.columns:
        checks += _column(column)
    for number, rule in enumerate(policy.rules, start=1):
        checks.append(_rule(policy, rule, number))
    return checks


def _column(column: Column) -> list[Check]:
    def check(what: str, **arguments: Any) -> Check:
        return Check(_COLUMN + what, (column.name,), {"column": column.name, **arguments})

    checks = [check("be_of_type", type_=_TYPES[column.type])]
    if not column.nullable:
        checks.append(check("not_be_null"))
    if column.unique:
        checks.append(check("be_unique"))
    low, high = _value(column.min, column.type), _value(column.max, column.type)
    if low is not None or high is not None:
        checks.append(check("be_between", min_value=low, max_value=high, strict_min=False, strict_max=False))
    if column.values is not None:
        checks.append(check("be_in_set", value_set=[_value(value, column.type) for value in column.values]))
    if column.pattern is not None:
        checks.append(check("match_regex", regex=f"^(?:{column.pattern})$"))
    return checks


def _rule(policy: DatasetPolicy, rule: Rule, number: int) -> Check:
    if rule.right is not None:
        return _pair(rule, rule.right, number)
    value = _value(rule.value, policy.column(rule.left).type)
    arguments: dict[str, Any] = {"column": rule.left}
    if rule.op == "==":
        return Check(
            _COLUMN + "be_in_set", (rule.left,), arguments | {"value_set": [value]}, rule.when, number
        )
    upper = rule.op in ("<", "<=")
    strict = rule.op in ("<", ">")
    arguments |= {
        "min_value": None if upper else value,
        "max_value": value if upper else None,
        "strict_min": strict and not upper,
        "strict_max": strict and upper,
    }
    return Check(_COLUMN + "be_between", (rule.left,), arguments, rule.when, number)


def _pair(rule: Rule, right: str, number: int) -> Check:
    arguments: dict[str, Any] = {"ignore_row_if": "either_value_is_missing"}
    if rule.op == "==":
        arguments |= {"column_A": rule.left, "column_B": right}
        return Check(
            "expect_column_pair_values_to_be_equal", (rule.left, right), arguments, rule.when, number
        )
    greater, less, op = rule.left, right, rule.op
    if op in ("<", "<="):
        greater, less = right, rule.left
    arguments |= {"column_A": greater, "column_B": less, "or_equal": op in ("<=", ">=")}
    kind = "expect_column_pair_values_a_to_be_greater_than_b"
    return Check(kind, (greater, less), arguments, rule.when, number)


def _value(value: Any, kind: str) -> Any:
    if value is None or kind not in ("date", "timestamp"):
        return value
    if kind == "date":
        return date.fromisoformat(value)
    time = datetime.fromisoformat(value)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
