"""A channel's chain judged block by block, from bytes and, at best, the digest of the genesis block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tallystick.proof.block import origin_of
from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.fabric import updates
from tallystick.proof.fabric.blocks import CONFIG, Block, Payload, parse_block, parse_envelope, parse_payload
from tallystick.proof.fabric.configuration import Configuration
from tallystick.proof.fabric.endorsements import Definition, Invalid, definition_of, judge_creator
from tallystick.proof.fabric.judged import Configured, JudgedBlock, JudgedTransaction, judge_content
from tallystick.proof.fabric.leaves import leaves_of
from tallystick.proof.fabric.signatures import judge_signatures
from tallystick.proof.fabric.state import State
from tallystick.proof.fabric.validity import Found, judge_flags, judge_transactions
from tallystick.proof.merkle import HASH_SIZE, Frontier, leaf_hash, stored_count

CHAINCODE: Final = "tallystick"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a walk stands: what `Channel` needs beside its state to go on from there another time."""

    height: int
    digest: str
    origin: str
    config_block: int
    configuration: bytes
    channel: str
    frontier: bytes


class Channel:
    """Walks a channel's blocks once, from block 0 or on from a position. After an error it is of no more use.

    ``height`` is how many blocks it has judged, ``digest`` the last one's hash in hex, ``frontier`` the
    log over them, ``origin`` the log's name.
    """

    def __init__(
        self, name: str, chaincode: str = CHAINCODE, genesis: str | None = None, state: State | None = None
    ) -> None:
        """``name`` is the log's; ``genesis`` is the digest of block 0 in hex, where the caller knows it."""
        self.origin = ""
        self.height = 0
        self.digest = ""
        self.frontier = Frontier()
        self.config_block = 0
        self._name = name
        self._chaincode = chaincode
        self._genesis = genesis
        self._state = state or State()
        self._rules: Configuration | None = None
        self._stored = 0

    @classmethod
    def resume(cls, name: str, chaincode: str, position: Position, state: State) -> Channel:
        """The walk that stood at ``position`` with ``state``. Raises `Malformed` for one that is none."""
        channel = cls(name, chaincode, state=state)
        channel.origin, channel.height, channel.digest = position.origin, position.height, position.digest
        channel.frontier = Frontier.from_bytes(position.frontier)
        channel.config_block = position.config_block
        channel._rules = Configuration(position.configuration, position.channel)
        channel._stored = stored_count(channel.frontier.size)
        return channel

    @property
    def position(self) -> Position:
        """Where the walk stands. Raises `Malformed` before block 0."""
        return Position(
            self.height,
            self.digest,
            self.origin,
            self.config_block,
            self.rules.encoded,
            self.rules.channel,
            self.frontier.to_bytes(),
        )

    @property
    def package(self) -> str:
        """The package of the contracts in force for the next block, empty before there is one."""
        definition = self.definition
        return definition.version if definition else ""

    @property
    def definition(self) -> Definition | None:
        """The contracts' definition in force for the next block; None before there is one."""
        return definition_of(self._chaincode, self._state)

    @property
    def rules(self) -> Configuration:
        """The configuration in force. Raises `Malformed` before block 0."""
        if self._rules is None:
            raise Malformed("no block has been judged")
        return self._rules

    def judge(self, data: bytes) -> JudgedBlock:
        """Judge the next block, as a peer hands it out. Raises `Malformed` or `NotProven`, saying why."""
        block = parse_block(data)
        header = block.header
        if header.number != self.height:
            raise NotProven(f"is block {header.number} and stands where {self.height} should")
        if header.previous.hex() != self.digest:
            raise NotProven("does not follow the block before it")
        payload = self._config_payload(block)
        if header.number == 0:
            signers = 0
            configured: Configured | None = self._begin(block, payload)
        else:
            last = header.number if payload else self.config_block
            signers = judge_signatures(header, block.signatures, self.rules, last)
            configured = self._follow(block, payload) if payload else None
        package = self.package
        found = [] if configured else self._found(block)
        transactions = self._transactions(found, package)
        leaves = leaves_of(header, self._rules if configured else None, found, transactions)
        first_hash, hashes = self._stored, self.frontier.extend([leaf_hash(leaf) for leaf in leaves])
        self._stored += len(hashes) // HASH_SIZE
        self.height, self.digest = header.number + 1, header.digest
        return JudgedBlock(
            header.number, header.digest, package, configured, signers, transactions, first_hash, hashes
        )

    def _config_payload(self, block: Block) -> Payload | None:
        """The payload of a block that is a configuration and nothing else."""
        if len(block.envelopes) > 1:
            return None
        try:
            payload = parse_payload(parse_envelope(block.envelopes[0]).payload)
        except Malformed:
            return None
        return payload if payload.kind == CONFIG else None

    def _begin(self, block: Block, payload: Payload | None) -> Configured:
        digest = block.header.digest
        if self._genesis not in (None, digest):
            raise NotProven("is not the genesis block that was asked for")
        if payload is None:
            raise Malformed("block 0 holds no configuration")
        self._rules = updates.first(payload.data, payload.channel)
        self.origin = origin_of(self._name, digest)
        self._state.add_id(payload.transaction_id or payload.computed_id)
        return Configured(self._rules.sequence, self._rules.digest, payload.time, (), None)

    def _follow(self, block: Block, payload: Payload) -> Configured:
        now, envelope = self.rules, parse_envelope(block.envelopes[0])
        if payload.channel != now.channel:
            raise NotProven("the configuration is of another channel")
        try:
            judge_creator(envelope, payload, now)
        except Invalid as invalid:
            raise NotProven(f"the configuration's envelope does not count: {invalid.code}") from None
        author = updates.author(payload.data, now)
        self._rules = updates.following(payload.data, now)
        self.config_block = block.header.number
        self._state.add_id(payload.transaction_id or payload.computed_id)
        judge_flags([Found("VALID", block.envelopes[0])], block.flags)
        return Configured(
            self._rules.sequence,
            self._rules.digest,
            payload.time,
            updates.changes(now, self._rules),
            author,
        )

    def _found(self, block: Block) -> list[Found]:
        found = judge_transactions(block, self.rules, self._state)
        judge_flags(found, block.flags)
        return found

    def _transactions(self, found: list[Found], package: str) -> tuple[JudgedTransaction, ...]:
        judged: list[JudgedTransaction] = []
        leaf = self.frontier.size + 1
        for position, each in enumerate(found):
            try:
                judged.append(judge_content(each, position, self._chaincode, package, leaf))
            except (Malformed, NotProven) as error:
                kind = Malformed if isinstance(error, Malformed) else NotProven
                raise kind(f"transaction {position}: {error}") from error
            if judged[-1].verdict == "VALID" and (outcome := judged[-1].outcome):
                leaf += 1 + len(outcome.records)
        return tuple(judged)
