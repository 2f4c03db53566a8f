"""One transaction run against a snapshot: its reads with versions, its writes, its records.

The strictness is Fabric's: no read-your-writes, ordered scans, nothing kept of a refused run. A
contract is driven without an event loop; one that awaits anything but its context is at fault.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol

from chaincode import host_limits
from chaincode.context import Caller, Context
from chaincode.errors import Refusal

#: Where a value was written: (block, position in the block). Absent keys have no version.
Version = tuple[int, int]
Invoke = Callable[[Context, str, str, bytes], Awaitable[bytes]]


class Snapshot(Protocol):
    """A state that does not change while a transaction runs on it."""

    def get(self, key: str) -> tuple[bytes, Version] | None:
        """The value and its version."""

    def scan(self, start: str, end: str, limit: int) -> Sequence[tuple[str, bytes, Version]]:
        """At most ``limit`` entries with start <= key < end, in key order."""


class Scan(NamedTuple):
    """A range that was read: ``digest`` covers the keys and versions of the page that came back."""

    start: str
    end: str
    limit: int
    digest: str


class Simulation(NamedTuple):
    """What a transaction read, would write and would record."""

    reads: dict[str, Version | None]
    scans: tuple[Scan, ...]
    writes: dict[str, bytes | None]
    records: tuple[bytes, ...]
    response: bytes


class Call(NamedTuple):
    """What is run, and as whom."""

    contract: str
    transaction: str
    request: bytes
    caller: Caller
    transaction_id: str
    claimed_time: int


class _Recorder:
    """`chaincode.context.Context` over a snapshot; notes what passes through."""

    def __init__(self, snapshot: Snapshot, call: Call) -> None:
        self._snapshot = snapshot
        self._call = call
        self.reads: dict[str, Version | None] = {}
        self.scans: list[Scan] = []
        self.writes: dict[str, bytes | None] = {}
        self.records: list[bytes] = []
        self._event_size = 0

    @property
    def caller(self) -> Caller:
        return self._call.caller

    @property
    def transaction_id(self) -> str:
        return self._call.transaction_id

    @property
    def claimed_time(self) -> int:
        return self._call.claimed_time

    async def get(self, key: str) -> bytes | None:
        host_limits.check_key(key)
        found = self._snapshot.get(key)
        self.reads[key] = found[1] if found else None
        return found[0] if found else None

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return [await self.get(key) for key in keys]

    async def put(self, key: str, value: bytes) -> None:
        host_limits.check_write(self._call.contract, key, value)
        self.writes[key] = value

    async def delete(self, key: str) -> None:
        host_limits.check_write(self._call.contract, key, None)
        self.writes[key] = None

    async def scan(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        host_limits.check_scan(start, end, limit)
        page = self._snapshot.scan(start, end, limit)
        self.scans.append(Scan(start, end, limit, page_digest(page)))
        return [(key, value) for key, value, _ in page]

    def emit(self, record: bytes) -> None:
        self._event_size += len(record)
        host_limits.check_event(record, self._event_size)
        self.records.append(record)


def page_digest(page: Sequence[tuple[str, bytes, Version]]) -> str:
    """SHA-256 over the keys and versions of a scanned page."""
    text = "".join(f"{key} {block} {position}\n" for key, _, (block, position) in page)
    return hashlib.sha256(text.encode()).hexdigest()


def simulate(invoke: Invoke, snapshot: Snapshot, call: Call) -> Simulation:
    """Run ``call`` on ``snapshot``.

    Raises the contract's `Refusal`, or CONTRACT_FAULT for any other exception of contract code (the
    exception's type is named and its text dropped: it may hold what must not be kept).
    """
    recorder = _Recorder(snapshot, call)
    run: Any = invoke(recorder, call.contract, call.transaction, call.request)
    try:
        run.send(None)
    except StopIteration as done:
        response: bytes = done.value
    except Refusal:
        raise
    except Exception as error:
        raise Refusal("CONTRACT_FAULT", error=type(error).__name__) from error
    else:
        run.close()
        raise Refusal("CONTRACT_FAULT", error="awaits something that is not its context")
    return Simulation(
        recorder.reads, tuple(recorder.scans), recorder.writes, tuple(recorder.records), response
    )


def conflict(snapshot: Snapshot, reads: dict[str, Version | None], scans: Sequence[Scan]) -> str | None:
    """Why what was read no longer holds: MVCC_READ_CONFLICT, PHANTOM_READ_CONFLICT, or None."""
    for key, version in reads.items():
        found = snapshot.get(key)
        if (found[1] if found else None) != version:
            return "MVCC_READ_CONFLICT"
    for scan in scans:
        if page_digest(snapshot.scan(scan.start, scan.end, scan.limit)) != scan.digest:
            return "PHANTOM_READ_CONFLICT"
    return None
