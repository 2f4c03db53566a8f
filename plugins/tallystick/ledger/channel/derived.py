"""What follows from a channel's blocks, in a SQLite file: the log, its tree, and where the judgement stands.

None of it is the ledger. It is made of the blocks alone, and may be thrown away and made again.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tallystick.errors import CouldNotCheck, NotAsRecorded
from tallystick.proof.errors import Malformed
from tallystick.proof.fabric.channel import Position
from tallystick.proof.fabric.rwset import Version
from tallystick.proof.fabric.state import State

TABLES: Final = ("blocks", "hashes", "configurations", "versions", "kept", "ids", "position")
_SCHEMA: Final = """
CREATE TABLE blocks (
  number INTEGER PRIMARY KEY, hash TEXT NOT NULL, leaf INTEGER NOT NULL, logged BLOB NOT NULL
);
CREATE TABLE hashes (start INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE configurations (
  block INTEGER NOT NULL, package TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (block, package)
) WITHOUT ROWID;
CREATE TABLE versions (
  space TEXT NOT NULL, key TEXT NOT NULL, block INTEGER NOT NULL, position INTEGER NOT NULL,
  PRIMARY KEY (space, key)
) WITHOUT ROWID;
CREATE TABLE kept (space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (space, key))
  WITHOUT ROWID;
CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE position (
  id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL, height INTEGER NOT NULL, digest TEXT NOT NULL,
  config_block INTEGER NOT NULL, configuration BLOB NOT NULL, channel TEXT NOT NULL, frontier BLOB NOT NULL
);
"""
#: Of the tables and what is in them. A file of an earlier one is emptied, and follows from block 0 again.
_VERSION: Final = 4
_BUSY_SECONDS: Final = 60.0
_PAUSE: Final = 0.01


class StoredState(State):
    """`tallystick.proof.fabric.state.State` in the file's tables, as far as ``connection`` has written."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__()
        self._connection = connection

    def version(self, space: str, key: str) -> Version | None:
        """As `State.version`."""
        row = self._connection.execute(
            "SELECT block, position FROM versions WHERE space = ? AND key = ?", (space, key)
        ).fetchone()
        return Version(*row) if row else None

    def range(self, space: str, start: str, end: str, last: bool) -> Iterator[tuple[str, Version]]:
        """As `State.range`."""
        until = "" if not end else ("AND key <= ?" if last else "AND key < ?")
        rows = self._connection.execute(
            f"SELECT key, block, position FROM versions WHERE space = ? AND key >= ? {until} ORDER BY key",  # noqa: S608
            (space, start, end) if end else (space, start),
        )
        return ((key, Version(block, position)) for key, block, position in rows)

    def write(self, space: str, key: str, version: Version | None) -> None:
        """As `State.write`."""
        if version is None:
            self._connection.execute("DELETE FROM versions WHERE space = ? AND key = ?", (space, key))
        else:
            self._connection.execute(
                "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?)", (space, key, *version)
            )

    def keep(self, space: str, key: str, value: bytes | None) -> None:
        """As `State.keep`."""
        if value is None:
            self._connection.execute("DELETE FROM kept WHERE space = ? AND key = ?", (space, key))
        else:
            self._connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (space, key, value))

    def value(self, space: str, key: str) -> bytes | None:
        """As `State.value`."""
        row = self._connection.execute(
            "SELECT value FROM kept WHERE space = ? AND key = ?", (space, key)
        ).fetchone()
        return row[0] if row else None

    def has_id(self, transaction_id: str) -> bool:
        """As `State.has_id`."""
        found = self._connection.execute("SELECT 1 FROM ids WHERE id = ?", (transaction_id,)).fetchone()
        return found is not None

    def add_id(self, transaction_id: str) -> None:
        """As `State.add_id`."""
        self._connection.execute("INSERT OR IGNORE INTO ids VALUES (?)", (transaction_id,))


class Derived:
    """The file at ``path``; each use opens it for itself, so that threads and processes may share it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of what has been followed. Raises `CouldNotCheck` and `NotAsRecorded`."""
        with self._open() as connection:
            connection.execute("BEGIN")
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """For who follows; begins and ends its own transactions. The file is made where it is missing."""
        with self._open() as connection:
            yield connection

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._translated():
            connection = sqlite3.connect(self.path, isolation_level=None, timeout=_BUSY_SECONDS)
            with contextlib.closing(connection):
                _write_ahead(connection)
                # After a power cut the last blocks may be missing here: they are followed again.
                connection.execute("PRAGMA synchronous = NORMAL")
                _prepare(connection)
                yield connection

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise CouldNotCheck(
                f"the log of the channel cannot be kept in {self.path} now: {error}",
                hint="See that the disk has room and the file is writable.",
            ) from error
        except sqlite3.DatabaseError as error:
            raise NotAsRecorded(
                f"the log kept of the channel, {self.path}, is damaged: {error}",
                hint="It follows from the channel's blocks. Make it again: tally rebuild",
            ) from error


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch a new file over; where two do so at once, SQLite refuses one of them without waiting."""
    ends = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
            time.sleep(_PAUSE)


def _prepare(connection: sqlite3.Connection) -> None:
    if _version(connection) == _VERSION:
        return
    # Behind the lock: another process may be making the file just now.
    connection.execute("BEGIN IMMEDIATE")
    version = _version(connection)
    filled = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version > _VERSION or (filled and not version):
        raise sqlite3.DatabaseError("it is of a later version, or something else")
    if version != _VERSION:
        for table in TABLES:
            connection.execute(f"DROP TABLE IF EXISTS {table}")
        for statement in _SCHEMA.split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def load_position(connection: sqlite3.Connection) -> tuple[str, Position] | None:
    """The log's name and where the judgement stands; None before the first block."""
    row = connection.execute("SELECT * FROM position").fetchone()
    if row is None:
        return None
    _, name, height, digest, config_block, configuration, channel, frontier = row
    return name, Position(height, digest, "", config_block, configuration, channel, frontier)


def store_position(connection: sqlite3.Connection, name: str, position: Position) -> None:
    """Note where the judgement stands."""
    connection.execute(
        "INSERT OR REPLACE INTO position VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
        (
            name,
            position.height,
            position.digest,
            position.config_block,
            position.configuration,
            position.channel,
            position.frontier,
        ),
    )


def stored_hash(connection: sqlite3.Connection, index: int) -> bytes:
    """The stored hash of the tree at ``index``. Raises `Malformed` where it is not there."""
    row = connection.execute(
        "SELECT start, data FROM hashes WHERE start <= ? ORDER BY start DESC LIMIT 1", (index,)
    ).fetchone()
    offset = (index - row[0]) * 32 if row else 0
    found: bytes = row[1][offset : offset + 32] if row else b""
    if len(found) != 32:
        raise Malformed("a hash of the tree is missing")
    return found
