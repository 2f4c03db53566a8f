"""Keeps the index up with the ledger: reads the log since the last block indexed, in small commits.

Any process may follow at any time; they take turns, and a killed one loses at most its last page.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any, Final

from tallystick.errors import NotAsRecorded
from tallystick.ledger.port import Ledger, LoggedBlock, LoggedRecord, LoggedTransaction
from tallystick.reports import schema
from tallystick.reports.record import references, subject_of

Progress = Callable[[int], None]
#: A table's name and one row of it.
Row = tuple[str, tuple[Any, ...]]

_PAGE: Final = 64


def follow(connection: sqlite3.Connection, ledger: Ledger, progress: Progress | None = None) -> None:
    """Bring the index up to the ledger's height; starts anew where it was made from another ledger.

    ``progress`` is told how many blocks were read. Raises `NotAsRecorded` for a block that cannot be
    read, and sqlite3's errors.
    """
    if not is_of(connection, ledger):
        with schema.transaction(connection):
            if not is_of(connection, ledger):
                schema.create_tables(connection)
    height, expected, blocks = ledger.height, -1, iter(list[LoggedBlock]())
    while height > following(connection):
        with schema.transaction(connection):
            first = following(connection)
            if first != expected:  # at the beginning, and where another process was here meanwhile
                blocks = ledger.log(first)
            read = take(connection, itertools.islice(blocks, _PAGE), ledger.origin)
            expected = first + read
        if progress:
            progress(read)


def take(connection: sqlite3.Connection, blocks: Iterable[LoggedBlock], origin: str) -> int:
    """Index ``blocks``, which follow on those indexed; returns how many they were."""
    count, last = 0, None
    for last in blocks:
        for table, row in rows(last):
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608
        count += 1
    if last is not None:
        position = (1, schema.VERSION, origin, last.number + 1, last.hash)
        connection.execute("INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?, ?)", position)
    return count


def rows(block: LoggedBlock) -> Iterator[Row]:
    """The rows that a block gives, each once."""
    for transaction in block.transactions:
        for record in transaction.records:
            try:
                yield from _rows(block, transaction, record)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise NotAsRecorded(
                    f"block {block.number} holds a record that cannot be read: {error}",
                    hint="See what else is wrong: tally verify",
                ) from error


def _rows(block: LoggedBlock, transaction: LoggedTransaction, record: LoggedRecord) -> Iterator[Row]:
    value = json.loads(record.content)
    record_id, kind, body = value["id"], value["kind"], value["body"]
    yield (
        "records",
        (
            record.leaf,
            record_id,
            kind,
            subject_of(kind, record_id, body),
            record_id.partition("/")[2] or record_id,
            sha256(record.content).hexdigest(),
            block.number,
            transaction.id,
            transaction.time_ms,
            transaction.msp_id,
            transaction.enrolment_id,
            record.salt,
            record.content,
        ),
    )
    for stream, position in value["streams"].items():
        yield "streams", (stream, position["number"], record.leaf)
    for role, target in dict.fromkeys(references(body)):
        yield "links", (record_id, role, target, record.leaf)


def is_of(connection: sqlite3.Connection, ledger: Ledger) -> bool:
    """Whether the index was made by this code and from the very blocks that the ledger holds now."""
    try:
        row = connection.execute("SELECT version, origin, next, header FROM position").fetchone()
    except sqlite3.OperationalError:
        return False
    if row is None:
        return bool(connection.execute("SELECT count(*) = 0 FROM records").fetchone()[0])
    version, origin, following, header = row
    if version != schema.VERSION or origin != ledger.origin or not 0 < following <= ledger.height:
        return False
    return ledger.block_hash(following - 1) == str(header)


def following(connection: sqlite3.Connection) -> int:
    """The number of the first block that is not indexed."""
    row = connection.execute("SELECT next FROM position").fetchone()
    return int(row[0]) if row else 0
