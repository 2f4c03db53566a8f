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

from tallystick.errors import InvalidInput
from tallystick.fingerprint.keys import TableKey
from tallystick.fingerprint.tables import fingerprint_table

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
