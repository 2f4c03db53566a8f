"""Keeps the index up with the ledger: reads the blocks since the last one indexed, in small commits.

Any process may follow at any time; they take turns, and a killed one loses at most its last page.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from tallystick.errors import NotAsRecorded
from tallystick.ledger.port import BlockBytes, Ledger
from tallystick.proof.block import Config, Envelope, parse_block, parse_config
from tallystick.proof.errors import ProofError
from tallystick.proof.leaves import salt
from tallystick.proof.membership import Member, Membership
from tallystick.reports import schema
from tallystick.reports.record import references, subject_of

Progress = Callable[[int], None]

_PAGE: Final = 64


@dataclass(slots=True)
class Position:
    """How far the index has read, and the configuration in force there."""

    next: int = 0
    header: str = ""
    leaf: int = 0
    config: bytes = b""


def follow(connection: sqlite3.Connection, ledger: Ledger, progress: Progress | None = None) -> None:
    """Bring the index up to the ledger's height; starts anew where it was made from another ledger.

    ``progress`` is told how many blocks were read. Raises `NotAsRecorded` for a block that cannot be
    read, and sqlite3's errors.
    """
    if not _is_of(connection, ledger):
        with schema.transaction(connection):
            if not _is_of(connection, ledger):
                schema.create_tables(connection)
    height = ledger.height
    while _load(connection).next < height:
        with schema.transaction(connection):
            position = _load(connection)
            page = itertools.islice(ledger.blocks(position.next), _PAGE)
            read = take(connection, position, page, ledger.origin)
        if progress:
            progress(read)


def take(
    connection: sqlite3.Connection, position: Position, blocks: Iterable[BlockBytes], origin: str
) -> int:
    """Index ``blocks``, which follow on ``position``; returns how many they were."""
    config: Config | None = None
    membership = Membership(())
    if position.config:
        config = parse_config(position.config)
        membership = Membership(config.msps)
    count = 0
    for block in blocks:
        try:
            parsed = parse_block(block.header, block.data)
            if parsed.config is not None:
                config, membership = parsed.config, Membership(parsed.config.msps)
            leaf = block.first_leaf + 1
            for envelope in parsed.valid:
                member = membership.judge(envelope.creator, envelope.proposal["time"])
                leaf = _take_envelope(connection, envelope, member, block.number, leaf)
        except (ProofError, ValueError, KeyError, TypeError) as error:
            raise NotAsRecorded(
                f"block {block.number} cannot be read: {error}", hint="See what else is wrong: tally verify"
            ) from error
        position.next, position.header, position.leaf = (
            block.number + 1,
            sha256(block.header).hexdigest(),
            leaf,
        )
        count += 1
    if config is not None:
        position.config = config.encoded
    connection.execute(
        "INSERT OR REPLACE INTO position VALUES (1, ?, ?, ?, ?, ?, ?)",
        (schema.VERSION, origin, position.next, position.header, position.leaf, position.config),
    )
    return count


def _take_envelope(
    connection: sqlite3.Connection, envelope: Envelope, member: Member, block: int, leaf: int
) -> int:
    """Index the records of the transaction whose leaf is ``leaf``; returns the leaf after its last."""
    nonce = bytes.fromhex(envelope.proposal["nonce"])
    for index, content in enumerate(envelope.records, 1):
        value = json.loads(content)
        record_id, kind, body = value["id"], value["kind"], value["body"]
        connection.execute(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                leaf + index,
                record_id,
                kind,
                subject_of(kind, record_id, body),
                record_id.partition("/")[2] or record_id,
                sha256(content).hexdigest(),
                block,
                envelope.transaction_id,
                envelope.proposal["time"],
                member.msp_id,
                member.enrolment_id,
                salt(nonce, index),
                content,
            ),
        )
        connection.executemany(
            "INSERT OR REPLACE INTO streams VALUES (?, ?, ?)",
            [(stream, position["number"], leaf + index) for stream, position in value["streams"].items()],
        )
        connection.executemany(
            "INSERT OR IGNORE INTO links VALUES (?, ?, ?, ?)",
            [(record_id, role, target, leaf + index) for role, target in references(body)],
        )
    return leaf + len(envelope.records) + 1


def _is_of(connection: sqlite3.Connection, ledger: Ledger) -> bool:
    """Whether the index was made by this code and from the very blocks that the ledger holds now."""
    try:
        row = connection.execute("SELECT version, origin, next, header FROM position").fetchone()
    except sqlite3.OperationalError:
        return False
    if row is None:
        return bool(connection.execute("SELECT count(*) = 0 FROM records").fetchone()[0])
    version, origin, following, header = row
    if version != schema.VERSION or origin != ledger.origin or following > ledger.height:
        return False
    last = next(ledger.blocks(following - 1))
    return bool(sha256(last.header).hexdigest() == header)


def _load(connection: sqlite3.Connection) -> Position:
    row = connection.execute("SELECT next, header, leaf, config FROM position").fetchone()
    return Position(*row) if row else Position()
