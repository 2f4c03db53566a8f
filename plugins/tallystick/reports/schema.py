"""The index's SQLite file: its tables, its connections, and what its errors mean to a person."""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tallystick.errors import CouldNotCheck
from tallystick.files import alone, check_database

#: Raised with every change below: an index of another version is thrown away and made again.
VERSION: Final = 2
TABLES: Final = ("position", "records", "streams", "links")
SCHEMA: Final = """
CREATE TABLE position (
  id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, origin TEXT NOT NULL,
  next INTEGER NOT NULL, header TEXT NOT NULL
);
CREATE TABLE records (
  leaf INTEGER PRIMARY KEY, id TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, rest TEXT NOT NULL,
  digest TEXT NOT NULL, block INTEGER NOT NULL, transaction_id TEXT NOT NULL, time_ms INTEGER NOT NULL,
  msp_id TEXT NOT NULL, member TEXT NOT NULL, salt TEXT NOT NULL, content BLOB NOT NULL
);
CREATE TABLE streams (
  stream TEXT NOT NULL, number INTEGER NOT NULL, leaf INTEGER NOT NULL, PRIMARY KEY (stream, number)
) WITHOUT ROWID;
CREATE TABLE links (
  source TEXT NOT NULL, role TEXT NOT NULL, target TEXT NOT NULL, leaf INTEGER NOT NULL,
  PRIMARY KEY (source, role, target)
) WITHOUT ROWID;
"""
INDICES: Final = """
CREATE INDEX records_id ON records (id);
CREATE INDEX records_kind ON records (kind, leaf);
CREATE INDEX records_subject ON records (subject, kind, leaf);
CREATE INDEX records_rest ON records (rest);
CREATE INDEX records_digest ON records (digest);
CREATE INDEX links_target ON links (target, leaf);
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the index at ``path``, which is made if it is missing.

    Raises `CouldNotCheck` where it cannot be made, and sqlite3's errors.
    """
    try:
        check_database(path)
        if not path.exists():
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise _unusable(path, error) from error
    connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        # Of several that change the mode at once SQLite turns away all but one, however long it may wait.
        with alone(path.with_name(path.name + ".lock")):
            connection.execute("PRAGMA journal_mode = WAL")
    # What a power cut takes away is read from the blocks again.
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection to the index at ``path`` that writes nothing. Raises as `connect` does."""
    try:
        check_database(path)
    except OSError as error:
        raise _unusable(path, error) from error
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=60)


def is_strange(connection: sqlite3.Connection) -> bool:
    """Whether there are tables, and others than an index has: a trigger could forge what is written."""
    found = _objects(connection)
    return bool(found) and found != _own_objects()


@functools.cache
def _own_objects() -> frozenset[tuple[str, ...]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        create_tables(connection)
        return _objects(connection)


def _objects(connection: sqlite3.Connection) -> frozenset[tuple[str, ...]]:
    return frozenset(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))


def create_tables(connection: sqlite3.Connection) -> None:
    """Empty tables in place of whatever stands there. Inside a transaction."""
    for table in TABLES:
        connection.execute(f"DROP TABLE IF EXISTS main.{table}")
    for statement in (SCHEMA + INDICES).split(";"):
        connection.execute(statement)


def remove(path: Path) -> None:
    """Throw the index away. Raises `CouldNotCheck` where that cannot be done."""
    try:
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)
    except OSError as error:
        raise _unusable(path, error) from error


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One write transaction, alone among all processes; an exception undoes it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours. The system's are left: around a caller's own statements they would be of
    other files."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _unusable(path, error) from error
    except sqlite3.DatabaseError as error:
        raise CouldNotCheck(
            f"the read index {path} is damaged: {error}", hint="Make it again with: tally rebuild"
        ) from error


def _unusable(path: Path, error: Exception) -> CouldNotCheck:
    return CouldNotCheck(
        f"the read index {path} cannot be used: {error}",
        hint="See that the disk has room and the home is writable. The ledger itself is not concerned.",
    )
