"""The channel's blocks as a peer hands them out, and what is kept beside them, for whoever verifies it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tallystick.errors import NotAsRecorded
from tallystick.ledger.channel.derived import Derived
from tallystick.ledger.channel.ledger import ChannelLedger
from tallystick.ledger.channel.log import ChannelLog
from tallystick.proof.checkpoint import head_of

_ROWS: Final = {
    "hashes": "SELECT start, data FROM hashes ORDER BY start",
    "head": "SELECT id, height - 1, digest, config_block, frontier FROM position",
}
#: What else is read of the file, all that `_ROWS` does not hold against what verification derives itself.
_READ: Final = (
    "SELECT * FROM blocks ORDER BY number",
    "SELECT * FROM configurations ORDER BY block, package",
    "SELECT * FROM versions ORDER BY space, key",
    "SELECT * FROM kept ORDER BY space, key",
    "SELECT * FROM ids ORDER BY id",
    "SELECT name, configuration, channel FROM position",
)


class StoredChannel:
    """One view of a channel, up to the block that was followed when it was entered; a context manager."""

    def __init__(self, ledger: ChannelLedger) -> None:
        self._ledger = ledger
        self._view = contextlib.ExitStack()
        self.chaincode = ledger.chaincode

    def __enter__(self) -> StoredChannel:
        with contextlib.ExitStack() as opening:
            opening.callback(self._ledger.close)
            log = self._ledger.blocks
            self._connection = opening.enter_context(log.followed())
            #: The head after the last of these blocks, signed by this member.
            self.checkpoint = self._ledger.signed(log.head_in(self._connection))
            self.height: int = self._connection.execute("SELECT height FROM position").fetchone()[0]
            _require_derived(log, self._connection, self.height)
            self._view = opening.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._view.close()

    @property
    def origin(self) -> str:
        """The log's name."""
        return head_of(self.checkpoint).origin

    def blocks(self) -> Iterator[bytes]:
        """Every block, by a peer's word. Raises `CouldNotCheck` where no peer answers."""
        return self._ledger.blocks.raw(self.height)

    def rows(self, table: str) -> Iterable[tuple[Any, ...]] | None:
        """The rows of a derived table that is kept here in the form of every host; None for others."""
        return self._connection.execute(_ROWS[table]) if table in _ROWS else None


def _require_derived(log: ChannelLog, connection: sqlite3.Connection, height: int) -> None:
    """Raises `NotAsRecorded` where the file is not what its ``height`` blocks give, judged from block 0.

    Where a block is not as it must be nothing is said here: verification judges it too, and names it.
    """
    with TemporaryDirectory(dir=log.derived.path.parent) as directory:
        again = Derived(Path(directory) / "again.db")
        try:
            log.made_again(again.path, end=height)
        except NotAsRecorded:
            return
        with again.reading() as anew:
            for question in _READ:
                rows = zip_longest(connection.execute(question), anew.execute(question))
                if any(kept != derived for kept, derived in rows):
                    table = question.split(" FROM ")[1].split()[0]
                    raise log.damaged(f"its table {table} is not what the blocks give")
