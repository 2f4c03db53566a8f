"""The channel's blocks as a peer hands them out, and what is kept beside them, for whoever verifies it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from tallystick.ledger.channel.ledger import ChannelLedger
from tallystick.proof.checkpoint import head_of

_ROWS: Final = {
    "hashes": "SELECT start, data FROM hashes ORDER BY start",
    "head": "SELECT id, height - 1, digest, config_block, frontier FROM position",
}


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
