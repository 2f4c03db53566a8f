"""`tally policy check` calls nothing good that a pipeline would refuse, and says what it did not look at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.policies import PEOPLE

from tallystick.cli import main


@pytest.fixture(autouse=True)
def files(directory: Path) -> None:
    (directory / "p.yaml").write_text(PEOPLE)
    (directory / "good.csv").write_text("age,cost\n40,10.5\n41,11.0\n")


def check(data: str = "good.csv") -> int:
    return main(["policy", "check", "p.yaml", "--data", data])


def test_data_that_keeps_to_the_policy_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert check() == 0
    out = capsys.readouterr().out
    assert "2 rows keep to it" in out
    assert "tally run --data good.csv --policy p.yaml" in out


def test_a_value_out_of_range_is_named_by_line_and_row_and_not_by_value(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "bad.csv").write_text("age,cost\n40,10.5\n777,11.0\n")
    assert check("bad.csv") == 1
    told = capsys.readouterr()
    line = PEOPLE.splitlines().index("  - {name: age, type: int, min: 0, max: 120}") + 1
    assert (
        f"p.yaml:{line}  expect_column_values_to_be_between(age)  1 row, the first is data row 2" in told.out
    )
    assert "a good policy" not in told.out
    assert "tally run" not in told.out
    assert "777" not in told.out + told.err
    assert main(["policy", "check", "p.yaml", "--data", "bad.csv", "--json"]) == 1
    (broken,) = json.loads(capsys.readouterr().out)["broken"]
    rule = "expect_column_values_to_be_between(age)"
    assert broken == {"line": line, "rule": rule, "rows": 1, "first": 2}


def test_a_last_line_that_is_cut_short_is_named(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "cut.csv").write_text("age,cost\n40,10.5\n41")
    assert check("cut.csv") == 2
    told = capsys.readouterr()
    assert "cut.csv:3  1 fields where the header has 2" in told.err
    assert "a good policy" not in told.out


def test_without_data_it_says_that_no_row_was_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "check", "p.yaml"]) == 0
    out = capsys.readouterr().out
    assert "No row was looked at" in out
    assert "tally run" not in out
