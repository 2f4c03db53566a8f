"""The plain and the compiled path against a third implementation of docs/formats/fingerprint.md."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.errors import InvalidInput
from tallystick.fingerprint import tables
from tallystick.fingerprint.columns import decimal_text
from tallystick.fingerprint.keys import TableKey
from tallystick.fingerprint.rows import decode_row
from tallystick.fingerprint.tables import fingerprint_table, row_leaves

VALUES = {
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(),
    "bool": st.booleans(),
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=150),
    "date": st.integers(-(2**31), 2**31 - 1),
    "timestamp": st.integers(-(2**63), 2**63 - 1),
    "decimal": st.decimals(-(10**6), 10**6, places=3),
}
ARROW = {
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("ns"),
    "decimal": pa.decimal128(12, 3),
}


@st.composite
def any_table(draw: st.DrawFn) -> tuple[list[str], list[list[Any]]]:
    kinds = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=5))
    cells = [st.one_of(st.none(), VALUES[kind]) for kind in kinds]
    return kinds, draw(st.lists(st.tuples(*cells).map(list), min_size=1, max_size=40))


def as_table(kinds: list[str], rows: list[list[Any]]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    return pa.table(
        [pa.array(column, ARROW[kind]) for kind, column in zip(kinds, columns, strict=True)],
        names=[f"c{number}" for number in range(len(kinds))],
    )


def plain_values(kinds: list[str], row: list[Any]) -> list[Any]:
    return [
        decimal_text(v) if k == "decimal" and v is not None else v for k, v in zip(kinds, row, strict=True)
    ]


@given(any_table(), st.booleans())
@settings(deadline=None)
def test_both_paths_do_what_the_format_page_says(
    key: TableKey, reference: Any, content: tuple[list[str], list[list[Any]]], by_subject: bool
) -> None:
    kinds, rows = content
    subject = None
    if by_subject and all(row[0] is not None and row[0] == row[0] for row in rows):
        subject = 0
    expected = reference.leaves(kinds, [plain_values(kinds, row) for row in rows], subject)
    table = as_table(kinds, rows)
    for compiled_from in (0, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tables, "COMPILED_FROM", compiled_from)
            leaves = row_leaves(table, key, subject=None if subject is None else "c0")
            found = fingerprint_table(table, key, subject=None if subject is None else "c0")
        assert [bytes(leaf) for leaf in leaves.leaves] == expected
        assert found.root == leaves.root == reference.root(expected).hex()
        assert found.rows == len(rows)


@given(any_table())
@settings(deadline=None)
def test_an_encoded_row_is_read_back(reference: Any, content: tuple[list[str], list[list[Any]]]) -> None:
    kinds, rows = content
    columns = [(f"c{number}", kind) for number, kind in enumerate(kinds)]
    values = plain_values(kinds, rows[0])
    row = reference.row(kinds, values)
    decoded = decode_row(row, columns)
    for (name, kind), value in zip(columns, values, strict=True):
        if value is None or value != value:
            assert decoded[name] is None
        elif kind not in ("date", "timestamp"):
            assert decoded[name] == value
        else:
            assert isinstance(decoded[name], str)
    for wrong in (row[:-1], row + b"\x00", b"?" + row[1:]):
        with pytest.raises(InvalidInput):
            decode_row(wrong, columns)


@pytest.mark.parametrize("compiled_from", [0, 10**9])
def test_many_chunks_make_one_tree(
    compiled_from: int, monkeypatch: pytest.MonkeyPatch, key: TableKey, reference: Any
) -> None:
    monkeypatch.setattr("tallystick.fingerprint.sources.CHUNK", 16)
    monkeypatch.setattr(tables, "COMPILED_FROM", compiled_from)
    for count in (15, 16, 17, 32, 47, 100):
        found = fingerprint_table(pa.table({"a": list(range(count))}), key)
        expected = reference.root(reference.leaves(["int"], [[number] for number in range(count)]))
        assert found.root == expected.hex()


def test_long_texts_take_many_blocks_in_both_paths(monkeypatch: pytest.MonkeyPatch, key: TableKey) -> None:
    table = pa.table({"a": ["x" * length for length in range(0, 300)] + ["y" * 10_000, None]})
    plain = fingerprint_table(table, key)
    monkeypatch.setattr(tables, "COMPILED_FROM", 0)
    assert fingerprint_table(table, key) == plain
    assert fingerprint_table(table.slice(100), key) != plain


def test_a_subjects_rows_share_an_id_that_only_the_key_explains(key: TableKey, pseudonym: Any) -> None:
    table = pa.table({"who": ["A", "B", "A"], "x": [1, 1, 1]})
    rows = row_leaves(table, key, subject="who")
    assert bytes(rows.ids[0]) == bytes(rows.ids[2]) == pseudonym("A")
    assert bytes(rows.ids[1]) == pseudonym("B") != bytes(rows.ids[0])
    assert len({bytes(leaf) for leaf in rows.leaves}) == 3


def test_every_row_needs_a_subject_where_one_is_named(key: TableKey) -> None:
    with pytest.raises(InvalidInput, match=r"row 1 .* no subject in column who"):
        fingerprint_table(pa.table({"who": ["A", None]}), key, subject="who")
    with pytest.raises(InvalidInput, match="subject column whom is missing"):
        fingerprint_table(pa.table({"who": ["A"]}), key, subject="whom")


def test_without_a_subject_the_id_is_the_rows_number(key: TableKey) -> None:
    rows = row_leaves(pa.table({"a": [7] * 300}), key)
    assert [int.from_bytes(bytes(one), "big") for one in rows.ids] == list(range(300))
    assert len({bytes(leaf) for leaf in rows.leaves}) == 300
