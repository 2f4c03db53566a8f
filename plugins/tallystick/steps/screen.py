"""Looks for HIPAA Safe Harbor's 18 identifiers (45 CFR 164.514(b)(2)(i)): by class, by name, by content.

Text columns are searched by content; numeric ones only by name or check digit, because prices and
volumes look like telephone numbers. A finding says column, identifier class and row count, never a value.

What stops a pipeline: under ``hipaa-safe-harbor`` every finding. Under ``none`` only a direct identifier
of a person in a column that the policy did not declare as one: there the policy's reason was written
without knowing of it. The column ``privacy.subject`` may hold a re-identification code (164.514(c)), so
its declared class and its name are no finding; its content is searched like any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

from chaincode import canonical
from tallystick.policy import IDENTIFIER_CLASSES, Column, DatasetPolicy
from tallystick.steps import identifiers

if TYPE_CHECKING:
    import polars
    import pyarrow

By = Literal["class", "name", "content"]
DIRECT: Final = frozenset({
    "name", "telephone", "fax", "email", "ssn", "medical-record", "health-plan", "account", "licence",
    "biometric", "photograph",
})  # fmt: skip
_OLDEST: Final = 89
_AGE: Final = re.compile(r"(^|_)age(_years?|_yrs?)?$")
# A share of a numeric column that chance alone (one in ten) does not reach.
_CHECKED_SHARE: Final = 0.9
_NAMES_SHARE: Final = 0.5


@dataclass(frozen=True, order=True)
class Finding:
    """An identifier class found in a column: how, in how many rows, and whether it stops the pipeline."""

    column: str
    identifier_class: str
    by: By
    rows: int
    stops: bool


@dataclass(frozen=True)
class ScreeningResult:
    """What a screening found; ``checked_classes`` is always 18."""

    findings: tuple[Finding, ...]
    checked_classes: int = len(IDENTIFIER_CLASSES)

    @property
    def canonical(self) -> bytes:
        """Canonical JSON of the findings: column, class, how, rows, stops; no values."""
        findings = [
            {"column": f.column, "class": f.identifier_class, "by": f.by, "rows": f.rows, "stops": f.stops}
            for f in self.findings
        ]
        return canonical.encode({"v": 1, "checked_classes": self.checked_classes, "findings": findings})


def screen(table: pyarrow.Table, policy: DatasetPolicy) -> ScreeningResult:
    """Screen a table that `read_table` made against the 18 identifier classes."""
    import polars

    findings: list[Finding] = []
    for column in policy.columns:
        values = cast("polars.Series", polars.from_arrow(table[column.name]))
        for identifier, by, rows in _column(column, values, policy):
            findings.append(
                Finding(column.name, identifier, by, rows, _stops(column, identifier, by, policy))
            )
    return ScreeningResult(tuple(sorted(findings)))


def _stops(column: Column, identifier: str, by: By, policy: DatasetPolicy) -> bool:
    if policy.privacy.regime != "none":
        return True
    declared = column.class_ in IDENTIFIER_CLASSES or policy.role(column) == "subject"
    return by != "class" and identifier in DIRECT and not declared


def _column(column: Column, values: polars.Series, policy: DatasetPolicy) -> list[tuple[str, By, int]]:
    """The findings of one column, one a class: the declared class first, then name, then content."""
    present = len(values) - values.null_count()
    found: dict[str, tuple[By, int]] = {}
    if column.class_ in IDENTIFIER_CLASSES:
        found[column.class_] = ("class", present)
    if column.type in ("date", "timestamp") and policy.privacy.regime != "none" and present:
        # A declared date says day and month: finer than the year that Safe Harbor leaves.
        found.setdefault("date", ("content", present))
    named = identifiers.by_name(column.name) if column.type != "bool" else None
    if named and policy.role(column) != "subject" and column.type not in ("date", "timestamp"):
        found.setdefault(named, ("name", present))
    content = content_of_text(values) if column.type == "string" else _content_of_numbers(column, values)
    for identifier, rows in content.items():
        found.setdefault(identifier, ("content", rows))
    return [(identifier, by, rows) for identifier, (by, rows) in found.items()]


def _content_of_numbers(column: Column, values: polars.Series) -> dict[str, int]:
    found: dict[str, int] = {}
    if column.type in ("int", "float") and _AGE.search(identifiers.words(column.name)):
        old = int((values > _OLDEST).sum())
        if old:
            found["date"] = old
    if column.type == "int":
        numbers = values.drop_nulls()
        cards = identifiers.luhn_numbers(numbers)
        if cards and cards >= _CHECKED_SHARE * len(numbers):
            found["account"] = cards
    return found


def content_of_text(values: polars.Series) -> dict[str, int]:
    """The identifier classes that the texts hold by content, and in how many of them."""
    import polars

    # Each distinct value is searched once, and all patterns at the same time on all cores.
    counted = values.drop_nulls().alias("value").value_counts(name="rows")
    value = polars.col("value")
    worth = counted.lazy().filter(value.str.contains(identifiers.WORTH_A_LOOK)).collect()
    patterns = identifiers.CONTENT | {name: pattern for name, (pattern, _) in identifiers.CHECKED.items()}
    hits = worth.select(
        value.str.contains(identifiers.LISTED_NAME).alias("listed"),
        **{identifier: value.str.contains(pattern) for identifier, pattern in patterns.items()},
    )

    def rows(matched: polars.Series) -> int:
        return int(worth["rows"].filter(matched).sum())

    found = {identifier: rows(hits[identifier]) for identifier in identifiers.CONTENT}
    for identifier, (pattern, check) in identifiers.CHECKED.items():
        found[identifier] = rows(_passing(worth["value"], hits[identifier], pattern, check))
    listed = rows(hits["listed"])
    if listed >= _NAMES_SHARE * int(counted["rows"].sum()):
        found["name"] = max(found["name"], listed)
    return {identifier: count for identifier, count in found.items() if count}


def _passing(
    values: polars.Series, candidates: polars.Series, pattern: str, check: Callable[[str], bool]
) -> polars.Series:
    """Those of ``candidates`` of which a match also has the right check digit."""
    import polars

    if not candidates.any():
        return candidates
    finder = re.compile(pattern)
    passed = [
        candidate and any(check(match.group()) for match in finder.finditer(value))
        for value, candidate in zip(values, candidates, strict=True)
    ]
    return polars.Series(passed, dtype=polars.Boolean)
