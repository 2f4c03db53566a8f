"""What the rest of the house knows of a ledger. Fabric's verbs: submit and evaluate.

A ledger acknowledges only what is durable. Its blocks are opaque here: `tallystick.proof` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tallystick.errors import Refused
from tallystick.identity import Identity


@dataclass(frozen=True, slots=True)
class Call:
    """One transaction to run: ``request`` is a value of the canonical data model."""

    contract: str
    transaction: str
    request: Any


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where a committed transaction stands. ``leaf`` is the index of its transaction leaf; its
    records' leaves follow it in order."""

    transaction_id: str
    block: int
    position: int
    leaf: int
    response: Any


@dataclass(frozen=True, slots=True)
class BlockBytes:
    """A block as it is kept: header and data, the head of the log after it (a signed note), and the
    index of its first leaf."""

    number: int
    header: bytes
    data: bytes
    checkpoint: str
    first_leaf: int


class Ledger(Protocol):
    """A ledger that is open. Safe to use from several threads."""

    @property
    def origin(self) -> str:
        """The log's name: NAME/<16 hex digits of the genesis digest>."""

    @property
    def vkey(self) -> str:
        """The key that signs heads, as trust files spell it."""

    def submit(self, identity: Identity, call: Call, *, time_ms: int | None = None) -> Receipt:
        """Run ``call`` and commit it; returns when it is durable.

        ``time_ms`` is the claimed time, the clock's when left out. Raises `Refused` with the
        contract's or the host's code, and `CouldNotCheck` when the ledger cannot be written.
        """

    def submit_many(self, identity: Identity, calls: Sequence[Call]) -> list[Receipt | Refused]:
        """`submit` for many transactions at once; each has an outcome of its own, in order."""

    def evaluate(self, identity: Identity, call: Call) -> Any:
        """Run ``call`` on the committed state and return its response; nothing is written."""

    @property
    def height(self) -> int:
        """How many blocks there are."""

    def blocks(self, first: int = 0) -> Iterator[BlockBytes]:
        """The blocks from ``first`` on, in order, up to the height at the time of the call."""

    def checkpoint(self) -> str:
        """The signed head after the last block."""

    def inclusion_proof(self, leaf: int) -> tuple[list[bytes], str]:
        """The RFC 6962 inclusion proof of a leaf in the tree of `checkpoint`, and that checkpoint."""

    def consistency_proof(self, old_size: int) -> tuple[list[bytes], str]:
        """The RFC 6962 consistency proof from ``old_size`` to the tree of `checkpoint`, and that."""

    def close(self) -> None:
        """Let go of files and connections."""
