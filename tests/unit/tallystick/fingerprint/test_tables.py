"""One root for one content, whatever holds it; another root for any other content."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
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
from tallystick.fingerprint.tables import fingerprint_table, row_leaves, subject_id

SCHEMA = {
    "id": "int",
    "x": "float",
    "flag": "bool",
    "name": "string",
    "day": "date",
    "at": "timestamp",
    "fee": "decimal",
}
TABLE = pa.table(
    {
        "id": pa.array([1, -2, None], pa.int64()),
        "x": pa.array([0.1, None, -1e300], pa.float64()),
        "flag": pa.array([True, None, False]),
        "name": pa.array(["a,b", "", None]),
        "day": pa.array([date(2020, 2, 29), None, date(1900, 1, 1)]),
        "at": pa.array([datetime(2020, 1, 1, 12, tzinfo=UTC), None, datetime(1969, 12, 31, tzinfo=UTC)]),
        "fee": pa.array([Decimal("1.50"), None, Decimal("-0.01")], pa.decimal128(10, 2)),
    }
)


def as_csv(path: Path) -> Any:
    pyarrow.csv.write_csv(TABLE, path)
    return path


def as_parquet(path: Path) -> Any:
    pyarrow.parquet.write_table(TABLE, path, row_group_size=2)
    return path


def as_arrow_file(path: Path) -> Any:
    pyarrow.feather.write_feather(TABLE, str(path))
    return path


def as_arrow_stream(path: Path) -> Any:
    with pyarrow.ipc.new_stream(path, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return path


def as_pandas(_: Path) -> Any:
    return TABLE.to_pandas()


def as_arrow_pandas(_: Path) -> Any:
    return TABLE.to_pandas(types_mapper=pd.ArrowDtype)


def as_batches(_: Path) -> Any:
    return iter(TABLE.to_batches(max_chunksize=1))


def as_reader(_: Path) -> Any:
    return TABLE.to_reader(max_chunksize=2)


def as_dictionary(_: Path) -> Any:
    return TABLE.set_column(3, "name", TABLE["name"].dictionary_encode())


def as_polars_parquet(path: Path) -> Any:
    pl.from_arrow(TABLE).write_parquet(path)  # type: ignore[union-attr]
    return path


ALL = [
    as_csv,
    as_parquet,
    as_arrow_file,
    as_arrow_stream,
    as_pandas,
    as_arrow_pandas,
    as_batches,
    as_reader,
    as_dictionary,
    as_polars_parquet,
]


@pytest.mark.parametrize("hold", ALL, ids=lambda hold: hold.__name__)
def test_equal_content_has_an_equal_root(hold: Callable[[Path], Any], tmp_path: Path, key: TableKey) -> None:
    assert fingerprint_table(hold(tmp_path / "object"), key, schema=SCHEMA) == fingerprint_table(TABLE, key)


def test_types_are_the_tables_own_unless_declared(key: TableKey) -> None:
    assert dict(fingerprint_table(TABLE, key).columns) == SCHEMA


def root(column: Any, key: TableKey, kind: str | None = None) -> str:
    array = column if isinstance(column, pa.Array) else pa.array(column)
    return fingerprint_table(pa.table({"c": array}), key, schema=None if kind is None else {"c": kind}).root


UTC_NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([1], pa.int8()), pa.array([1], pa.uint64())),
        (pa.array([0.5], pa.float16()), pa.array([0.5])),
        ([0.0], [-0.0]),
        ([math.nan, 1.0], pa.array([None, 1.0])),
        ([math.nan], np.array([-math.nan])),
        (["x"], pa.array(["x"], pa.large_string())),
        (["x"], pa.array(["x"], pa.string_view())),
        ([UTC_NOON], [UTC_NOON.replace(tzinfo=None)]),
        ([UTC_NOON], [UTC_NOON.astimezone(timezone(timedelta(hours=5)))]),
        (pa.array([UTC_NOON], pa.timestamp("ns")), pa.array([UTC_NOON], pa.timestamp("s", "Asia/Tokyo"))),
        (pa.array([date(2020, 1, 1)], pa.date64()), [date(2020, 1, 1)]),
        (pa.array([Decimal("1.50")]), pa.array([Decimal("1.5000")], pa.decimal256(60, 4))),
        (pa.array([3, 3]).dictionary_encode(), [3, 3]),
    ],
)
def test_what_is_the_same_value(one: Any, other: Any, key: TableKey) -> None:
    assert root(one, key) == root(other, key)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1], [2]),
        ([1], [1.0]),
        ([1], [True]),
        ([1], ["1"]),
        ([""], pa.array([None], pa.string())),
        ([0], pa.array([None], pa.int64())),
        ([math.inf], [-math.inf]),
        (["é"], ["e\u0301"]),
        (["a "], ["a"]),
        ([1, 2], [2, 1]),
        ([1, 1], [1]),
        ([UTC_NOON], [UTC_NOON + timedelta(microseconds=1)]),
        ([date(1970, 1, 2)], [1]),
        ([Decimal("1")], [1]),
    ],
)
def test_what_is_another_value(one: Any, other: Any, key: TableKey) -> None:
    assert root(one, key) != root(other, key)


def test_the_order_of_columns_counts_and_names_are_in_the_schema_digest(key: TableKey) -> None:
    one = fingerprint_table(pa.table({"a": [1], "b": [2]}), key)
    swapped = fingerprint_table(pa.table({"b": [2], "a": [1]}), key)
    renamed = fingerprint_table(pa.table({"a": [1], "c": [2]}), key)
    assert one.root != swapped.root
    assert one.root == renamed.root
    assert len({one.schema_digest, swapped.schema_digest, renamed.schema_digest}) == 3


def test_neighbouring_texts_do_not_run_together(key: TableKey) -> None:
    one = fingerprint_table(pa.table({"a": ["ab"], "b": ["c"]}), key)
    other = fingerprint_table(pa.table({"a": ["a"], "b": ["bc"]}), key)
    assert one.root != other.root


def test_declared_types_are_read_where_nothing_is_lost(key: TableKey) -> None:
    assert root([1.0, math.nan], key, "int") == root(pa.array([1, None]), key)
    assert root([1, 2], key, "float") == root([1.0, 2.0], key)
    assert root([150], key, "decimal") == root([Decimal("150")], key)
    assert root(pa.array([None, None]), key, "date") == root(pa.array([None, None], pa.date32()), key)
    naive, zoned = "2020-01-01 12:00:00", "2020-01-01T14:00:00.000000+02:00"
    assert root([naive, zoned, None], key, "timestamp") == root([UTC_NOON, UTC_NOON, None], key)
    assert root(["1500-01-01"], key, "timestamp") == root([datetime(1500, 1, 1, tzinfo=UTC)], key)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ([1.5], "int"),
        ([2**53 + 1], "float"),
        (["x"], "int"),
        (["1e99"], "decimal"),
        (["secret-value"], "decimal"),
        (["secret-value"], "timestamp"),
        (["2020-01-02T03:04:05+zz"], "timestamp"),
        ([True], "int"),
        ([1], "number"),
        (pa.array([2**63], pa.uint64()), None),
        (pa.array([2**60], pa.timestamp("s")), None),
        (pa.array([b"x"]), None),
        (pa.array([timedelta(1)]), None),
        (pa.array([[1]]), None),
        (pa.array([None]), None),
    ],
)
def test_what_cannot_be_read_as_its_type_is_refused(column: Any, kind: str | None, key: TableKey) -> None:
    with pytest.raises(InvalidInput, match="column c") as refused:
        root(column, key, kind)
    assert "secret-value" not in str(refused.value)
    assert refused.value.hint
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"a": "int"}, "column b is not declared"),
        ({"a": "int", "b": "int", "z": "int"}, "column z is missing"),
        ({"a": "int", "b": "string"}, "column b is int where string is declared"),
    ],
)
def test_a_declared_schema_is_the_whole_schema(schema: dict[str, str], message: str, key: TableKey) -> None:
    with pytest.raises(InvalidInput, match=message):
        fingerprint_table(pa.table({"a": [1], "b": [2]}), key, schema=schema)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (pd.DataFrame({"a": [1]}, index=pd.Index(["x"])), "index"),
        (pd.DataFrame({"a": [1]}, index=pd.Index([7], name="row")), "index"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "column a is there twice"),
        (pd.DataFrame({1: [1]}), "not text"),
        (pd.DataFrame({"a": [1, "secret-value"]}, dtype=object), "column a"),
        (pa.table([[1], [2]], names=["a", "a"]), "column a is there twice"),
        (pa.table({"a": pa.array([], pa.int64())}), "no rows"),
        (pa.table({}), "no columns"),
        ([], "no rows"),
        ([1, 2], "is no table"),
        (
            [pa.record_batch({"a": [1]}), pa.record_batch({"a": ["secret-value"]})],
            "another schema",
        ),
    ],
)
def test_what_is_no_table_is_refused(source: Any, message: str, key: TableKey) -> None:
    with pytest.raises(InvalidInput, match=message) as refused:
        fingerprint_table(source, key)
    assert "secret-value" not in str(refused.value)


def test_row_numbers_that_a_selection_left_are_no_content(key: TableKey) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3]})
    assert fingerprint_table(frame[frame.a > 1], key) == fingerprint_table(pa.table({"a": [2, 3]}), key)


@pytest.mark.parametrize("magic", [b"PAR1", b"ARROW1\x00\x00", b"\xff\xff\xff\xff\x10\x00\x00\x00"])
@pytest.mark.parametrize("length", [0, 500])
def test_a_damaged_file_is_refused(magic: bytes, length: int, tmp_path: Path, key: TableKey) -> None:
    path = tmp_path / "object"
    path.write_bytes(magic + bytes(length))
    with pytest.raises(InvalidInput, match="object") as refused:
        fingerprint_table(path, key, schema={"a": "int"})
    assert refused.value.hint


def test_a_damaged_page_within_a_parquet_file_is_refused(tmp_path: Path, key: TableKey) -> None:
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pa.table({"a": list(range(9999))}), path, compression="zstd")
    content = bytearray(path.read_bytes())
    content[4:40] = bytes(36)
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"t\.parquet"):
        fingerprint_table(path, key)


@pytest.mark.parametrize("name", ["missing.csv", "empty.csv", "empty.parquet", "text.parquet", "text.arrow"])
def test_a_file_that_is_not_what_it_is_called_is_refused(name: str, tmp_path: Path, key: TableKey) -> None:
    if not name.startswith("missing"):
        (tmp_path / name).write_bytes(b"" if name.startswith("empty") else b"a\n1\n")
    with pytest.raises(InvalidInput, match=name):
        fingerprint_table(tmp_path / name, key, schema={"a": "int"})


def test_progress_counts_rows(key: TableKey) -> None:
    told: list[int] = []
    fingerprint_table(pa.table({"a": np.arange(70_000)}), key, progress=told.append)
    assert told == [65536, 70_000]


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
@settings(deadline=None, max_examples=60)
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
@settings(deadline=None, max_examples=40)
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


def test_a_subjects_rows_share_an_id_that_only_the_key_explains(key: TableKey) -> None:
    table = pa.table({"who": ["A", "B", "A"], "x": [1, 1, 1]})
    rows = row_leaves(table, key, subject="who")
    assert bytes(rows.ids[0]) == bytes(rows.ids[2]) == subject_id(key, "string", "A")
    assert bytes(rows.ids[1]) == subject_id(key, "string", "B") != bytes(rows.ids[0])
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
