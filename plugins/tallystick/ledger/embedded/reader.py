"""Reading the embedded ledger: blocks, the rules in force, signed heads and proofs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.ledger.embedded.appender import Head
from tallystick.ledger.embedded.database import Database
from tallystick.ledger.port import BlockBytes
from tallystick.proof import merkle
from tallystick.proof.block import Config, origin_of, parse_block
from tallystick.proof.errors import Malformed, ProofError
from tallystick.proof.membership import Membership
from tallystick.proof.note import ED25519, Verifier

_SELECT: Final = "SELECT number, header, data, checkpoint, first_leaf FROM blocks"
_PAGE: Final = 64


@dataclass(frozen=True, slots=True)
class Rules:
    """What is in force: read from the configuration's block, kept until another one is written."""

    block: int
    config: Config
    membership: Membership


class Reader:
    """The reading half of `tallystick.ledger.port.Ledger` over one SQLite file."""

    def __init__(self, database: Database) -> None:
        """Raises `CouldNotCheck` where there is no ledger and `NotAsRecorded` for a damaged one."""
        self._database = database
        with database.reading() as connection:
            genesis = self._block(connection, 0)
            self._rules = _rules_of(genesis)
            self._current_rules(connection)
        digest = parse_block(genesis.header, genesis.data).header.digest
        self._origin = origin_of(self._rules.config.name, digest)

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._origin

    @property
    def vkey(self) -> str:
        """The key that signs heads."""
        return Verifier(self._origin, ED25519, self._rules.config.log_key).vkey

    @property
    def height(self) -> int:
        """How many blocks there are."""
        with self._database.reading() as connection:
            return self._head(connection).number + 1

    @property
    def config(self) -> Config:
        """The configuration in force."""
        with self._database.reading() as connection:
            return self._current_rules(connection).config

    def blocks(self, first: int = 0) -> Iterator[BlockBytes]:
        """The blocks from ``first`` on. Raises `NotAsRecorded` where one is missing."""
        end = self.height
        while first < end:
            with self._database.reading() as connection:
                page = connection.execute(
                    f"{_SELECT} WHERE number >= ? AND number < ? ORDER BY number LIMIT ?", (first, end, _PAGE)
                ).fetchall()
            for number, row in enumerate(page or [(-1,)], first):
                if row[0] != number:
                    raise self._missing(number)
                yield BlockBytes(*row)
            first += len(page)

    def checkpoint(self) -> str:
        """The signed head after the last block."""
        with self._database.reading() as connection:
            return self._checkpoint(connection, self._head(connection).number)

    def inclusion_proof(self, leaf: int) -> tuple[list[bytes], str]:
        """As the port says. Raises `InvalidInput` for a leaf beyond the head."""
        return self._prove(lambda size, read: merkle.inclusion_proof(leaf, size, read))

    def consistency_proof(self, old_size: int) -> tuple[list[bytes], str]:
        """As the port says. Raises `InvalidInput` for a size beyond the head."""
        return self._prove(lambda size, read: merkle.consistency_proof(old_size, size, read))

    def close(self) -> None:
        """Let go of this thread's connection."""
        self._database.close()

    def _prove(self, prove: Callable[[int, merkle.Read], list[bytes]]) -> tuple[list[bytes], str]:
        with self._database.reading() as connection:
            head = self._head(connection)
            try:
                proof = prove(head.frontier.size, self._hash_reader(connection))
            except Malformed as error:
                raise InvalidInput(f"no such proof: {error}") from error
            return proof, self._checkpoint(connection, head.number)

    def _head(self, connection: sqlite3.Connection) -> Head:
        try:
            return Head.load(connection)
        except (TypeError, ValueError) as error:
            raise NotAsRecorded(
                f"the head stored in {self._database.path} cannot be read",
                hint="Make the derived tables again from the blocks: tally rebuild",
            ) from error

    def _block(self, connection: sqlite3.Connection, number: int) -> BlockBytes:
        row = connection.execute(f"{_SELECT} WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise self._missing(number)
        return BlockBytes(*row)

    def _checkpoint(self, connection: sqlite3.Connection, number: int) -> str:
        # Without the block's data, which may have megabytes.
        row = connection.execute("SELECT checkpoint FROM blocks WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise self._missing(number)
        found: str = row[0]
        return found

    def _missing(self, number: int) -> NotAsRecorded:
        return NotAsRecorded(f"block {number} is missing from {self._database.path}")

    def _current_rules(self, connection: sqlite3.Connection) -> Rules:
        number = self._head(connection).config
        if number != self._rules.block:
            self._rules = _rules_of(self._block(connection, number))
        return self._rules

    def _hash_reader(self, connection: sqlite3.Connection) -> merkle.Read:
        def read(indices: Sequence[int]) -> list[bytes]:
            return [self._stored_hash(connection, index) for index in indices]

        return read

    def _stored_hash(self, connection: sqlite3.Connection, index: int) -> bytes:
        row = connection.execute(
            "SELECT start, data FROM hashes WHERE start <= ? ORDER BY start DESC LIMIT 1", (index,)
        ).fetchone()
        offset = (index - row[0]) * merkle.HASH_SIZE if row else 0
        found: bytes = row[1][offset : offset + merkle.HASH_SIZE] if row else b""
        if len(found) != merkle.HASH_SIZE:
            raise NotAsRecorded(
                f"a hash of the tree is missing from {self._database.path}",
                hint="Make the derived tables again from the blocks: tally rebuild",
            )
        return found


def _rules_of(block: BlockBytes) -> Rules:
    try:
        config = parse_block(block.header, block.data).config
        if config is None:
            raise NotAsRecorded(f"block {block.number} holds no configuration")
        return Rules(block.number, config, Membership(config.msps))
    except ProofError as error:
        raise NotAsRecorded(f"block {block.number} cannot be read: {error}") from error
