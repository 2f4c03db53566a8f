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

    async def fetch(self, keys: Iterable[str]) -> None:
        """Read ``keys`` all at once, so that `get` asks for none of them any more."""
        unread = [key for key in dict.fromkeys(keys) if key not in self._values]
        for key, data in zip(unread, await self.context.get_many(unread), strict=True):
            self._values[key] = None if data is None else canonical.decode(data)

    def put(self, key: str, value: Any) -> None:
        """Write ``value`` when the transaction closes."""
        self._values[key] = value
        self._written.add(key)

    async def record(self, kind: str, record_id: str, body: bytes, streams: Iterable[str]) -> str:
        """Add a record with the canonical ``body`` to the log; returns the SHA-256 of the record's bytes.

        Raises `Refusal` BACKDATED for a time below a stream's last less the charter's skew, and
        TOO_LARGE for a record above `MAX_RECORD`.
        """
        text, numbered = canonical.encode_text, dict[str, bytes]()
        for stream in streams:
            key = key_of(stream)
            last = Position.of(await self.get(key))
            position = advance(last, self.context.claimed_time, self._skew_ms, stream)
            self.put(key, position.value())
            numbered[stream] = b'%b:{"number":%d,"time":%d}' % (text(stream), position.number, position.time)
        # Canonical JSON of an object whose fields are known, around the body's bytes, which are encoded once.
        positions = b",".join(numbered[stream] for stream in sorted(numbered))
        data = b'{"body":%b,"id":%b,"kind":%b,"streams":{%b},"v":%d}' % (
            body, text(record_id), text(kind), positions, VERSION
        )  # fmt: skip
        if len(data) > MAX_RECORD:
            raise Refusal("TOO_LARGE", limit_bytes=MAX_RECORD)
        self._records.append(data)
        return canonical.digest(data)

    async def close(self) -> None:
        """Write every changed key and emit every record. Call once, last."""
        keys = sorted(self._written)
        for key, data in zip(keys, canonical.encode_each([self._values[key] for key in keys]), strict=True):
            await self.context.put(key, data)
        for data in self._records:
            self.context.emit(data)
