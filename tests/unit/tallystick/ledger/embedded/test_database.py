"""Only the ledger file's own errors are told as such, and nothing stays open where opening fails."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support import ledgers

from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded
from tallystick.identity import generate_log_key
from tallystick.ledger.embedded import database
from tallystick.ledger.embedded.database import Database
from tallystick.ledger.embedded.ledger import EmbeddedLedger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    ledgers.make_host(tmp_path).ledger.close()
    return tmp_path / "ledger.db"


def open_files(directory: Path) -> list[Path]:
    resolved = [link.resolve() for link in Path("/proc/self/fd").iterdir()]
    return [each for each in resolved if each.is_relative_to(directory)]


@pytest.mark.parametrize("use", ["reading", "writing"])
def test_an_error_of_another_file_is_not_taken_for_the_ledgers(path, use):
    opened = Database(path)
    with pytest.raises(FileNotFoundError, match="another"), getattr(opened, use)():
        raise FileNotFoundError(2, "gone", "another")
    with pytest.raises(CouldNotCheck, match=r"ledger\.db"), getattr(opened, use)() as connection:
        connection.execute("SELECT * FROM nothing")
    opened.close()


def test_a_ledger_whose_lock_cannot_be_opened_is_named(path):
    lock = path.with_name("ledger.db.lock")
    lock.unlink(missing_ok=True)
    lock.symlink_to(lock)
    with pytest.raises(CouldNotCheck, match=r"ledger\.db\.lock could not be"), Database(path).writing():
        pass


def test_a_ledger_in_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CouldNotCheck, match="nowhere"):
        database.create(tmp_path / "nowhere" / "ledger.db")


def test_nothing_stays_open_where_a_ledger_cannot_be_opened(path, tmp_path):
    kept = []  # an error that is held holds what it came through
    other = generate_log_key(tmp_path / "other.pem")
    with pytest.raises(InvalidInput, match="does not belong") as caught:
        EmbeddedLedger(path, log_key=other)
    kept.append(caught)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM head")
    with pytest.raises(NotAsRecorded, match="head") as caught:
        EmbeddedLedger(path)
    kept.append(caught)
    os.truncate(path, 50)
    with pytest.raises(NotAsRecorded, match="damaged") as caught:
        EmbeddedLedger(path)
    kept.append(caught)
    assert open_files(tmp_path) == []


@pytest.mark.parametrize("end", ["", "-journal"])
def test_a_pipe_in_a_ledgers_place_is_not_waited_for(path, end):
    path.with_name(path.name + end).unlink(missing_ok=True)
    os.mkfifo(f"{path}{end}")
    refused = pytest.raises(CouldNotCheck, match="cannot be opened: not a regular file")
    with refused, Database(path).reading():
        pass
