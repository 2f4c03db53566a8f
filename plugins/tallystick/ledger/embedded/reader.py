"""Reading the embedded ledger: blocks, the rules in force, signed heads and proofs."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.ledger.embedded.appender import Head
from tallystick.ledger.embedded.database import Database
from tallystick.ledger.embedded.logged import configuration, logged_block
from tallystick.ledger.embedded.stored import BlockBytes
from tallystick.ledger.port import Configuration, LoggedBlock
from tallystick.proof import merkle
from tallystick.proof.block import Config, origin_of, parse_block
from tallystick.proof.errors import Malformed, ProofError
from tallystick.proof.membership import Membership
from tallystick.proof.note import ED25519, Verifier

_SELECT: Final = "SELECT number, header, data, checkpoint, first_leaf FROM blocks"
_PAGE: Final = 64
#: How the data of a configuration's block begins, and no other's: docs/formats/block.md.
_CONFIG: Final = b'{"config":'


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
        try:
            with database.reading() as connection:
                genesis = self._block(connection, 0)
                self._rules = _rules_of(genesis)
                self._current_rules(connection)
        except BaseException:
            database.close()
            raise
        self._origin = origin_of(self._rules.config.name, sha256(genesis.header).hexdigest())

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._origin

    def trust(self) -> str:
        """As the port says: the operator's one key."""
        return f"log {Verifier(self._origin, ED25519, self._rules.config.log_key).vkey}\nquorum none\n"

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
        end, size = self.height, 1
        while first < end:
            with self._database.reading() as connection:
                page = connection.execute(
                    f"{_SELECT} WHERE number >= ? AND number < ? ORDER BY number LIMIT ?", (first, end, size)
                ).fetchall()
            for number, row in enumerate(page or [(-1,)], first):
                if row[0] != number:
                    raise self._missing(number)
                yield BlockBytes(*row)
            # Whoever wants one block gets one; whoever reads on, more at a time.
            first, size = first + len(page), min(2 * size, _PAGE)

    def block_hash(self, number: int) -> str:
        """As the port says."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT header FROM blocks WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise self._missing(number)
        return sha256(row[0]).hexdigest()

    def log(self, first: int = 0) -> Iterator[LoggedBlock]:
        """As the port says."""
        membership: Membership | None = None
        for stored in self.blocks(first):
            with _reading(stored.number):
                block = parse_block(stored.header, stored.data)
                if block.config is not None:
                    membership = Membership(block.config.msps)
                if membership is None:
                    membership = self._rules_at(stored.number).membership
                logged = logged_block(block, stored.first_leaf, membership)
            yield logged

    def configurations(self) -> Iterator[Configuration]:
        """As the port says."""
        with self._database.reading() as connection:
            numbers = list(self._configured(connection, self._head(connection).number))
        previous: Config | None = None
        for number in reversed(numbers):
            with self._database.reading() as connection:
                stored = self._block(connection, number)
            with _reading(number):
                block = parse_block(stored.header, stored.data)
                if block.config is None:
                    raise Malformed("it holds no configuration")
                found = configuration(block, block.config, previous)
                previous = block.config
            yield found

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
        """Let go of the connections of all threads."""
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
        return self._rules_under(connection, self._head(connection))

    def _rules_under(self, connection: sqlite3.Connection, head: Head) -> Rules:
        if head.config != self._rules.block:
            self._rules = _rules_of(self._block(connection, head.config))
        return self._rules

    def _rules_at(self, number: int) -> Rules:
        with self._database.reading() as connection:
            rules = self._current_rules(connection)
            if rules.block > number:
                block = next(self._configured(connection, number), 0)
                rules = _rules_of(self._block(connection, block))
            return rules

    def _configured(self, connection: sqlite3.Connection, last: int) -> Iterator[int]:
        """The blocks that configure, from ``last`` back to the first."""
        numbers = connection.execute(
            "SELECT number FROM blocks WHERE number <= ? ORDER BY number DESC", (last,)
        )
        for (number,) in numbers:
            # Only its beginning is read: a block may have megabytes, and there may be many.
            with connection.blobopen("blocks", "data", number, readonly=True) as data:
                if data.read(len(_CONFIG)) == _CONFIG:
                    yield number

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
    with _reading(block.number):
        config = parse_block(block.header, block.data).config
        if config is None:
            raise Malformed("it holds no configuration")
        return Rules(block.number, config, Membership(config.msps))


@contextlib.contextmanager
def _reading(number: int) -> Iterator[None]:
    """What is wrong with the bytes of a block as `NotAsRecorded`."""
    try:
        yield
    except (ProofError, ValueError, KeyError, TypeError) as error:
        raise NotAsRecorded(
            f"block {number} cannot be read: {error}", hint="See what else is wrong: tally verify"
        ) from error
