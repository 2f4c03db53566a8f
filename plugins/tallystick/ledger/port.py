"""What the rest of the house knows of a ledger. Fabric's verbs: submit and evaluate.

A ledger acknowledges only what is durable. How its blocks are written is its own business: here stands
what they say, in the log's own order and numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from tallystick.identity import Identity
from tallystick.proof.leaves import record_leaf


@dataclass(frozen=True, slots=True)
class Call:
    """One transaction to run: ``request`` is a value of the canonical data model."""

    contract: str
    transaction: str
    request: Any


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of a committed transaction, and the block that holds it."""

    transaction_id: str
    block: int
    response: Any


@dataclass(frozen=True, slots=True)
class LoggedRecord:
    """A record: its leaf's index in the log, its canonical bytes, its leaf's salt in hex."""

    leaf: int
    content: bytes
    salt: str

    @property
    def leaf_bytes(self) -> bytes:
        """The bytes of its leaf (docs/formats/leaves.md)."""
        return record_leaf(self.content, self.salt)


@dataclass(frozen=True, slots=True)
class LoggedTransaction:
    """A valid transaction: its id, who signed it, the time claimed, its leaf, its records in order."""

    id: str
    msp_id: str
    enrolment_id: str
    time_ms: int
    leaf: int
    records: tuple[LoggedRecord, ...]


@dataclass(frozen=True, slots=True)
class LoggedBlock:
    """What a block put into the log: its own leaf, then its valid transactions with their records.

    ``hash`` is the header's, in hex; ``invalid`` how many of its transactions were not applied.
    """

    number: int
    hash: str
    leaf: int
    transactions: tuple[LoggedTransaction, ...]
    invalid: int


@dataclass(frozen=True, slots=True)
class Organisation:
    """A member organisation: the SHA-256 of its root certificates and the serial numbers that it has
    revoked, each in hex and sorted. ``unfollowed`` says why nobody of it counts here; empty where they do."""

    msp_id: str
    roots: tuple[str, ...]
    revoked: tuple[str, ...]
    unfollowed: str = ""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The rules in force from ``block`` on, by whom and when they were set.

    ``package`` is the digest of the contracts that run, ``policy`` that of what else the members agreed on
    for them: whose endorsements they need. Both are empty before there are contracts; the latter always
    where nobody endorses. ``changed`` says what else the members changed of the rules, a line each.
    """

    block: int
    time_ms: int
    msp_id: str
    enrolment_id: str
    organisations: tuple[Organisation, ...]
    package: str
    policy: str = ""
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How many blocks were read, and how many rows of each derived table were not what they say."""

    blocks: int
    differences: dict[str, int]


class Ledger(Protocol):
    """A ledger that is open. Safe to use from several threads."""

    @property
    def origin(self) -> str:
        """The log's name: NAME/<16 hex digits of the genesis digest>."""

    def trust(self) -> str:
        """Whose signatures make a head of this ledger, by its own word: a C2SP tlog-policy."""

    def submit(self, identity: Identity, call: Call, *, time_ms: int | None = None) -> Receipt:
        """Run ``call`` and commit it; returns when it is durable.

        Where another transaction came in between, a ledger that can meet with that runs ``call`` anew for
        a while; callers need not. ``time_ms`` is the claimed time, the clock's when left out. Raises
        `Refused` with the contract's or the host's code, `CouldNotCheck` when the ledger cannot be
        written, and of these `OutcomeUnknown` when it may have been written all the same.
        """

    def evaluate(self, identity: Identity, call: Call) -> Any:
        """Run ``call`` on the committed state and return its response; nothing is written."""

    @property
    def height(self) -> int:
        """How many blocks there are."""

    def block_hash(self, number: int) -> str:
        """The hash of that block's header, in hex. Raises `NotAsRecorded` where there is no such block."""

    def log(self, first: int = 0) -> Iterator[LoggedBlock]:
        """What the blocks from ``first`` on hold, in order, up to the height at the time of the call.

        Raises `NotAsRecorded` for a block that is missing or damaged.
        """

    def configurations(self) -> Iterator[Configuration]:
        """Every configuration there was, oldest first, its signature judged by the one before.

        Raises `NotAsRecorded` for a block that is missing or damaged.
        """

    def checkpoint(self) -> str:
        """The signed head after the last block."""

    def inclusion_proof(self, leaf: int) -> tuple[list[bytes], str]:
        """The RFC 6962 inclusion proof of a leaf in the tree of `checkpoint`, and that checkpoint."""

    def consistency_proof(self, old_size: int) -> tuple[list[bytes], str]:
        """The RFC 6962 consistency proof from ``old_size`` to the tree of `checkpoint`, and that."""

    def close(self) -> None:
        """Let go of files and connections."""
