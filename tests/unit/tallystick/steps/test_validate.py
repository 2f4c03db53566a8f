"""A row that breaks the policy fails a named expectation; the result is the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaincode import canonical
from tallystick.errors import InvalidInput
from tallystick.policy import DatasetPolicy
from tallystick.steps import validate as room
from tallystick.steps.expectations import Check, compile_policy
from tallystick.steps.tables import read_table
from tallystick.steps.validate import ValidationOutcome, write_data_docs

COLUMNS = (
    "{name: age, type: int, min: 0, max: 89}",
    '{name: code, type: string, nullable: true, unique: true, pattern: "[A-Z][0-9]+"}',
    '{name: smoker, type: string, nullable: true, values: [never, "yes"]}',
    '{name: day, type: date, min: "2020-01-01", max: "2020-12-31", class: excluded}',
    '{name: at, type: timestamp, min: "2020-01-01T00:00:00Z", class: excluded, nullable: true}',
    "{name: ok, type: bool, nullable: true, values: [true]}",
    "{name: low, type: float, nullable: true}",
    "{name: high, type: int, nullable: true}",
)
RULES = (
    '{left: low, op: "<=", right: high}',
    '{left: low, op: ">", value: -1.0, when: {column: smoker, value: never}}',
    '{left: age, op: "==", value: 7, when: {column: ok, value: true}}',
)
HEADER = "cost,n,age,code,smoker,day,at,ok,low,high\n"
GOOD = "1.5,,7,A1,never,2020-02-29,2020-01-01T10:00:00Z,true,1.5,2\n"
OTHER = "0,3,89,,,2020-12-31,,,NaN,2\n"


def validate(path: Path, policy: DatasetPolicy) -> ValidationOutcome:
    return room.validate(read_table(path, policy), policy)


def run(make_policy, write, *rows: str):
    return validate(write(HEADER + "".join(rows)), make_policy(*COLUMNS, rules=RULES))


def test_good_rows_pass(make_policy, write) -> None:
    outcome = run(make_policy, write, GOOD, OTHER)
    assert outcome.failed == ()
    assert outcome.passed
    assert outcome.evaluated == len(compile_policy(make_policy(*COLUMNS, rules=RULES))) == 26


@pytest.mark.parametrize(
    ("old", "new", "failed"),
    [
        ("1.5,,7", "-0.5,,7", "expect_column_values_to_be_between(cost)"),
        ("1.5,,7", ",,7", "expect_column_values_to_not_be_null(cost)"),
        ("1.5,,7", "NaN,,7", "expect_column_values_to_not_be_null(cost)"),
        ("1.5,,7", "1.5,x,7", "expect_column_values_to_be_of_type(n)"),
        ("A1", "1A", "expect_column_values_to_match_regex(code)"),
        ("A1", "A1b", "expect_column_values_to_match_regex(code)"),
        ("never", "often", "expect_column_values_to_be_in_set(smoker)"),
        ("2020-02-29", "2021-02-28", "expect_column_values_to_be_between(day)"),
        ("2020-01-01T10", "2019-01-01T10", "expect_column_values_to_be_between(at)"),
        ("true", "maybe", "expect_column_values_to_be_of_type(ok)"),
        ("1.5,2\n", "2.5,2\n", "expect_column_pair_values_a_to_be_greater_than_b(high, low) rule 1"),
        ("1.5,2\n", "-1.0,2\n", "expect_column_values_to_be_between(low) rule 2"),
        (",7,A1", ",8,A1", "expect_column_values_to_be_in_set(age) rule 3"),
    ],
)
def test_a_row_that_breaks_the_policy_fails_that_expectation_alone(
    make_policy, write, old: str, new: str, failed: str
) -> None:
    assert old in GOOD
    outcome = run(make_policy, write, GOOD.replace(old, new, 1), OTHER)
    assert outcome.failed == (failed,)
    assert not outcome.passed


def test_a_duplicate_fails_where_values_are_unique(make_policy, write) -> None:
    assert run(make_policy, write, GOOD, GOOD).failed == ("expect_column_values_to_be_unique(code)",)


def test_the_result_is_counts_the_same_each_time_and_holds_no_value(make_policy, write) -> None:
    bad = GOOD.replace("A1", "CANARY-77").replace("never", "CANARY-78").replace(",7,", ",777777,")
    one, two = run(make_policy, write, bad, OTHER), run(make_policy, write, bad, OTHER)
    assert one.canonical == two.canonical
    assert one.suite_canonical == two.suite_canonical
    assert one.digest == canonical.digest(one.canonical)
    assert b"CANARY" not in one.canonical
    assert b"777777" not in one.canonical
    results = canonical.decode(one.canonical)["results"]
    entry = next(r for r in results if r["expectation"] == "expect_column_values_to_be_between(age)")
    assert entry == {
        "expectation": "expect_column_values_to_be_between(age)",
        "success": False, "element_count": 2, "missing_count": 0, "unexpected_count": 1,
    }  # fmt: skip


def test_the_suite_records_every_argument_defaults_included(make_policy, write) -> None:
    suite = canonical.decode(run(make_policy, write, GOOD).suite_canonical)
    entry = next(e for e in suite["expectations"] if e["name"] == "expect_column_values_to_be_between(age)")
    assert entry["arguments"]["mostly"] == 1
    assert entry["arguments"]["strict_min"] is False
    assert suite["great_expectations"]


def test_a_change_of_the_policys_bounds_changes_the_suite(make_policy, write) -> None:
    path = write("cost,n,age\n1,1,1\n")
    one = validate(path, make_policy("{name: age, type: int, max: 89}"))
    other = validate(path, make_policy("{name: age, type: int, max: 90}"))
    assert one.suite_canonical != other.suite_canonical
    assert one.digest == other.digest


def test_an_expectation_that_breaks_counts_as_failed(make_policy, write, monkeypatch) -> None:
    broken = Check("expect_column_values_to_be_between", ("note",), {"column": "note", "min_value": 1})
    monkeypatch.setattr(room, "compile_policy", lambda policy: [*compile_policy(policy), broken])
    policy = make_policy("{name: note, type: string}")
    outcome = validate(write("cost,n,note\n1,1,CANARY-5\n"), policy)
    assert outcome.failed == ("expect_column_values_to_be_between(note)",)
    assert canonical.decode(outcome.canonical)["results"][-1]["error"] is True
    assert b"CANARY" not in outcome.canonical


@pytest.mark.parametrize("content", ["", HEADER, HEADER + "1.5,,7\n", "a,b\n1,2\n"])
def test_what_is_no_table_is_refused_before_anything_is_evaluated(make_policy, write, content: str) -> None:
    with pytest.raises(InvalidInput):
        read_table(write(content), make_policy(*COLUMNS))


def test_a_key_without_a_value_is_refused(make_policy, write) -> None:
    policy = make_policy("{name: key, type: string, unique: true, class: excluded}")
    with pytest.raises(InvalidInput, match="tells rows apart"):
        read_table(write("cost,n,key\n1,1,\n"), policy)


def test_data_docs_stand_alone_and_show_no_value(make_policy, write, tmp_path: Path) -> None:
    bad = GOOD.replace("A1", "CANARY-77").replace("1.5,,7", "1.5,x,7")
    page = write_data_docs(run(make_policy, write, bad), tmp_path / "docs").read_text()
    assert "CANARY" not in page
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert "Content-Security-Policy" in page
    assert "smoker" in page
    assert "Failed" in page
