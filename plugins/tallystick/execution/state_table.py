"""State kept in a SQLite table, as a snapshot to run on: the ledger's own and the verifier's."""

from __future__ import annotations

import sqlite3

from tallystick.execution.simulate import Version


class StateSnapshot:
    """`tallystick.execution.simulate.Snapshot` over a table ``state`` (key, value, block, position)."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, key: str) -> tuple[bytes, Version] | None:
        """As `Snapshot.get`."""
        row = self._connection.execute(
            "SELECT value, block, position FROM state WHERE key = ?", (key,)
        ).fetchone()
        return (row[0], (row[1], row[2])) if row else None

    def scan(self, start: str, end: str, limit: int) -> list[tuple[str, bytes, Version]]:
        """As `Snapshot.scan`."""
        rows = self._connection.execute(
            "SELECT key, value, block, position FROM state WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
            (start, end, limit),
        )
        return [(key, value, (block, position)) for key, value, block, position in rows]
