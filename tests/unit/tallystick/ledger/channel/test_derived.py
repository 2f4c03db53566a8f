"""The file that is made by whoever comes first; and a state in it that is as one in memory."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tallystick.errors import NotAsRecorded
from tallystick.ledger.channel import derived
from tallystick.ledger.channel.derived import TABLES, Derived, StoredState
from tallystick.proof.fabric.rwset import Version
from tallystick.proof.fabric.state import State


class Interrupted:
    """A connection after whose question number ``at`` another process makes the file."""

    def __init__(self, connection: sqlite3.Connection, path: Path, at: int) -> None:
        self._connection, self._path, self._left = connection, path, at

    def execute(self, statement: str) -> Any:
        asked = self._connection.execute(statement)
        self._left -= 1
        if self._left:
            return asked
        row = asked.fetchone()
        with Derived(self._path).writing():
            pass
        return SimpleNamespace(fetchone=lambda: row)


@pytest.mark.parametrize("version", [0, 1])
def test_two_processes_may_make_the_file_at_once(tmp_path: Path, version: int) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if version:
            connection.executescript(f"CREATE TABLE kept (other); PRAGMA user_version = {version}")
        derived._prepare(cast(Any, Interrupted(connection, path, 1)))
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    with Derived(path).reading() as reading:
        names = {row[0] for row in reading.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names == set(TABLES)


def test_eight_may(tmp_path: Path) -> None:
    """Also where SQLite itself refuses one of two that switch a new file over."""
    for number in range(10):
        made, together = Derived(tmp_path / f"{number}.db"), Barrier(8)

        def make(made: Derived = made, together: Barrier = together) -> Any:
            together.wait(30)
            with made.writing() as connection:
                return connection.execute("SELECT count(*) FROM kept").fetchone()

        with ThreadPoolExecutor(8) as pool:
            done = [pool.submit(make) for _ in range(8)]
            assert [each.result(60) for each in done] == [(0,)] * 8


def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (other)")
    with pytest.raises(NotAsRecorded, match="something else"), Derived(path).writing():
        pass
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]


def test_the_policies_of_single_keys_are_kept_as_in_memory(tmp_path: Path) -> None:
    with Derived(tmp_path / "a.db").writing() as connection:
        for state in (State(), StoredState(connection)):
            state.set_policy("a\0b", "6b", b"policy")
            state.write("a\0b", "6b", Version(1, 0))
            assert [state.policy(space, "6b") for space in ("a\0b", "a\0c", "a")] == [b"policy", b"", b""]
            assert state.value("a\0b", "6b") is None
            state.set_policy("a\0b", "6b", None)
            assert state.policy("a\0b", "6b") == b""
