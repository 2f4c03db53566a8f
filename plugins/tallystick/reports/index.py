"""Opening the read index, and making it again to compare."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from tallystick.ledger.port import Ledger
from tallystick.reports import schema
from tallystick.reports.follower import Position, Progress, follow, take
from tallystick.reports.queries import Index


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


def rebuild_index(path: Path, ledger: Ledger, progress: Progress | None = None) -> dict[str, int]:
    """Make the index again from the blocks and put it in place of the old one.

    Returns how many rows of each table differed between the two. Raises as `open_index` does.
    """
    with open_index(path, ledger) as index, schema.translated(path):
        connection = index.connection
        with schema.transaction(connection):
            # Temporary tables hide those of the same name, so that the one code fills both.
            for statement in schema.SCHEMA.format(temp="TEMP").split(";"):
                connection.execute(statement)
            for block in ledger.blocks():
                position = _position(connection)
                if take(connection, position, [block], ledger.origin) and progress:
                    progress(1)
            differences = {table: _differences(connection, table) for table in schema.TABLES}
            for table in schema.TABLES:
                connection.execute(f"DELETE FROM main.{table}")  # noqa: S608 - names from TABLES
                connection.execute(f"INSERT INTO main.{table} SELECT * FROM temp.{table}")  # noqa: S608
                connection.execute(f"DROP TABLE temp.{table}")
    return differences


def _followed(path: Path, ledger: Ledger, progress: Progress | None) -> sqlite3.Connection:
    connection = schema.connect(path)
    try:
        follow(connection, ledger, progress)
    except BaseException:
        connection.close()
        raise
    return connection


def _position(connection: sqlite3.Connection) -> Position:
    row = connection.execute("SELECT next, header, leaf, config FROM temp.position").fetchone()
    return Position(*row) if row else Position()


def _differences(connection: sqlite3.Connection, table: str) -> int:
    def only(here: str, there: str) -> int:
        query = f"SELECT count(*) FROM (SELECT * FROM {here}.{table} EXCEPT SELECT * FROM {there}.{table})"  # noqa: S608
        count: int = connection.execute(query).fetchone()[0]
        return count

    return max(only("main", "temp"), only("temp", "main"))
