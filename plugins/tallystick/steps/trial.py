"""What the checks of a pipeline would say of a table, before anything is recorded: by line of the policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaincode import canonical
from tallystick.steps.expectations import Check, compile_policy
from tallystick.steps.screen import screen
from tallystick.steps.validate import validate

if TYPE_CHECKING:
    import pyarrow

    from tallystick.policy import DatasetPolicy


@dataclass(frozen=True)
class Broken:
    """A line of the policy that a table breaks, and the rule that stands there or follows from it.

    ``rows`` is None for what rows alone do not break; ``first`` is a data row, from 1, where one is known.
    """

    line: int
    rule: str
    rows: int | None
    first: int | None


def try_table(table: pyarrow.Table, policy: DatasetPolicy) -> list[Broken]:
    """What screening or validation would stop a table for that `read_table` made, by line; no value."""
    broken = [
        Broken(
            _line(policy, each.column), f"screening: {each.identifier_class}, by {each.by}", each.rows, None
        )
        for each in screen(table, policy).findings
        if each.stops
    ]
    outcome = validate(table, policy, locate=True)
    results = {each["expectation"]: each for each in canonical.decode(outcome.canonical)["results"]}
    for check in compile_policy(policy):
        if check.name in outcome.failed:
            rows = results[check.name].get("unexpected_count")
            broken.append(Broken(_place(policy, check), check.name, rows, outcome.first.get(check.name)))
    return sorted(broken, key=lambda each: each.line)


def _place(policy: DatasetPolicy, check: Check) -> int:
    if check.rule is not None:
        return policy.line("rules", check.rule - 1)
    return _line(policy, check.columns[0]) if check.columns else policy.line("columns")


def _line(policy: DatasetPolicy, name: str) -> int:
    return policy.line("columns", policy.columns.index(policy.column(name)))
