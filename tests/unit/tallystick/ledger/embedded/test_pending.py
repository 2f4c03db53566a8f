"""What the writer keeps of the state from block to block: never more than the file says."""

from __future__ import annotations

import json
import sqlite3

import pytest
from support import ledgers
from support.ledgers import logged_records, make_host, open_embedded

from tallystick.errors import Refused, TallystickError
from tallystick.execution.state_table import StateSnapshot
from tallystick.ledger.embedded.pending import RecentState
from tallystick.ledger.port import Call


@pytest.fixture
def host(tmp_path):
    return make_host(tmp_path)


@pytest.fixture
def connection(tmp_path):
    connection = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode = WAL;"
        "CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB, block INTEGER, position INTEGER);"
        "INSERT INTO state VALUES ('a/b', x'31', 1, 0);"
    )
    yield connection
    connection.close()


def _statements(connection) -> list[str]:
    asked: list[str] = []
    connection.set_trace_callback(lambda text: asked.append(text) if "FROM state" in text else None)
    return asked


def test_what_was_read_or_written_is_not_read_again(connection):
    recent, asked = RecentState(), _statements(connection)
    state = recent.pending(connection, 2)
    assert (state.get("a/b"), state.get("a/c")) == ((b"1", (1, 0)), None)
    state.apply({"a/c": b"2"}, 3)
    recent.committed(state)
    again = recent.pending(connection, 3)
    assert (again.get("a/b"), again.get("a/c")) == ((b"1", (1, 0)), (b"2", (2, 3)))
    assert len(asked) == 2


def test_what_another_connection_writes_is_seen(connection, tmp_path):
    recent = RecentState()
    assert recent.pending(connection, 2).get("a/b") == (b"1", (1, 0))
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute("UPDATE state SET value = x'39', block = 2")
    other.close()
    assert recent.pending(connection, 3).get("a/b") == (b"9", (2, 0))


def test_what_may_not_have_been_committed_is_forgotten(connection):
    recent, asked = RecentState(), _statements(connection)
    recent.pending(connection, 2).get("a/b")
    recent.forget()
    recent.pending(connection, 2).get("a/b")
    assert len(asked) == 2


def test_two_writers_of_one_file_number_a_stream_without_a_gap(host, tmp_path):
    subject = host.submit("register_dataset", ledgers.dataset())
    second = open_embedded(tmp_path, clock=host.clock)
    for number in range(1, 7):
        ledger = (host.ledger, second)[number % 2]
        ledger.submit(host.pipeline, Call("provenance", "record_use", ledgers.use(subject, number)))
    numbers = [
        json.loads(record.content)["streams"]["dataset:claims"]["number"]
        for record in logged_records(second)[1:]
    ]
    assert numbers == [1, 2, 3, 4, 5, 6, 7]


def test_what_one_writer_retires_the_other_cannot_use(host, tmp_path):
    subject = host.submit("register_dataset", ledgers.dataset())
    second = open_embedded(tmp_path, clock=host.clock)
    second.submit(host.pipeline, Call("provenance", "record_use", ledgers.use(subject, 1)))
    host.submit("retire", ledgers.retirement(subject))
    with pytest.raises(Refused) as refused:
        second.submit(host.pipeline, Call("provenance", "record_use", ledgers.use(subject, 2)))
    assert refused.value.code == "RETIRED"


def test_after_a_block_that_failed_the_state_is_that_of_the_file(host, monkeypatch):
    subject = host.submit("register_dataset", ledgers.dataset())

    def fail(*arguments):
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr("tallystick.ledger.embedded.appender.append_block", fail)
        with pytest.raises(TallystickError):
            host.submit("record_use", ledgers.use(subject, 1))
    response = host.submit("record_use", ledgers.use(subject, 1))
    assert not response["repeated"]
    with host.ledger._database.reading() as connection:
        assert b'"number":2,' in StateSnapshot(connection).get("streams/dataset:claims")[0]
