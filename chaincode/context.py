"""What a contract may touch: this protocol, and nothing else of the world.

Every host keeps the stricter reading of each rule: a get after a put in the same transaction returns
the value from before the transaction; a scan is ordered by key; reads are checked again at commit;
an error leaves no trace. There is no clock, no history, no private data and no key-level policy
(docs/adr/0001-one-contract-source-two-hosts.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed the transaction, as certified: never a certificate, so that it may be renewed."""

    msp_id: str
    enrolment_id: str
    roles: frozenset[str]


class Context(Protocol):
    """One transaction's view of the ledger, within the limits of chaincode/host_limits.py."""

    @property
    def caller(self) -> Caller:
        """The signer of the transaction."""

    @property
    def transaction_id(self) -> str:
        """SHA-256(nonce || creator), 64 hex digits."""

    @property
    def claimed_time(self) -> int:
        """The client's signed claim, in milliseconds since 1970-01-01T00:00:00Z."""

    async def get(self, key: str) -> bytes | None:
        """The value committed before this transaction, or None."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """What `get` gives for each of ``keys``, in their order; on some hosts in fewer questions."""

    async def put(self, key: str, value: bytes) -> None:
        """Write UTF-8 text; the last write of a key counts."""

    async def delete(self, key: str) -> None:
        """Remove a key; removing an absent one is allowed."""

    async def scan(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        """At most ``limit`` pairs with start <= key < end, in key order.

        Resume with ``after(last key)``. Keys that appear in a scanned range before the commit void
        the transaction, as changed values do.
        """

    def emit(self, record: bytes) -> None:
        """Add a record, canonical JSON, to the transaction's one event."""


def after(key: str) -> str:
    """The start of a scan that resumes behind ``key``: no valid key lies between the two."""
    return key + "\x01"
