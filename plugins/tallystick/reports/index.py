"""Opening the read index, looking records up in it, and holding it against the ledger."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from tallystick.errors import NotAsRecorded
from tallystick.ledger.port import Ledger, LoggedRecord
from tallystick.reports import schema
from tallystick.reports.follower import Progress, follow, following, is_of, rows
from tallystick.reports.queries import Index

#: Where a row stands in its table: its first columns are the table's key.
_PLACE: Final = {
    "records": "leaf = ?",
    "streams": "stream = ? AND number = ?",
    "links": "source = ? AND role = ? AND target = ?",
}


@contextlib.contextmanager
def open_index(path: Path, ledger: Ledger, progress: Progress | None = None) -> Iterator[Index]:
    """The index at ``path``, up with ``ledger``. Not shared by threads: each opens its own.

    ``progress`` is told how many blocks were read. Raises `CouldNotCheck` when the file cannot be
    written and `NotAsRecorded` for a block that cannot be read.
    """
    with schema.translated(path):
        try:
            connection = _followed(path, ledger, progress)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            # Only an index: a damaged one is thrown away and read from the blocks again.
            schema.remove(path)
            connection = _followed(path, ledger, progress)
        with contextlib.closing(connection):
            yield Index(connection)


class IndexedRecords:
    """Records by their ids, from the index at ``path``, which every look-up brings up with ``ledger``."""

    def __init__(self, path: Path, ledger: Ledger) -> None:
        self._path = path
        self._ledger = ledger

    def find(self, ids: Collection[str]) -> dict[str, LoggedRecord]:
        """Those of the ids that stand there, as the index has them. Raises as `open_index` does."""
        with open_index(self._path, self._ledger) as index:
            return {each: record.logged for each in ids if (record := index.get(each))}


def rebuild_index(path: Path, ledger: Ledger, progress: Progress | None = None) -> dict[str, int]:
    """Compare the index with the ledger and make it again where they differ.

    Returns how many rows of each table were not what the ledger gives. Raises as `open_index` does.
    """
    with open_index(path, ledger) as index, schema.translated(path):
        differences = _differences(index.connection, ledger, progress)
        if any(differences.values()):
            with schema.transaction(index.connection):
                schema.create_tables(index.connection)
            follow(index.connection, ledger, progress)
    return differences


def compare_index(path: Path, ledger: Ledger, progress: Progress | None = None) -> dict[str, int] | None:
    """How many rows of each table are not what the ledger gives, as far as the index has read it.

    None where there is no index, or one of another version, which nobody reads. Nothing is written.
    Raises `NotAsRecorded` where the index is damaged or has other tables, or a block cannot be read, and
    `CouldNotCheck` where it cannot be opened.
    """
    if not path.exists():
        return None
    with schema.translated(path), contextlib.closing(schema.connect_to_read(path)) as connection:
        try:
            connection.execute("BEGIN")
            if schema.is_strange(connection):
                raise NotAsRecorded(f"the read index {path} has other tables than an index has")
            return _differences(connection, ledger, progress) if _is_current(connection) else None
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise NotAsRecorded(f"the read index {path} is damaged: {error}") from error


def _followed(path: Path, ledger: Ledger, progress: Progress | None) -> sqlite3.Connection:
    connection = schema.connect(path)
    try:
        if schema.is_strange(connection):
            raise sqlite3.DatabaseError("other tables than an index has")
        follow(connection, ledger, progress)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_current(connection: sqlite3.Connection) -> bool:
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return False
    versions = connection.execute("SELECT version FROM position").fetchall()
    return versions in ([], [(schema.VERSION,)])


def _differences(connection: sqlite3.Connection, ledger: Ledger, progress: Progress | None) -> dict[str, int]:
    if not is_of(connection, ledger):
        return dict.fromkeys(schema.TABLES, 0) | {"position": 1}
    given, same, end = Counter[str](), Counter[str](), following(connection)
    for block in ledger.log():
        if block.number >= end:
            break
        for table, row in rows(block):
            place = _PLACE[table]
            found = connection.execute(
                f"SELECT * FROM {table} WHERE {place}",  # noqa: S608 - from _PLACE
                row[: place.count("?")],
            ).fetchone()
            given[table] += 1
            same[table] += found == row
        if progress:
            progress(1)
    kept = {
        table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        for table in _PLACE
    }
    wrong = {table: max(given[table], kept[table]) - same[table] for table in _PLACE}
    return {"position": 0} | wrong
