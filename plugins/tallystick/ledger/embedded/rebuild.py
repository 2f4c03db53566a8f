"""`tally rebuild`: what is derived from the blocks, made from them again, compared and put in place.

Only the writes that the blocks record are applied here; that they are the right ones is for
`tally verify` to say, which runs every transaction again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from tallystick.errors import NotAsRecorded
from tallystick.execution.simulate import Version
from tallystick.ledger.embedded.appender import Head, write_hashes, write_state
from tallystick.ledger.embedded.database import DERIVED, SCHEMA, Database
from tallystick.ledger.port import Rebuilt
from tallystick.proof.block import GENESIS_PREVIOUS, Block, Config, parse_block
from tallystick.proof.checkpoint import head_of
from tallystick.proof.errors import Malformed, ProofError
from tallystick.proof.leaves import block_leaf, envelope_leaves
from tallystick.proof.membership import Membership
from tallystick.proof.merkle import Frontier, leaf_hash, stored_count

_PAGE: Final = 64


@dataclass(slots=True)
class _Walk:
    """The ledger as the blocks so far leave it."""

    head: Head = field(default_factory=lambda: Head(-1, GENESIS_PREVIOUS, 0, Frontier()))
    config: Config | None = None
    membership: Membership = field(default_factory=lambda: Membership(()))


def rebuild(path: Path, progress: Callable[[int], None] | None = None) -> Rebuilt:
    """Make state, tree, transaction ids and head of the ledger at ``path`` again; writers wait meanwhile.

    ``progress`` is told how many blocks were read. Raises `NotAsRecorded`, and changes nothing, where
    the blocks do not follow on one another or do not give the heads that were signed, or the file is
    damaged; `CouldNotCheck` where it is missing or cannot be used.
    """
    database = Database(path)
    try:
        with database.reading():
            pass  # a ledger that is not there is said so before anything is locked
        with database.writing() as connection:
            # Temporary tables hide those of the same name, so that what appends a block also fills these.
            for statement in SCHEMA.split(";"):
                if any(f"TABLE {table} " in statement for table in DERIVED):
                    connection.execute(statement.replace("CREATE TABLE", "CREATE TEMP TABLE"))
            blocks = _read_all(connection, progress)
            differences = {table: _differences(connection, table) for table in DERIVED}
            for table in DERIVED:
                if differences[table]:
                    connection.execute(f"DELETE FROM main.{table}")  # noqa: S608 - names from DERIVED
                    connection.execute(f"INSERT INTO main.{table} SELECT * FROM temp.{table}")  # noqa: S608
            return Rebuilt(blocks, differences)
    finally:
        database.close()


def _read_all(connection: sqlite3.Connection, progress: Callable[[int], None] | None) -> int:
    walk = _Walk()
    while True:
        page = connection.execute(
            "SELECT number, header, data, checkpoint, first_leaf FROM blocks WHERE number > ?"
            " ORDER BY number LIMIT ?",
            (walk.head.number, _PAGE),
        ).fetchall()
        for number, header, data, checkpoint, first_leaf in page:
            try:
                if (number, first_leaf) != (walk.head.number + 1, walk.head.frontier.size):
                    raise Malformed("it does not follow on the one before")
                _apply(connection, walk, parse_block(header, data), checkpoint)
            except (ProofError, TypeError, AttributeError) as error:
                raise NotAsRecorded(
                    f"block {walk.head.number + 1} is not as it was written: {error}",
                    hint="Nothing was changed. See what else is wrong: tally verify",
                ) from error
        if progress:
            progress(len(page))
        if len(page) < _PAGE:
            walk.head.save(connection)
            return walk.head.number + 1


def _apply(connection: sqlite3.Connection, walk: _Walk, block: Block, checkpoint: str) -> None:
    head = walk.head
    if block.header.number != head.number + 1 or block.header.previous != head.header:
        raise Malformed("its header does not follow on the one before")
    if block.config is not None:
        walk.config, walk.membership = block.config, Membership(block.config.msps)
        head.config = block.header.number
    if walk.config is None:
        raise Malformed("there is no configuration before it")
    leaves = [
        block_leaf(block.header, block.config, len(block.valid), len(block.envelopes) - len(block.valid))
    ]
    writes: dict[str, tuple[bytes | None, Version]] = {}
    for position, envelope in enumerate(block.envelopes):
        place = (block.header.number, position)
        connection.execute(
            "INSERT INTO transactions VALUES (?, ?, ?)", (bytes.fromhex(envelope.transaction_id), *place)
        )
        if envelope.verdict != "VALID":
            continue
        member = walk.membership.judge(envelope.creator, envelope.proposal["time"])
        digest = sha256(envelope.encoded).hexdigest()
        leaves += envelope_leaves(envelope, member, walk.config.package, digest)
        for key, value in envelope.content["writes"]:
            writes[key] = (None if value is None else value.encode(), place)
    write_state(connection, writes)
    write_hashes(connection, stored_count(head.frontier.size), head.frontier.extend(map(leaf_hash, leaves)))
    signed = head_of(checkpoint)
    if (signed.size, signed.root) != (head.frontier.size, head.frontier.root()):
        raise Malformed("its leaves do not give the head that was signed")
    head.number, head.header = block.header.number, block.header.digest


def _differences(connection: sqlite3.Connection, table: str) -> int:
    def only(here: str, there: str) -> int:
        query = f"SELECT count(*) FROM (SELECT * FROM {here}.{table} EXCEPT SELECT * FROM {there}.{table})"  # noqa: S608
        count: int = connection.execute(query).fetchone()[0]
        return count

    return max(only("main", "temp"), only("temp", "main"))
