"""A data file is held against the policy's columns; nothing of its rows is repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallystick.errors import InvalidInput, PolicyError
from tallystick.policy import DatasetPolicy, check_columns, load_policy

POLICY = """\
name: claims
title: Claims
source: a hospital
licence: internal
purpose: to test
retention: {days: 365, reason: a year}
task: {kind: regression, target: cost}
model: {algorithm: lightgbm, seed: 1}
split: {kind: random, test_fraction: 0.2}
privacy: {regime: none, reason: a test}
columns:
  - {name: cost, type: float}
  - {name: age, type: int}
  - {name: zipcode, type: string}
"""


@pytest.fixture
def policy(tmp_path: Path) -> DatasetPolicy:
    path = tmp_path / "claims.yaml"
    path.write_text(POLICY)
    return load_policy(path)


def data(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "claims.csv"
    path.write_bytes(content)
    return path


def test_the_same_columns_in_any_order_are_taken(policy: DatasetPolicy, tmp_path: Path) -> None:
    assert check_columns(policy, data(tmp_path, b"\xef\xbb\xbfage,zipcode,cost\n1,a,2\n")) is None


def test_a_missing_column_is_named_with_its_line_and_the_likely_one(policy, tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        check_columns(policy, data(tmp_path, b"cost,age,zip_code\n1,2,a\n"))
    assert caught.value.line == 14
    assert caught.value.message.endswith(
        'claims.yaml:14  column "zipcode" is not in the file; did you mean "zip_code"?'
    )


def test_an_undeclared_column_is_refused(policy: DatasetPolicy, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match='does not declare: "extra"') as caught:
        check_columns(policy, data(tmp_path, b"cost,age,zipcode,extra\n1,2,a,b\n"))
    assert caught.value.line == 11


def test_a_file_without_a_header_is_refused_without_repeating_its_values(policy, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_columns(policy, data(tmp_path, b"12.5,61,CANARY-9000\n13,62,b\n"))
    assert "CANARY" not in str(caught.value)
    assert "header" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"cost,age,cost\n", "stands twice"),
        (b"cost,,age\n", "column 2 has no name"),
        (b'cost,"",age\n', "column 2 has no name"),
        (b'cost,"a\nge"\n1,2\n', "header cannot be read"),
        (b"cost,a\x1bge\n", "column 2 has a line break or another control"),
        (b"\x1f\x8b\x08rest", "gzip"),
        (b"cost,\xff\n", "UTF-8"),
        (b"cost\0", "binary"),
        (b"PAR1 but not really", "damaged Parquet|no Parquet"),
        (b"x" * ((8 << 20) + 1), "longer than 8 MiB"),
    ],
)
def test_a_file_that_is_no_table_is_refused(policy, tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        check_columns(policy, data(tmp_path, content))


def test_an_absent_file_is_refused(policy: DatasetPolicy, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        check_columns(policy, tmp_path / "absent.csv")
