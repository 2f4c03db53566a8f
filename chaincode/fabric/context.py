"""`chaincode.context.Context` over a stub, with the limits of `chaincode.host_limits`.

Writes and records are kept until `finish`, so that a refused transaction asked nothing of the peer
but reads, and so that writes can travel in batches.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TypeVar

from chaincode import host_limits
from chaincode.context import Caller
from chaincode.fabric.stub import Stub

_Answer = TypeVar("_Answer")

#: The name of the event that carries a transaction's records.
RECORDS: str = "records"


class FabricContext:
    """One transaction's view of the ledger."""

    def __init__(self, stub: Stub, contract: str, caller: Caller) -> None:
        self._stub = stub
        self._contract = contract
        self._caller = caller
        self._read: dict[str, bytes | None] = {}
        self._writes: dict[str, bytes | None] = {}
        self._records: list[bytes] = []
        self._event_size = 0
        #: Whether the peer is being asked: all that a contract may wait for.
        self.asking = False

    @property
    def caller(self) -> Caller:
        """As `Context.caller`."""
        return self._caller

    @property
    def transaction_id(self) -> str:
        """As `Context.transaction_id`."""
        return self._stub.transaction_id

    @property
    def claimed_time(self) -> int:
        """As `Context.claimed_time`."""
        return self._stub.timestamp_ms

    async def get(self, key: str) -> bytes | None:
        """As `Context.get`."""
        return (await self.get_many([key]))[0]

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """As `Context.get_many`; the peer is asked once for a key."""
        for key in keys:
            host_limits.check_key(key)
        unread = [key for key in dict.fromkeys(keys) if key not in self._read]
        if unread:
            values = await self._asked(self._stub.get_multiple(unread))
            self._read.update(zip(unread, values, strict=True))
        return [self._read[key] for key in keys]

    async def put(self, key: str, value: bytes) -> None:
        """As `Context.put`."""
        host_limits.check_write(self._contract, key, value)
        self._writes[key] = value

    async def delete(self, key: str) -> None:
        """As `Context.delete`."""
        host_limits.check_write(self._contract, key, None)
        self._writes[key] = None

    async def scan(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        """As `Context.scan`."""
        host_limits.check_scan(start, end, limit)
        return await self._asked(self._stub.scan(start, end, limit))

    def emit(self, record: bytes) -> None:
        """As `Context.emit`."""
        self._event_size += len(record)
        host_limits.check_event(record, self._event_size)
        self._records.append(record)

    async def _asked(self, answer: Awaitable[_Answer]) -> _Answer:
        self.asking = True
        try:
            return await answer
        finally:
            self.asking = False

    async def finish(self) -> None:
        """Hand the writes to the peer in key order, and the records as one event: a JSON array of them."""
        await self._stub.write(dict(sorted(self._writes.items())))
        if self._records:
            self._stub.set_event(RECORDS, b"[" + b",".join(self._records) + b"]")
