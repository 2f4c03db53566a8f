"""The ledger file as it is, every row of every table, for whoever verifies it.

Nothing is believed here, so nothing is looked up: no head row decides which blocks are read.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tallystick.errors import NotAsRecorded
from tallystick.ledger.embedded import database
from tallystick.proof.block import origin_of, parse_block
from tallystick.proof.errors import ProofError

_KEYS: Final = {"blocks": "number", "state": "key", "transactions": "id", "hashes": "start", "head": "id"}


@dataclass(frozen=True, slots=True)
class BlockBytes:
    """A block as it is kept: header and data, the head of the log after it (a signed note), and the
    index of its first leaf."""

    number: int
    header: bytes
    data: bytes
    checkpoint: str
    first_leaf: int


class StoredFile:
    """One consistent view of a ledger file; a context manager.

    Every method raises `NotAsRecorded` for a damaged file and `CouldNotCheck` for one that cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = database.Database(path)
        self._view = contextlib.ExitStack()

    def __enter__(self) -> StoredFile:
        with contextlib.ExitStack() as opening, self._translated():
            opening.callback(self._database.close)
            self._connection = opening.enter_context(self._database.reading())
            # A damaged file may hold text that is not UTF-8: then it differs, and must not stop the reading.
            self._connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
            self._check_file()
            self._view = opening.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._view.close()

    @property
    def origin(self) -> str:
        """The log's name by its first block; empty where that cannot be read. No signature is judged."""
        first = next(self.blocks(), None)
        try:
            block = None if first is None else parse_block(first.header, first.data)
        except (ProofError, TypeError):
            return ""
        if block is None or block.config is None:
            return ""
        return origin_of(block.config.name, block.header.digest)

    @property
    def height(self) -> int:
        """How many blocks there are."""
        with self._translated():
            count: int = self._connection.execute("SELECT count(*) FROM blocks").fetchone()[0]
            return count

    def blocks(self) -> Iterator[BlockBytes]:
        """Every block that is there, in the order of their numbers, whatever they hold."""
        for row in self._rows("blocks"):
            yield BlockBytes(*row)

    def rows(self, table: str) -> Iterable[tuple[Any, ...]]:
        """The rows of a derived table, in the order of its key."""
        return self._rows(table)

    def _rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        with self._translated():
            found = self._connection.execute(
                f"SELECT * FROM {table} ORDER BY {_KEYS[table]}"  # noqa: S608 - names from _KEYS
            )
            # Not from the cursor itself: a reader given up after the file was closed would close it again.
            yield from map(tuple, found)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with database.translated(self._path):
                yield
        except UnicodeDecodeError:  # SQLite quotes a damaged schema, which Python then cannot read
            raise NotAsRecorded(
                f"the ledger file {self._path} is damaged: its tables have no names"
            ) from None

    def _check_file(self) -> None:
        """What SQLite itself keeps must be whole, and the tables those that a ledger has."""
        problems = [row[0] for row in self._connection.execute("PRAGMA quick_check(1)")]
        if problems != ["ok"]:
            raise NotAsRecorded(f"the ledger file {self._path} is damaged: {problems[0]}")
        found = {
            tuple(row)
            for row in self._connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
        }
        if found != _schema():
            raise NotAsRecorded(f"the ledger file {self._path} has other tables than a ledger has")
        if self._connection.execute("PRAGMA user_version").fetchone()[0] != 0:
            raise NotAsRecorded(f"the ledger file {self._path} is marked as of a form that is not known here")


def _schema() -> set[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(database.SCHEMA)
        return set(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))
