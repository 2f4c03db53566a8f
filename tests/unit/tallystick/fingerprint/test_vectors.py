"""The published vectors, from the values to the root."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from tallystick.fingerprint.columns import to_cells
from tallystick.fingerprint.keys import TableKey
from tallystick.fingerprint.rows import encode_rows
from tallystick.fingerprint.subsets import subset_root
from tallystick.fingerprint.tables import fingerprint_table, row_leaves

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_the_table_of_all_types(key: TableKey, vectors: Any, tmp_path: Path) -> None:
    expected = vectors["table"]
    schema = {column["name"]: column["type"] for column in expected["columns"]}
    path = tmp_path / "vector.csv"
    path.write_text(expected["csv"])
    found = fingerprint_table(path, key, schema=schema)
    assert (found.root, found.rows) == (expected["root"], len(expected["rows"]))
    assert found.schema_digest == expected["schema_digest"]
    by_subject = row_leaves(path, key, schema=schema, subject="name")
    assert [bytes(leaf).hex() for leaf in row_leaves(path, key, schema=schema).leaves] == expected["leaves"]
    assert [bytes(leaf).hex() for leaf in by_subject.leaves] == expected["leaves_by_subject"]
    assert [bytes(one).hex() for one in by_subject.ids] == expected["ids_by_subject"]
    assert by_subject.root == expected["root_by_subject"]
    assert subset_root(by_subject, [0, 2])[1] == expected["subset_0_2_by_subject"]


def test_the_same_table_in_memory(key: TableKey, vectors: Any) -> None:
    expected = vectors["table"]
    table = pa.table(
        {
            "i": pa.array([-1, None, 9007199254740993]),
            "f": pa.array([0.1, float("nan"), -0.0]),
            "b": pa.array([True, False, None]),
            "name": pa.array(["A", "é,", "A"]),
            "d": pa.array([date(1969, 12, 31), None, date(2020, 2, 29)]),
            "t": pa.array([0, None, 1_577_880_000_123_456_789], pa.timestamp("ns", "Asia/Tokyo")),
            "m": pa.array([Decimal("1.50"), None, Decimal("-0.01")]),
        }
    )
    columns = [to_cells(c["name"], table[c["name"]], c["type"]) for c in expected["columns"]]
    assert [row.hex() for row in encode_rows(columns)] == expected["rows"]
    assert fingerprint_table(table, key).root == expected["root"]
    moved = table.set_column(5, "t", pa.array([EPOCH, None, EPOCH + timedelta(1)]))
    assert fingerprint_table(moved, key).root != expected["root"]
