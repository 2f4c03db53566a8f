"""The block chain read as a stranger reads it: every header, signature, leaf and head judged anew.

Nothing is believed but the bytes: leaves and tree are derived again, and each block's signed head must
say what they give. docs/verification.md numbers the checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from tallystick.errors import NotAsRecorded
from tallystick.proof.block import GENESIS_PREVIOUS, Block, Config, judge_config, origin_of, parse_block
from tallystick.proof.checkpoint import Checkpoint, parse_checkpoint
from tallystick.proof.errors import ProofError
from tallystick.proof.leaves import block_leaf, envelope_leaves
from tallystick.proof.membership import Member, Membership
from tallystick.proof.merkle import HASH_SIZE, Frontier, leaf_hash
from tallystick.proof.note import ED25519, Verifier, verify_note

_TYPES: Final = {"number": int, "header": bytes, "data": bytes, "checkpoint": str, "first_leaf": int}


class StoredBlock(Protocol):
    """A block as it is kept: see docs/formats/block.md. Its fields may hold anything until judged."""

    @property
    def number(self) -> int: ...
    @property
    def header(self) -> bytes: ...
    @property
    def data(self) -> bytes: ...
    @property
    def checkpoint(self) -> str: ...
    @property
    def first_leaf(self) -> int: ...


class BadBlock(NotAsRecorded):
    """A block that is not as a ledger writes it. ``number`` is where it should stand."""

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(f"block {number}: {problem}")
        self.number = number
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Judged:
    """A block whose signatures, place, leaves and head are right. Its verdicts and writes are not judged.

    ``config`` is in force for this block, ``config_block`` where it was written; ``members`` signed the
    envelopes, in order; ``hashes`` are the new stored hashes, from stored index ``first_hash`` on.
    """

    block: Block
    config: Config
    config_block: int
    members: tuple[Member, ...]
    transaction_leaves: tuple[int, ...]
    first_hash: int
    hashes: bytes
    checkpoint: str


class Chain:
    """Walks the blocks once.

    ``roots`` has the log's root at each of ``sizes`` that it reached, and ``whole_blocks`` how many
    blocks lie wholly within that size.
    """

    def __init__(self, sizes: Iterable[int] = ()) -> None:
        self.origin = ""
        self.height = 0
        self.header = GENESIS_PREVIOUS
        self.frontier = Frontier()
        self.checkpoint = ""
        self.roots: dict[int, bytes] = {}
        self.whole_blocks: dict[int, int] = {}
        self.rules: tuple[int, Config] | None = None
        self._membership = Membership(())
        self._sizes = set(sizes)
        self._stored = 0

    def walk(self, blocks: Iterable[StoredBlock]) -> Iterator[Judged]:
        """Judge each block in turn. Raises `BadBlock` at the first that is not as a ledger writes it."""
        self._note_root(0)
        for stored in blocks:
            try:
                judged = self._judge(stored)
            except ProofError as error:
                raise BadBlock(self.height, str(error).removeprefix(f"block {self.height}: ")) from error
            self.height += 1
            self.header, self.checkpoint = judged.block.header.digest, judged.checkpoint
            yield judged
        if not self.height:
            raise BadBlock(0, "missing, as is every other")

    def log_key(self) -> Verifier:
        """The key that signs heads now, under the origin's name."""
        return Verifier(self.origin, ED25519, self._in_force()[1].log_key)

    def _judge(self, stored: StoredBlock) -> Judged:
        number = self.height
        for name, kind in _TYPES.items():
            if type(getattr(stored, name)) is not kind:
                raise BadBlock(number, f"{name} is not of its type")
        if stored.number != number:
            raise BadBlock(number, "missing" if stored.number > number else "stands there twice")
        block = parse_block(stored.header, stored.data)
        if block.header.number != number:
            raise BadBlock(number, "the header has another number")
        if block.header.previous != self.header:
            raise BadBlock(number, "does not follow the block before it")
        if stored.first_leaf != self.frontier.size:
            raise BadBlock(number, "first_leaf is not where its leaves begin")
        members = self._members(block)
        leaves, indices = self._leaves(block, members)
        first_hash, hashes = self._stored, self._extend([leaf_hash(leaf) for leaf in leaves])
        self._judge_head(stored.checkpoint)
        config_block, config = self._in_force()
        return Judged(block, config, config_block, members, indices, first_hash, hashes, stored.checkpoint)

    def _members(self, block: Block) -> tuple[Member, ...]:
        if block.config is not None:
            previous = self.rules[1] if self.rules else None
            judge_config(block.config, block.config_creator, block.config_signature, previous)
            self._membership = Membership(block.config.msps)
            self.rules = (block.header.number, block.config)
            self.origin = self.origin or origin_of(block.config.name, block.header.digest)
            return ()
        self._in_force()
        members = []
        for position, envelope in enumerate(block.envelopes):
            where = f"transaction {position}"
            if envelope.proposal["origin"] != self.origin:
                raise BadBlock(block.header.number, f"{where} was signed for another ledger")
            try:
                members.append(
                    self._membership.verify(
                        envelope.creator,
                        envelope.signature,
                        envelope.proposal_bytes,
                        envelope.proposal["time"],
                    )
                )
            except ProofError as error:
                raise BadBlock(block.header.number, f"{where}: {error}") from error
        return tuple(members)

    def _in_force(self) -> tuple[int, Config]:
        if self.rules is None:
            raise BadBlock(0, "holds no configuration")
        return self.rules

    def _leaves(self, block: Block, members: tuple[Member, ...]) -> tuple[list[bytes], tuple[int, ...]]:
        valid = len(block.valid)
        leaves = [block_leaf(block.header, block.config, valid, len(block.envelopes) - valid)]
        indices = []
        for envelope, member in zip(block.envelopes, members, strict=True):
            if envelope.verdict != "VALID":
                indices.append(-1)
                continue
            indices.append(self.frontier.size + len(leaves))
            leaves += envelope_leaves(
                envelope, member, self._in_force()[1].package, sha256(envelope.encoded).hexdigest()
            )
        return leaves, tuple(indices)

    def _extend(self, hashes: list[bytes]) -> bytes:
        """Add leaf hashes, stopping at each size whose root is wanted; returns the new stored hashes."""
        start, end, new = self.frontier.size, self.frontier.size + len(hashes), b""
        for size in sorted({*(size for size in self._sizes if start < size < end), end}):
            new += self.frontier.extend(hashes[self.frontier.size - start : size - start])
            self._note_root(self.height + (size == end))
        self._stored += len(new) // HASH_SIZE
        return new

    def _note_root(self, whole_blocks: int) -> None:
        size = self.frontier.size
        if size in self._sizes:
            self.roots[size], self.whole_blocks[size] = self.frontier.root(), whole_blocks

    def _judge_head(self, note: str) -> None:
        text, _ = verify_note(note, [self.log_key()])
        if parse_checkpoint(text) != Checkpoint(self.origin, self.frontier.size, self.frontier.root()):
            raise BadBlock(self.height, "the signed head is not that of its leaves")
