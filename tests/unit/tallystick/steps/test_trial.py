"""What a pipeline would say of a table is said before anything is recorded, by line and without a value."""

from __future__ import annotations

import pytest

from tallystick.steps.tables import read_table
from tallystick.steps.trial import Broken, try_table

AGE = "{name: age, type: int, min: 0, max: 89, nullable: true}"
LOW = "{name: low, type: float, nullable: true}"
UNIQUE = "{name: code, type: string, unique: true}"
MAIL = "{name: note, type: string, nullable: true}"
HEADER = "cost,n,age,low,code,note\n"
GOOD = "1,1,20,0.5,a,\n"
PLACES = {"cost": 1, "n": 2, "age": 3, "low": 4, "code": 5, "note": 6}


@pytest.mark.parametrize(
    ("row", "place", "rule", "rows", "first"),
    [
        ("1,1,90,0.5,b,\n", "age", "expect_column_values_to_be_between(age)", 1, 2),
        ("1,1,old,0.5,b,\n", "age", "expect_column_values_to_be_of_type(age)", 1, 2),
        ("1,1,20,0.5,a,\n", "code", "expect_column_values_to_be_unique(code)", 2, 1),
        (
            "1,1,20,2.5,b,\n",
            "rule",
            "expect_column_pair_values_a_to_be_greater_than_b(cost, low) rule 1",
            1,
            2,
        ),
        ("1,1,20,0.5,b,jo@example.org\n", "note", "screening: email, by content", 1, None),
    ],
)
def test_a_row_that_breaks_a_rule_is_named_with_the_rules_line(
    make_policy, write, row: str, place: str, rule: str, rows: int, first: int | None
) -> None:
    policy = make_policy(AGE, LOW, UNIQUE, MAIL, rules=('{left: low, op: "<=", right: cost}',))
    assert try_table(read_table(write(HEADER + GOOD), policy), policy) == []
    line = policy.line("rules", 0) if place == "rule" else policy.line("columns", PLACES[place] - 1)
    table = read_table(write(HEADER + GOOD + row), policy)
    assert try_table(table, policy) == [Broken(line, rule, rows, first)]


def test_they_stand_in_the_order_of_the_policy(make_policy, write) -> None:
    policy = make_policy(AGE, LOW, UNIQUE, MAIL)
    table = read_table(write(HEADER + GOOD + "-1,1,90,,,jo@example.org\n"), policy)
    lines = [each.line for each in try_table(table, policy)]
    assert lines == sorted(lines)
    assert len(set(lines)) == 4
