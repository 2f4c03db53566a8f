"""What is asked of the read index costs what is told of it, however much there is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from tallystick.reports import schema
from tallystick.reports.queries import Index

USES = 5000
#: (source, role, target), oldest first: a model of the first use, which no ledger has, and one of the model.
LINKS = [
    *((f"use/{number}", "dataset", "dataset/people/1") for number in range(USES)),
    ("model/a/1", "run", "use/0"),
    ("model/b/1", "run", "model/a/1"),
]


@pytest.fixture
def index() -> Iterator[Index]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.create_tables(connection)
        for leaf, (source, role, target) in enumerate(LINKS):
            connection.execute("INSERT INTO links VALUES (?, ?, ?, ?)", (source, role, target, leaf))
            kind, rest = source.split("/", 1)
            row = (leaf, source, kind, rest, rest, "", 0, "", 0, "", "", "", b"")
            connection.execute(f"INSERT INTO records VALUES ({', '.join('?' * len(row))})", row)
        yield Index(connection)


def test_of_what_is_used_often_no_more_is_read_than_is_told(index: Index) -> None:
    steps: list[int] = []
    index.connection.set_progress_handler(lambda: steps.append(1), 100)
    found = index.descendants("dataset/people/1", limit=3)
    assert [edge.source for edge in found] == ["use/0", "use/1", "use/2"]
    referring = index.referring_to("dataset/people/1", limit=3)
    assert [record.id for record in referring] == ["use/0", "use/1", "use/2"]
    assert len(steps) < 8


def test_lineage_is_complete_where_there_is_no_more_of_it(index: Index) -> None:
    assert len(index.descendants("dataset/people/1", limit=USES + 3)) == USES + 2
    assert [edge.target for edge in index.ancestors("model/b/1", limit=2)] == ["use/0", "model/a/1"]
    assert [edge.target for edge in index.ancestors("use/7")] == ["dataset/people/1"]
    assert index.ancestors("dataset/people/1") == []


def test_what_came_of_records_goes_through_the_kinds_asked_for_alone(index: Index) -> None:
    came = index.derived(["dataset/people/1"], {"use", "model"})
    assert len(came) == USES + 3
    assert index.derived(["dataset/people/1"], {"model"}) == {"dataset/people/1"}
    assert index.derived(["use/0"], {"model"}) == {"use/0", "model/a/1", "model/b/1"}
    assert index.derived([], {"use", "model"}) == set()


def test_every_record_of_some_kinds(index: Index) -> None:
    assert {record.id for record in index.every({"model", "run"})} == {"model/a/1", "model/b/1"}
    assert list(index.every(set())) == []
