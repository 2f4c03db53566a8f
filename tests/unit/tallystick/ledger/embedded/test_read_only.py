"""A ledger where nothing can be written: it is read, nothing is left beside it, and nothing is skipped."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support import ledgers

from tallystick.errors import CouldNotCheck
from tallystick.ledger.embedded.database import Database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    host = ledgers.make_host(tmp_path)
    host.ledger.close()
    return tmp_path / "ledger.db"


@pytest.fixture
def no_writing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        monkeypatch.setattr(os, "access", lambda place, mode: mode != os.W_OK)

    return forbid


def count(path: Path) -> int:
    database = Database(path)
    try:
        with database.reading() as connection:
            found: int = connection.execute("SELECT count(*) FROM blocks").fetchone()[0]
            return found
    finally:
        database.close()


def test_a_ledger_is_read_where_nothing_can_be_written(path: Path, no_writing: Callable[[], None]) -> None:
    expected = count(path)
    beside = set(path.parent.iterdir())
    no_writing()
    assert count(path) == expected
    assert set(path.parent.iterdir()) == beside
    database = Database(path)
    with pytest.raises(CouldNotCheck), database.writing() as connection:
        connection.execute("DELETE FROM blocks")
    database.close()


def test_what_is_still_in_the_log_beside_it_is_read_too(path: Path, no_writing: Callable[[], None]) -> None:
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("INSERT INTO blocks SELECT number + 100, header, data, checkpoint, 0 FROM blocks")
        writer.commit()
        assert path.with_name("ledger.db-wal").stat().st_size > 0
        no_writing()
        with closing(sqlite3.connect(path)) as other:
            expected = other.execute("SELECT count(*) FROM blocks").fetchone()[0]
        assert count(path) == expected
