"""A transaction's working copy: every key is read once and written once, whatever the batch holds.

Fabric has no read-your-writes, so what the second item of a batch must see of the first is kept
here. Records get their numbers in their streams here too, so that one place counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chaincode import canonical
from chaincode.context import Context
from chaincode.errors import Refusal
from chaincode.host_limits import MAX_RECORD
from chaincode.streams import Position, advance, key_of

VERSION = 1


class Draft:
    """Reads through to ``context``; `close` writes all at once, in key order."""

    def __init__(self, context: Context, skew_ms: int) -> None:
        self.context = context
        self._skew_ms = skew_ms
        self._values: dict[str, Any] = {}
        self._written: set[str] = set()
        self._records: list[bytes] = []

    async def get(self, key: str) -> Any:
        """The value at ``key`` as this transaction has left it, or None."""
        if key not in self._values:
            data = await self.context.get(key)
            self._values[key] = None if data is None else canonical.decode(data)
        return self._values[key]

    def put(self, key: str, value: Any) -> None:
        """Write ``value`` when the transaction closes."""
        self._values[key] = value
        self._written.add(key)

    async def record(self, kind: str, record_id: str, body: bytes, streams: Iterable[str]) -> str:
        """Add a record with the canonical ``body`` to the log; returns the SHA-256 of the record's bytes.

        Raises `Refusal` BACKDATED for a time below a stream's last less the charter's skew, and
        TOO_LARGE for a record above `MAX_RECORD`.
        """
        positions: dict[str, dict[str, int]] = {}
        for stream in streams:
            key = key_of(stream)
            last = Position.of(await self.get(key))
            position = advance(last, self.context.claimed_time, self._skew_ms, stream)
            positions[stream] = position.value()
            self.put(key, position.value())
        # `body` sorts before every other key, so that its bytes are encoded once and kept.
        rest = canonical.encode({"v": VERSION, "kind": kind, "id": record_id, "streams": positions})
        data = b'{"body":' + body + b"," + rest[1:]
        if len(data) > MAX_RECORD:
            raise Refusal("TOO_LARGE", limit_bytes=MAX_RECORD)
        self._records.append(data)
        return canonical.digest(data)

    async def close(self) -> None:
        """Write every changed key and emit every record. Call once, last."""
        for key in sorted(self._written):
            await self.context.put(key, canonical.encode(self._values[key]))
        for data in self._records:
            self.context.emit(data)
