"""The embedded ledger's chain as a stranger reads it: each header, signature, leaf and head judged anew.

Nothing is believed but the bytes: leaves and tree are derived again, and each block's signed head must
say what they give. docs/verification.md numbers the checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any, Final, Protocol

from chaincode import host_limits
from chaincode.context import Caller
from tallystick.evidence.judged import BadBlock, Configured, JudgedBlock, JudgedTransaction
from tallystick.execution.simulate import Call, Scan, Simulation, Version
from tallystick.proof.block import (
    GENESIS_PREVIOUS,
    Block,
    Config,
    Envelope,
    canonical,
    judge_config,
    origin_of,
    parse_block,
)
from tallystick.proof.checkpoint import Checkpoint, parse_checkpoint
from tallystick.proof.errors import ProofError
from tallystick.proof.leaves import block_leaf, transaction_leaves
from tallystick.proof.membership import Member, Membership
from tallystick.proof.merkle import HASH_SIZE, Frontier, leaf_hash
from tallystick.proof.note import ED25519, Verifier, parse_note, verify_note

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


class Chain:
    """`tallystick.evidence.judged.HostChain` over the blocks of an embedded ledger."""

    signers: Final = "the operator"
    derived_here: Final = False

    def __init__(self, blocks: Iterable[StoredBlock]) -> None:
        self.origin = ""
        self.height = 0
        self.header = GENESIS_PREVIOUS
        self.frontier = Frontier()
        self.checkpoint = ""
        self.roots: dict[int, bytes] = {}
        self.whole_blocks: dict[int, int] = {}
        self.rules: tuple[int, Config] | None = None
        self._membership = Membership(())
        self._blocks = blocks
        self._sizes = frozenset[int]()
        self._stored = 0

    def walk(self, sizes: Iterable[int]) -> Iterator[JudgedBlock]:
        """As the protocol says."""
        self._sizes = frozenset(sizes)
        self._note_root(0)
        for stored in self._blocks:
            try:
                judged = self._judge(stored)
            except ProofError as error:
                raise BadBlock(self.height, str(error).removeprefix(f"block {self.height}: ")) from error
            except RecursionError:
                raise BadBlock(self.height, "nested too deeply") from None
            self.height += 1
            self.header, self.checkpoint = judged.digest, stored.checkpoint
            yield judged
        if not self.height:
            raise BadBlock(0, "missing, as is every other")

    @property
    def config_block(self) -> int:
        """The block whose configuration is in force."""
        return self._in_force()[0]

    def log_key(self) -> Verifier:
        """The key that signs heads now, under the origin's name."""
        return Verifier(self.origin, ED25519, self._in_force()[1].log_key)

    def _judge(self, stored: StoredBlock) -> JudgedBlock:
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
        configured, members = self._configured(block), self._members(block)
        package = self._in_force()[1].package
        leaves, transactions = self._transactions(block, members, package)
        first_hash, hashes = self._stored, self._extend([leaf_hash(leaf) for leaf in leaves])
        self._judge_head(stored.checkpoint)
        return JudgedBlock(number, block.header.digest, package, configured, transactions, first_hash, hashes)

    def _configured(self, block: Block) -> Configured | None:
        """Put a block's configuration in force, and say what it changed."""
        config = block.config
        if config is None:
            return None
        previous = self.rules[1] if self.rules else None
        judge_config(config, block.config_creator, block.config_signature, previous)
        self._membership = Membership(config.msps)
        self.rules = (block.header.number, config)
        self.origin = self.origin or origin_of(config.name, block.header.digest)
        return Configured(config.time, _changes(previous, config))

    def _members(self, block: Block) -> tuple[Member, ...]:
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

    def _transactions(
        self, block: Block, members: tuple[Member, ...], package: str
    ) -> tuple[list[bytes], tuple[JudgedTransaction, ...]]:
        """The block's leaves, and its transactions as any host's."""
        valid = len(block.valid)
        leaves = [block_leaf(block.header, block.config, valid, len(block.envelopes) - valid)]
        transactions = []
        for position, (envelope, member) in enumerate(zip(block.envelopes, members, strict=True)):
            recorded = _recorded(envelope)
            if recorded is None:
                problem = f"transaction {position} has reads, scans or writes out of their form"
                raise BadBlock(block.header.number, problem)
            call, leaf = _call(envelope, member), -1
            if envelope.verdict == "VALID":
                leaf = self.frontier.size + len(leaves)
                nonce = bytes.fromhex(envelope.proposal["nonce"])
                digest = sha256(envelope.encoded).hexdigest()
                leaves += transaction_leaves(
                    call.transaction_id, nonce, member, call.contract, package, digest, recorded.records
                )
            transactions.append(JudgedTransaction(call, envelope.verdict, recorded, leaf, position))
        return leaves, tuple(transactions)

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
        # A line that nobody here can judge would stand in the file as if somebody had confirmed it.
        if len(parse_note(note).signatures) != 1:
            raise BadBlock(self.height, "the signed head has more lines than the log's key made")


def _changes(previous: Config | None, config: Config) -> tuple[str, ...]:
    if previous is None:
        return ()
    same = {
        "members": previous.msps == config.msps,
        "contracts": previous.package == config.package,
        "the key of the heads": previous.log_key == config.log_key,
    }
    return tuple(what for what, is_same in same.items() if not is_same)


def _call(envelope: Envelope, member: Member) -> Call:
    proposal = envelope.proposal
    return Call(
        proposal["contract"],
        proposal["transaction"],
        canonical(proposal["request"]),
        Caller(member.msp_id, member.enrolment_id, member.roles),
        envelope.transaction_id,
        proposal["time"],
    )


def _recorded(envelope: Envelope) -> Simulation | None:
    """Reads, scans, writes, records and response of an envelope; None where one is out of its form."""
    content = envelope.content
    try:
        reads = {key: _version(rest) for key, *rest in content["reads"]}
        scans = tuple(_scan(*scan) for scan in content["scans"])
        writes = {key: None if text is None else text.encode() for key, text in content["writes"]}
        if len(reads) != len(content["reads"]) or len(writes) != len(content["writes"]):
            raise ValueError
        if not all(type(key) is str for key in [*reads, *writes]):
            raise ValueError
    except (TypeError, ValueError, AttributeError):
        return None
    return Simulation(reads, scans, writes, envelope.records, content["response"].encode())


def _scan(start: Any, end: Any, limit: Any, digest: Any) -> Scan:
    if [type(part) for part in (start, end, limit, digest)] != [str, str, int, str]:
        raise ValueError
    if not start < end or not 1 <= limit <= host_limits.MAX_SCAN:
        raise ValueError
    return Scan(start, end, limit, digest)


def _version(rest: list[Any]) -> Version | None:
    if not rest:
        return None
    block, position = rest
    if type(block) is not int or type(position) is not int:
        raise ValueError
    return block, position
