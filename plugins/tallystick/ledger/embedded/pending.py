"""State as the block in the making leaves it, and what of the committed state need not be read again."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Final

from tallystick.execution.simulate import Version
from tallystick.execution.state_table import StateSnapshot

#: Keys kept from block to block: those that many transactions read come back at once after a fresh start.
_KEPT: Final = 4096


@dataclass(slots=True)
class PendingState:
    """The state as the transactions of the block in the making leave it."""

    committed: StateSnapshot
    block: int
    #: What of the committed state was read before, which `RecentState` keeps from block to block.
    read: dict[str, tuple[bytes, Version] | None] = field(default_factory=dict)
    writes: dict[str, tuple[bytes | None, Version]] = field(default_factory=dict)

    def get(self, key: str) -> tuple[bytes, Version] | None:
        """As `Snapshot.get`, with what the block has written so far."""
        if key in self.writes:
            value, version = self.writes[key]
            return None if value is None else (value, version)
        # What many transactions read, the charter above all, is fetched once.
        if key not in self.read:
            self.read[key] = self.committed.get(key)
        return self.read[key]

    def scan(self, start: str, end: str, limit: int) -> list[tuple[str, bytes, Version]]:
        """As `Snapshot.scan`, with what the block has written so far."""
        changed = {key for key in self.writes if start <= key < end}
        # Removed keys leave a page short, so as many more are read as were touched.
        page = self.committed.scan(start, end, limit + len(changed))
        merged = [entry for entry in page if entry[0] not in changed]
        for key in changed:
            value, version = self.writes[key]
            if value is not None:
                merged.append((key, value, version))
        return sorted(merged)[:limit]

    def apply(self, writes: dict[str, bytes | None], position: int) -> None:
        """Take over the writes of the valid transaction at ``position``."""
        for key, value in writes.items():
            self.writes[key] = (value, (self.block, position))


class RecentState:
    """What the writer last read and wrote of the state, for as long as nobody else writes to the file."""

    def __init__(self) -> None:
        self._seen: tuple[sqlite3.Connection, int] | None = None
        self._entries: dict[str, tuple[bytes, Version] | None] = {}

    def pending(self, connection: sqlite3.Connection, block: int) -> PendingState:
        """The state for ``block`` to be made in the transaction that ``connection`` has begun."""
        # SQLite's own count of what other connections, of this process or another, have committed.
        seen = (connection, connection.execute("PRAGMA data_version").fetchone()[0])
        if self._seen != seen or len(self._entries) > _KEPT:
            self._entries = {}
        self._seen = seen
        return PendingState(StateSnapshot(connection), block, self._entries)

    def committed(self, state: PendingState) -> None:
        """``state`` is durable."""
        for key, (value, version) in state.writes.items():
            self._entries[key] = None if value is None else (value, version)

    def forget(self) -> None:
        """Whether the last block was committed is not known."""
        self._seen = None
