"""`tally rebuild` on a channel: the derived file made again from the blocks, compared and put in place."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tallystick.errors import NotAsRecorded
from tallystick.files import alone
from tallystick.ledger.channel.derived import TABLES, Derived
from tallystick.ledger.channel.log import ChannelLog


def rebuild(log: ChannelLog, progress: Callable[[int], None] | None = None) -> tuple[int, dict[str, int]]:
    """How many blocks were judged again, and how many rows of each table were not what they give.

    Whoever else follows waits meanwhile. Raises `NotAsRecorded` for a block that is not as it must be:
    then the old file stays. Raises `CouldNotCheck` where peers cannot be reached.
    """
    path = log.derived.path
    new = path.with_suffix(".new")
    with alone(log.turn):
        _remove(new)
        # A file of an earlier version is emptied: that its rows are others says nothing against it.
        with contextlib.suppress(NotAsRecorded), log.derived.writing():
            pass
        height = log.made_again(new, progress)
        differences = _differences(new, path)
        _put_in_place(new, log.derived)
    return height, differences


def _differences(new: Path, old: Path) -> dict[str, int]:
    """Rows of the old file that the new one has not; all where the old one cannot be read."""
    with closing(sqlite3.connect(new)) as connection:
        with contextlib.suppress(sqlite3.DatabaseError):  # then no table of it can be read
            connection.execute("ATTACH ? AS old", (str(old),))
        return {table: _differing(connection, table) for table in TABLES}


def _put_in_place(new: Path, derived: Derived) -> None:
    try:
        with derived.writing() as connection:
            connection.execute("ATTACH ? AS new", (str(new),))
            connection.execute("BEGIN IMMEDIATE")
            for table in TABLES:
                connection.execute(f"DELETE FROM main.{table}")  # noqa: S608
                connection.execute(f"INSERT INTO main.{table} SELECT * FROM new.{table}")  # noqa: S608
            connection.execute("COMMIT")
        _remove(new)
    except NotAsRecorded:  # damaged: nobody else can work with it either
        _remove(derived.path)
        new.replace(derived.path)


def _differing(connection: sqlite3.Connection, table: str) -> int:
    # What was followed only now is no difference: rows are looked for from the old file on.
    if table == "position":
        return 0
    try:
        question = f"SELECT count(*) FROM (SELECT * FROM old.{table} EXCEPT SELECT * FROM main.{table})"  # noqa: S608
        return int(connection.execute(question).fetchone()[0])
    except sqlite3.DatabaseError:
        return int(connection.execute(f"SELECT count(*) FROM main.{table}").fetchone()[0])  # noqa: S608


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
