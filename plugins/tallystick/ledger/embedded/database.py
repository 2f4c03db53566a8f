"""The SQLite file: tables, durable writes by one process at a time, snapshots for readers.

Only `blocks` is the ledger. `state`, `transactions`, `hashes` and `head` are derived from it, and
`tally rebuild` makes them again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tallystick.errors import CouldNotCheck, NoLedger, NotAsRecorded
from tallystick.files import alone, check_database

DERIVED: Final = ("state", "transactions", "hashes", "head")
SCHEMA: Final = """
CREATE TABLE blocks (
  number INTEGER PRIMARY KEY, header BLOB NOT NULL, data BLOB NOT NULL,
  checkpoint TEXT NOT NULL, first_leaf INTEGER NOT NULL
);
CREATE TABLE state (
  key TEXT PRIMARY KEY, value BLOB NOT NULL, block INTEGER NOT NULL, position INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE transactions (
  id BLOB PRIMARY KEY, block INTEGER NOT NULL, position INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE hashes (start INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE head (
  id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, header TEXT NOT NULL,
  config INTEGER NOT NULL, frontier BLOB NOT NULL
);
"""
#: "Tally" in ASCII, so that `file` and a mistaken path are told apart from any other database.
APPLICATION_ID: Final = 0x54616C79
_BUSY_SECONDS: Final = 60.0
_RESTORE: Final = "Keep it as it is for the auditor, restore a copy and check that: tally verify --since FILE"


class _Connection(sqlite3.Connection):
    """A connection that can be remembered without being kept: it closes with the thread that had it."""


class Database:
    """Connections to one ledger file: one for each thread that reads, and one for whoever writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._writer: sqlite3.Connection | None = None
        self._open: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._lock_path = path.with_name(path.name + ".lock")

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One durable transaction, alone among all processes; an exception undoes it.

        What SQLite raises meanwhile is translated, also of the caller's statements; anything else is not.
        """
        # SQLite's own busy handler sleeps and retries; the kernel's lock wakes the next writer at once.
        with alone(self._lock_path), translated(self.path):
            if self._writer is None:
                self._writer = self._connect()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view, whatever others write meanwhile."""
        with translated(self.path):
            connection = self.connection()
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        return connection

    def close(self) -> None:
        """Close every connection, of every thread. Whoever comes again opens a new one."""
        for connection in list(self._open):
            connection.close()
        self._writer, self._local = None, threading.local()

    def _connect(self) -> _Connection:
        connection = _connect(self.path)
        self._open.add(connection)
        return connection


def create(path: Path) -> None:
    """Make an empty ledger file. Raises `CouldNotCheck` where it cannot be written."""
    with _opening(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with translated(path), contextlib.closing(_connect(path, check=False)) as connection:
        connection.executescript(f"PRAGMA application_id = {APPLICATION_ID}; BEGIN; {SCHEMA} COMMIT;")


def _connect(path: Path, *, check: bool = True) -> _Connection:
    with _opening(path):
        if not path.exists():
            raise NoLedger(f"there is no ledger at {path}", hint="Make one with: tally init")
        check_database(path)
        address, read_only = path.absolute().as_uri(), not os.access(path.parent, os.W_OK)
        if read_only:
            # Beside a log that nobody can write SQLite has to be told that nobody else writes either.
            wal = path.with_name(path.name + "-wal")
            quiet = not wal.exists() or wal.stat().st_size == 0
            address += "?mode=ro&immutable=1" if quiet else "?mode=ro"
    connection = sqlite3.connect(
        address,
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        factory=_Connection,
    )
    try:
        if check and connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise NotAsRecorded(
                f"{path} is not a Tallystick ledger, or its first page is damaged", hint=_RESTORE
            )
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA cache_size = -16384")
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours, naming the file and what to do. The system's are left: around a caller's own
    statements they would be of other files."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise CouldNotCheck(
            f"the ledger file {path} cannot be used now: {error}",
            hint="Nothing acknowledged is lost. See that the disk has room and the file is writable.",
        ) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(path, error) from error
    except UnicodeDecodeError as error:  # SQLite quotes a damaged schema, which Python then cannot read
        raise _damaged(path, "its tables have no names") from error


@contextlib.contextmanager
def _opening(path: Path) -> Iterator[None]:
    """The system's errors of the ledger's own files as ours."""
    try:
        yield
    except OSError as error:
        raise CouldNotCheck(f"the ledger file {path} cannot be opened: {error.strerror}") from error


def _damaged(path: Path, error: Any) -> NotAsRecorded:
    return NotAsRecorded(f"the ledger file {path} is damaged: {error}", hint=_RESTORE)
