"""The log of a channel: follows its blocks, judges each, and reads what came of them.

Whoever asks for the log brings it up to the peer's height first; processes take turns. A block that is
not as it must be stops the log there, for good: nothing after it can be judged.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded
from tallystick.files import alone, private_directory
from tallystick.ledger.channel import logged
from tallystick.ledger.channel.changed import changes_told
from tallystick.ledger.channel.derived import (
    Derived,
    StoredState,
    load_position,
    store_position,
    stored_hash,
)
from tallystick.ledger.channel.failures import translating
from tallystick.ledger.fabric import Gateway, blocks, height
from tallystick.ledger.port import Configuration, LoggedBlock
from tallystick.proof import merkle
from tallystick.proof.block import origin_of
from tallystick.proof.checkpoint import Checkpoint
from tallystick.proof.errors import Malformed, ProofError
from tallystick.proof.fabric.blocks import parse_block
from tallystick.proof.fabric.channel import Channel, Position
from tallystick.proof.fabric.configuration import Configuration as Rules
from tallystick.proof.fabric.judged import JudgedBlock
from tallystick.proof.merkle import Frontier

#: How long a peer may take to tell its height, and to hand out each block: whoever waits for the log waits
#: with whoever follows it.
_HEIGHT_SECONDS: Final = 10.0
_BLOCK_SECONDS: Final = 30.0
_PAGE: Final = 64


class ChannelLog:
    """The log as one member derives it. Safe for threads and processes."""

    def __init__(self, gateway: Gateway, directory: Path, *, chaincode: str, name: str) -> None:
        """``name`` is the log's until the charter says it. Raises `CouldNotCheck` where no peer answers."""
        self._gateway = gateway
        self._chaincode = chaincode
        self._name = name
        self.genesis = _genesis(gateway)
        # Another channel of the same name is another ledger, and what counts as a record is the chaincode's:
        # each has a file of its own.
        bound = sha256(f"{self.genesis}\n{chaincode}".encode()).hexdigest()[:16]
        stem = private_directory(directory) / f"{self.genesis[:16]}-{bound}"
        self.derived = Derived(stem.with_suffix(".db"))
        self.turn = stem.with_suffix(".lock")
        self._known = threading.Lock()
        self._promised = 0

    def promise(self, block: int) -> None:
        """Note that ``block`` is committed, whatever the peer that is asked next has seen of it."""
        with self._known:
            self._promised = max(self._promised, block + 1)

    @property
    def origin(self) -> str:
        """The log's name."""
        with self.followed() as connection:
            return self._head(connection)[0]

    @property
    def height(self) -> int:
        """How many blocks were followed."""
        with self.followed() as connection:
            return self._head(connection)[1].height

    def block_hash(self, number: int) -> str:
        """As the port says."""
        with self.followed() as connection:
            row = connection.execute("SELECT hash FROM blocks WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise NotAsRecorded(f"block {number} is not on the channel {self._gateway.channel}")
        return str(row[0])

    def log(self, first: int = 0) -> Iterator[LoggedBlock]:
        """As the port says."""
        end, size = self.height, 1
        while first < end:
            with self.derived.reading() as connection:
                page = connection.execute(
                    "SELECT number, hash, leaf, logged FROM blocks WHERE number >= ? AND number < ?"
                    " ORDER BY number LIMIT ?",
                    (first, end, size),
                ).fetchall()
            if not page or page[0][0] != first:
                raise NotAsRecorded(
                    f"block {first} is missing from {self.derived.path}", hint="Make it again: tally rebuild"
                )
            for row in page:
                yield logged.decode_block(*row)
            # Whoever wants one block gets one; whoever reads on, more at a time.
            first, size = first + len(page), min(2 * size, _PAGE)

    def configurations(self) -> Iterator[Configuration]:
        """As the port says: of the channel and, from the block of their definition on, of the contracts."""
        with self.followed() as connection:
            rows = connection.execute("SELECT content FROM configurations ORDER BY block, package").fetchall()
        return (logged.decode_configuration(row[0]) for row in rows)

    def head(self) -> Checkpoint:
        """The head after the last block followed."""
        with self.followed() as connection:
            return self.head_in(connection)

    def prove(self, prove: Callable[[int, merkle.Read], list[bytes]]) -> tuple[list[bytes], Checkpoint]:
        """A proof by the stored hashes and the head that it leads to. Raises `InvalidInput` for none."""
        with self.followed() as connection:

            def read(indices: Sequence[int]) -> list[bytes]:
                return [stored_hash(connection, index) for index in indices]

            head = self.head_in(connection)
            try:
                return prove(head.size, read), head
            except Malformed as error:
                raise InvalidInput(f"no such proof: {error}") from error

    def follow(self, progress: Callable[[int], None] | None = None) -> None:
        """Judge the blocks that the channel has and this log has not.

        Raises `NotAsRecorded` for a block that is not as it must be, `CouldNotCheck` where peers cannot
        be reached.
        """
        with translating():
            target = max(height(self._gateway, seconds=_HEIGHT_SECONDS), self._promised)
            if self._stored_height() >= target:
                return
            with alone(self.turn), self.derived.writing() as connection:
                self._follow(connection, target, progress)

    def raw(self, height: int) -> Iterator[bytes]:
        """The first ``height`` blocks as a peer hands them out, judged by nobody. Raises `CouldNotCheck`."""
        with translating():
            for block in blocks(self._gateway, 0, height - 1, seconds=_BLOCK_SECONDS):
                yield block.raw

    def made_again(
        self, path: Path, progress: Callable[[int], None] | None = None, *, end: int | None = None
    ) -> int:
        """Follow from block 0 into another file, up to ``end`` blocks or all that there are; returns how
        many. Raises as `follow`."""
        with translating(), Derived(path).writing() as connection:
            target = height(self._gateway, seconds=_HEIGHT_SECONDS) if end is None else end
            self._follow(connection, target, progress)
        return target

    def _require_own(self, first: int, number: int) -> None:
        """Before a block is blamed that was judged on from what is stored: it is judged from block 0.

        Raises `NotAsRecorded` for the stored where it is as it must be then.
        """
        if not first:
            return
        with TemporaryDirectory(dir=self.derived.path.parent) as directory:
            try:
                self.made_again(Path(directory) / "again.db", end=number + 1)
            except NotAsRecorded:
                return
        raise self.damaged(f"block {number} does not follow from it, and is as it must be from block 0 on")

    def damaged(self, why: str) -> NotAsRecorded:
        """The error for a derived file that is not what the blocks give."""
        return NotAsRecorded(
            f"the log kept of the channel, {self.derived.path}, is damaged: {why}",
            hint="The blocks are not at fault. Make it again from them: tally rebuild",
        )

    def _follow(
        self, connection: sqlite3.Connection, target: int, progress: Callable[[int], None] | None
    ) -> None:
        name, channel = self._resume(connection)
        if channel.height >= target:
            return
        first = channel.height
        coming = blocks(self._gateway, first, target - 1, seconds=_BLOCK_SECONDS)
        for block in coming:
            connection.execute("BEGIN IMMEDIATE")
            try:
                name = self._take(connection, channel, name, block.raw)
                connection.execute("COMMIT")
            except BaseException as error:
                connection.execute("ROLLBACK")
                if isinstance(error, (ProofError, RecursionError)):
                    self._require_own(first, block.number)
                    raise self._stopped(block.number, error) from error
                raise
            if progress:
                progress(1)

    def _take(self, connection: sqlite3.Connection, channel: Channel, name: str, raw: bytes) -> str:
        """Judge a block and note what it gives; returns the log's name after it."""
        first_leaf, definition = channel.frontier.size, channel.definition
        rules = channel.rules if channel.height else None
        judged = channel.judge(raw)
        block = logged.logged_block(judged, first_leaf)
        if stated := logged.charter_of(block):
            name, _, digest = stated.rpartition("/")
            if digest != self.genesis[:16]:
                raise Malformed("the charter is that of another ledger")
        connection.execute(
            "INSERT INTO blocks VALUES (?, ?, ?, ?)",
            (judged.number, judged.digest, first_leaf, logged.encode_block(block)),
        )
        connection.execute("INSERT INTO hashes VALUES (?, ?)", (judged.first_hash, judged.hashes))
        if judged.configured or channel.definition != definition:
            found = _configuration(channel, rules, judged)
            connection.execute(
                "INSERT INTO configurations VALUES (?, ?, ?)",
                (found.block, found.package, logged.encode_configuration(found)),
            )
        store_position(connection, name, channel.position)
        return name

    def _resume(self, connection: sqlite3.Connection) -> tuple[str, Channel]:
        stored, state = load_position(connection), StoredState(connection)
        if stored is None:
            return "", Channel(self._name, self._chaincode, self.genesis, state)
        name, position = stored
        try:
            return name, Channel.resume(name, self._chaincode, position, state)
        except (ProofError, RecursionError) as error:
            raise self.damaged(f"where it stands cannot be read: {error}") from error

    def followed(self) -> AbstractContextManager[sqlite3.Connection]:
        """One view of the log as far as the channel goes now, maybe further. Raises as `follow`."""
        self.follow()
        return self.derived.reading()

    def _stored_height(self) -> int:
        with self.derived.reading() as connection:
            stored = load_position(connection)
        return stored[1].height if stored else 0

    def _head(self, connection: sqlite3.Connection) -> tuple[str, Position]:
        """The log's origin and where it stands."""
        stored = load_position(connection)
        if stored is None:
            raise CouldNotCheck(f"the channel {self._gateway.channel} has no block yet", hint="Try again.")
        name, position = stored
        return origin_of(name or self._name, self.genesis), position

    def head_in(self, connection: sqlite3.Connection) -> Checkpoint:
        """The head after the last block of that view. Raises `CouldNotCheck` before there is a block."""
        origin, position = self._head(connection)
        frontier = Frontier.from_bytes(position.frontier)
        return Checkpoint(origin, frontier.size, frontier.root())

    def _stopped(self, number: int, error: BaseException) -> NotAsRecorded:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        return NotAsRecorded(
            f"block {number} of the channel {self._gateway.channel} is not as it must be: {why}",
            hint="Nothing from there on is in the log. Keep what the peer handed out, and ask the other"
            " organisations for their block of that number.",
        )


def _configuration(channel: Channel, before: Rules | None, judged: JudgedBlock) -> Configuration:
    """What the block put in force: the channel's configuration, or the contracts by their definition."""
    if judged.configured:
        time_ms, by = judged.configured.time, judged.configured.by
    elif call := judged.defined_by:
        time_ms, by = call.claimed_time, call.caller
    else:
        raise Malformed("the contracts' definition changed, and nothing wrote it")
    changed = changes_told(before, channel.rules, judged.configured.changed) if judged.configured else ()
    return logged.configuration(channel.rules, judged.number, time_ms, by, channel.definition, changed)


def _genesis(gateway: Gateway) -> str:
    """The digest of the channel's first block, by a peer's word: the charter and older heads name it too."""
    try:
        with translating():
            for block in blocks(gateway, 0, 0, seconds=_HEIGHT_SECONDS):
                return parse_block(block.raw).header.digest
    except ProofError as error:
        raise NotAsRecorded(f"block 0 of the channel {gateway.channel} cannot be read: {error}") from error
    raise CouldNotCheck(f"the channel {gateway.channel} has no block yet", hint="Try again.")
