"""What a CSV means, and what is said of one that is wrong."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest

from tallystick.errors import InvalidInput
from tallystick.fingerprint import data_file
from tallystick.fingerprint.keys import TableKey
from tallystick.fingerprint.tables import fingerprint_table


def root(path: Path, content: str | bytes, key: TableKey, **schema: str) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return fingerprint_table(path, key, schema=schema).root


@pytest.mark.parametrize(
    ("kind", "text", "values"),
    [
        ("int", "7\n-0\n007\n+1", None),
        ("int", "7\n-3\n9007199254740993", [7, -3, 9007199254740993]),
        ("int", "1\n\n2", [1, None, 2]),
        ("float", "1\n.5\n1e3\nNaN\ninf\n-0.0", [1.0, 0.5, 1000.0, None, float("inf"), 0.0]),
        ("bool", "true\nFalse\nTRUE", [True, False, True]),
        ("bool", "1\n0", [True, False]),
        ("bool", "yes", None),
        ("string", '""\n"a,""b"\n NA\nNULL', ["", 'a,"b', " NA", "NULL"]),
        ("string", '"one\ntwo"\n"x"', ["one\ntwo", "x"]),
        ("date", "2020-1-2", None),
        ("decimal", "1.50\n1e2\n-0.0", [Decimal("1.5"), Decimal("100"), Decimal("0")]),
        ("decimal", "NaN", None),
    ],
)
def test_what_a_field_means(
    kind: str, text: str, values: list[Any] | None, tmp_path: Path, key: TableKey
) -> None:
    if values is None:
        with pytest.raises(InvalidInput, match=f"no {kind}"):
            root(tmp_path / "t", f"c\n{text}\n", key, c=kind)
    else:
        expected = fingerprint_table(pa.table({"c": values}), key).root
        assert root(tmp_path / "t", f"c\n{text}\n", key, c=kind) == expected


def test_dialects_of_the_same_table(tmp_path: Path, key: TableKey) -> None:
    plain = root(tmp_path / "t", "a,b\n1,x\n2,\n", key, a="int", b="string")
    for other in (b"\xef\xbb\xbfa,b\r\n1,x\r\n2,\r\n", b'"a","b"\n1,"x"\n2,\n', b"a,b\n1,x\n\n2,"):
        assert root(tmp_path / "t", other, key, a="int", b="string") == plain
    assert root(tmp_path / "t", 'a,b\n1,x\n2,""\n', key, a="int", b="string") != plain


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"a,b", "no rows"),
        (b"a,b\n", "no rows"),
        (b"a,b,a\n1,2,3\n", "columns 1 and 3 have the same name"),
        (b'a,""\n1,2\n', "column 2 has no name"),
        (b"a,b\x00\n1,2\n", "binary data"),
        (b"a\n1\n", "column b is missing"),
        (b"a,b,c\n1,x,y\n", "column c is not declared"),
        (b"a,b\n1,x\n2\n", ":3  1 fields where the header has 2"),
        (b"a,b\n1,x\n2,secret-value,z\n", ":3  3 fields where the header has 2"),
        (b'a,b\n1,"x\n\ny"\n\n2\n', ":6  1 fields"),
        (b"a,b\nsecret-value,x\n", "column a holds a value that is no int"),
        (b'a,b\n1,x\n2,"secret-val', "ends within quotes"),
        (b'a,b\n1,x\n2,"secret-value\n', "ends within quotes"),
        (b"a,b\n1,secret-value\xff\n", "column b holds text that is not UTF-8"),
        (b"\xff\xfea\x00,\x00b\x00\n", "header is not UTF-8"),
        (b'"a\nb",b\n1,x\n', "header cannot be read"),
    ],
)
def test_what_is_wrong_is_named_without_its_value(
    content: bytes, message: str, tmp_path: Path, key: TableKey
) -> None:
    with pytest.raises(InvalidInput, match=message) as refused:
        root(tmp_path / "t.csv", content, key, a="int", b="string")
    assert "secret" not in str(refused.value)
    assert refused.value.hint
    assert refused.value.__cause__ is None


def test_a_quoted_last_value_is_no_open_quote(tmp_path: Path, key: TableKey) -> None:
    plain = root(tmp_path / "t", "a,b\n1,x\n", key, a="int", b="string")
    assert root(tmp_path / "t", 'a,b\n1,"x"', key, a="int", b="string") == plain
    root(tmp_path / "t", 'a,b\n1,"x""\n"', key, a="int", b="string")
    root(tmp_path / "t", 'a,b\n1,5""', key, a="int", b="string")


@pytest.mark.parametrize("content", [b"a\n" + b"9" * 5000 + b"\n", b"a" * 5000, b"a\n1\n" + b"9" * 5000])
def test_a_line_of_huge_length_is_refused(
    content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: TableKey
) -> None:
    monkeypatch.setattr(data_file, "MAX_LINE", 1000)
    with pytest.raises(InvalidInput, match="longer than"):
        root(tmp_path / "t", content, key, a="string")


def test_a_csv_without_declared_types_is_refused(tmp_path: Path, key: TableKey) -> None:
    (tmp_path / "t").write_text("a\n1\n")
    with pytest.raises(InvalidInput, match="types must be declared"):
        fingerprint_table(tmp_path / "t", key)


def test_a_fault_late_in_a_long_file_names_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: TableKey
) -> None:
    monkeypatch.setattr(data_file, "MAX_LINE", 1000)
    with pytest.raises(InvalidInput, match=":3002  1 fields"):
        root(tmp_path / "t", "a,b\n" + "1,2\n" * 3000 + "3\n", key, a="int", b="int")
    with pytest.raises(InvalidInput, match="column b holds a value that is no int, in row"):
        root(tmp_path / "t", "a,b\n" + "1,2\n" * 3000 + "3,x\n", key, a="int", b="int")


def test_arrow_is_given_nothing_of_python(
    tmp_path: Path, key: TableKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its threads outlive a reading: one that has to give back a Python object while Python is ending
    aborts the process."""
    given, opening = [], pyarrow.csv.open_csv

    def opened(source: Any, **options: Any) -> Any:
        given.append((source, options["parse_options"].invalid_row_handler))
        return opening(source, **options)

    monkeypatch.setattr(pyarrow.csv, "open_csv", opened)
    root(tmp_path / "t", "a\n1\n", key, a="int")
    ((source, handler),) = given
    assert type(source) is pa.OSFile
    assert handler is None
