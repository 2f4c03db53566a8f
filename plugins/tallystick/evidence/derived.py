"""What follows from the blocks, made again on the side: the tables that a ledger file keeps beside them.

A scratch database that spills to the disk, so that memory stays flat however long the log is. The
tables have the shape of the ledger file's own (docs/formats/block.md#derived-tables), so that they can be
compared with them row by row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from tallystick.execution.simulate import Version
from tallystick.execution.state_table import StateSnapshot

Row = tuple[Any, ...]

TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "state": ("key", "value", "block", "position"),
    "transactions": ("id", "block", "position"),
    "hashes": ("start", "data"),
    "head": ("id", "number", "header", "config", "frontier"),
}
"""The derived tables and their columns. The first column is the key, and rows are in its order."""

_SCHEMA: Final = """
CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB, block INTEGER, position INTEGER) WITHOUT ROWID;
CREATE TABLE transactions (id BLOB PRIMARY KEY, block INTEGER, position INTEGER) WITHOUT ROWID;
CREATE TABLE hashes (start INTEGER PRIMARY KEY, data BLOB);
CREATE TABLE head (id INTEGER PRIMARY KEY, number INTEGER, header TEXT, config INTEGER, frontier BLOB);
CREATE TABLE records (id TEXT PRIMARY KEY, kind TEXT, block INTEGER, leaf INTEGER, data BLOB);
CREATE INDEX records_by_kind ON records (kind, leaf);
"""


class Derived(StateSnapshot):
    """The derived tables in the making, and the records found on the way. Also an execution snapshot."""

    def __init__(self) -> None:
        super().__init__(sqlite3.connect("", isolation_level=None))
        self._connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SCHEMA}")
        self._connection.execute("BEGIN")

    def write_state(self, writes: Mapping[str, bytes | None], version: Version) -> None:
        """Take over the writes of a valid transaction; None removes a key."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)",
            [(key, value, *version) for key, value in writes.items() if value is not None],
        )
        removed = [(key,) for key, value in writes.items() if value is None]
        if removed:
            self._connection.executemany("DELETE FROM state WHERE key = ?", removed)

    def add_transaction(self, transaction_id: str, version: Version) -> bool:
        """Note a transaction's id (hex), valid or not; False where it was there before."""
        done = self._connection.execute(
            "INSERT OR IGNORE INTO transactions VALUES (?, ?, ?)", (bytes.fromhex(transaction_id), *version)
        )
        return done.rowcount == 1

    def add_hashes(self, start: int, hashes: bytes) -> None:
        """Note stored hashes, concatenated, from stored index ``start`` on."""
        self._connection.execute("INSERT INTO hashes VALUES (?, ?)", (start, hashes))

    def set_head(self, number: int, header: str, config: int, frontier: bytes) -> None:
        """Note where the ledger stands."""
        self._connection.execute(
            "INSERT INTO head VALUES (1, ?, ?, ?, ?)", (number, header, config, frontier)
        )

    def add_record(self, record_id: str, kind: str, block: int, leaf: int, data: bytes) -> None:
        """Keep a record for the checks that follow."""
        self._connection.execute(
            "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?)", (record_id, kind, block, leaf, data)
        )

    def rows(self, table: str) -> Iterator[Row]:
        """The rows of one of `TABLES`, in the order of their keys."""
        return self._select(f"SELECT * FROM {table} ORDER BY {TABLES[table][0]}")  # noqa: S608 - from TABLES

    def records(self, kind: str) -> Iterator[Row]:
        """The kept records of a kind as (id, kind, block, leaf, data), in the order of the log."""
        return self._select("SELECT * FROM records WHERE kind = ? ORDER BY leaf", (kind,))

    def count(self, kinds: Iterable[str]) -> int:
        """How many records of these kinds are kept."""
        count = "SELECT count(*) FROM records WHERE kind = ?"
        return sum(next(self._select(count, (kind,)))[0] for kind in kinds)

    def record(self, record_id: str) -> Row | None:
        """The kept record (id, kind, block, leaf, data) of an id."""
        return next(self._select("SELECT * FROM records WHERE id = ?", (record_id,)), None)

    def close(self) -> None:
        """Let go of the scratch database."""
        self._connection.close()

    def _select(self, statement: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        return iter(self._connection.execute(statement, values))
