"""The tables kept beside the blocks, compared row by row with what running the blocks again gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, Protocol

from tallystick.evidence.derived import TABLES, Derived, Row
from tallystick.evidence.report import CHANGED, MISSING, UNRECORDED, Subject
from tallystick.proof.merkle import HASH_SIZE

#: So many rows of a table are named; where more differ, the last line says so.
_MOST_NAMED: Final = 20


class StoredLedger(Protocol):
    """What a ledger keeps beside its blocks, opened. Rows are tuples in the order of the table's key."""

    @property
    def height(self) -> int:
        """About how many blocks there are, for progress only."""

    def rows(self, table: str) -> Iterable[Row] | None:
        """The rows of one of `derived.TABLES`; None where the ledger keeps no such table."""


def differences(stored: StoredLedger, derived: Derived) -> Iterator[Subject]:
    """One subject for each derived row that is changed, missing or too many, named by table and key."""
    for table in TABLES:
        rows = stored.rows(table)
        if rows is None:
            continue
        found = _compare(table, _spread(table, derived.rows(table)), _spread(table, rows))
        yield from islice(found, _MOST_NAMED)
        if next(found, None):
            yield Subject("table", table, CHANGED, "and more rows; `tally rebuild` makes them again")


def _compare(table: str, expected: Iterator[Row], stored: Iterator[Row]) -> Iterator[Subject]:
    want, have = next(expected, None), next(stored, None)
    while want is not None or have is not None:
        if want == have:
            want, have = next(expected, None), next(stored, None)
        elif have is None or (want is not None and _rank(want[0]) < _rank(have[0])):
            yield _row(table, want, MISSING, "the log gives this row, and it is not there")
            want = next(expected, None)
        elif want is None or _rank(have[0]) < _rank(want[0]):
            yield _row(table, have, UNRECORDED, "a row that the log does not give")
            have = next(stored, None)
        else:
            yield _row(table, want, CHANGED, f"{_columns(table, want, have)} differs from what the log gives")
            want, have = next(expected, None), next(stored, None)


def _spread(table: str, rows: Iterable[Row]) -> Iterator[Row]:
    """``hashes`` as one row a hash, since how many stand in a row means nothing."""
    if table != "hashes":
        yield from rows
        return
    for start, data in rows:
        if type(start) is not int or type(data) is not bytes or not data:
            yield start, data
            continue
        for offset in range(0, len(data), HASH_SIZE):
            yield start + offset // HASH_SIZE, data[offset : offset + HASH_SIZE]


def _columns(table: str, want: Row, have: Row) -> str:
    names = [name for name, old, new in zip(TABLES[table], want, have, strict=False) if old != new]
    return ", ".join(names) or "its type"


def _row(table: str, row: Any, status: str, detail: str) -> Subject:
    key = row[0].hex() if type(row[0]) is bytes else ascii(row[0]).strip("'")
    return Subject(f"row of {table}", key, status, detail)


def _rank(key: Any) -> tuple[int, Any]:
    """An order over keys of any type that a damaged file may hold, SQLite's own within a type."""
    if type(key) is int:
        return 0, key
    if type(key) is str:
        return 1, key.encode("utf-8", "surrogateescape")
    return (2, key) if type(key) is bytes else (3, repr(key))
