"""What a verifier knows of a log and its blocks, whichever host wrote them: who signed, what was asked,
what came of it.

A host's chain (`tallystick.evidence.chain` for the embedded ledger) judges a block's bytes and says this;
whether the transactions do give it is judged by running them again (`tallystick.evidence.reexecution`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from tallystick.errors import NotAsRecorded
from tallystick.execution.simulate import Call, Simulation
from tallystick.proof.merkle import Frontier


class BadBlock(NotAsRecorded):
    """A block that is not as a ledger writes it. ``number`` is where it should stand."""

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(f"block {number}: {problem}")
        self.number = number
        self.problem = problem


@dataclass(frozen=True, slots=True)
class JudgedTransaction:
    """A transaction whose signer is judged: what was called, as whom, and what the block says came of it.

    ``verdict`` is VALID or why it did not count; ``leaf`` is the index of its leaf (-1 where it did not
    count), and its records' leaves follow that one. ``position`` is its place in the block.

    Where ``host_reads`` is not None the host notes reads and writes by key, no pages of scans, which it has
    judged, and among the reads these keys, which it reads for itself.
    """

    call: Call
    verdict: str
    recorded: Simulation
    leaf: int
    position: int
    host_reads: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Configured:
    """What a block changed of the rules: none of ``changed`` for the first configuration.

    ``time`` is the signer's claim, in milliseconds since the epoch.
    """

    time: int
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JudgedBlock:
    """A block whose signatures, place, leaves and head are right. Its verdicts and writes are not judged.

    ``digest`` is its hash in hex; ``package`` the digest of the contracts in force for it;
    ``configured`` is there where it changed the rules. ``hashes`` are the tree's new stored hashes,
    from stored index ``first_hash`` on.
    """

    number: int
    digest: str
    package: str
    configured: Configured | None
    transactions: tuple[JudgedTransaction, ...]
    first_hash: int
    hashes: bytes


class HostChain(Protocol):
    """A host's log, read by a stranger: walked once, after which the rest says where it ended."""

    def walk(self, sizes: Iterable[int]) -> Iterator[JudgedBlock]:
        """Judge each block in turn, noting the log's root at each of ``sizes`` that it reaches.

        Raises `BadBlock` at the first that is not as a ledger writes it.
        """

    @property
    def origin(self) -> str:
        """The log's name; empty before the first block."""

    @property
    def height(self) -> int:
        """How many blocks were judged."""

    @property
    def header(self) -> str:
        """The hash of the last one's header, in hex."""

    @property
    def config_block(self) -> int:
        """The block whose configuration is in force."""

    @property
    def frontier(self) -> Frontier:
        """The tree over all leaves."""

    @property
    def checkpoint(self) -> str:
        """The signed head after the last block, a note."""

    @property
    def roots(self) -> Mapping[int, bytes]:
        """The root at each of the sizes that were asked for and reached."""

    @property
    def whole_blocks(self) -> Mapping[int, int]:
        """How many blocks lie wholly within each of these sizes."""

    @property
    def signers(self) -> str:
        """Who signs this host's heads, in words."""

    @property
    def derived_here(self) -> bool:
        """Whether today's head is the verifier's own word on blocks that others signed, and no one else's."""
