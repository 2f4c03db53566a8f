"""A Fabric channel's chain as a stranger reads it, in the terms of every host.

Who may write what, and which transactions count, is judged by `tallystick.proof.fabric`; that the
contracts do give what their endorsers signed is judged by running them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from chaincode.context import Caller
from chaincode.parties import CHARTER_KEY
from tallystick.evidence.judged import BadBlock, Configured, JudgedBlock, JudgedTransaction
from tallystick.execution.simulate import Call, Simulation
from tallystick.proof.errors import ProofError
from tallystick.proof.fabric import judged as fabric
from tallystick.proof.fabric.channel import Channel
from tallystick.proof.fabric.endorsements import Definition
from tallystick.proof.merkle import HASH_SIZE, Frontier, stored_index

#: What the chaincode's host reads for itself before a contract runs (chaincode/fabric/host.py).
_HOST_READS: Final = (CHARTER_KEY,)


class ChannelChain:
    """`tallystick.evidence.judged.HostChain` over the blocks of a channel."""

    signers: Final = "the orderers and its endorsers"
    derived_here: Final = True

    def __init__(self, blocks: Iterable[bytes], origin: str, chaincode: str, checkpoint: str) -> None:
        """``origin`` is what the log is said to be called; its digits are judged, and its name is the
        charter's. ``checkpoint`` is the member's own signed head."""
        name, _, genesis = origin.rpartition("/")
        self.checkpoint = checkpoint
        self.frontier = Frontier()
        self.roots: dict[int, bytes] = {}
        self.whole_blocks: dict[int, int] = {}
        self._genesis = genesis
        self._blocks = blocks
        self._channel = Channel(name, chaincode)
        self._sizes = frozenset[int]()

    @property
    def origin(self) -> str:
        """The log's name; empty before the first block."""
        return self._channel.origin

    @property
    def height(self) -> int:
        """How many blocks were judged."""
        return self._channel.height

    @property
    def header(self) -> str:
        """The hash of the last one, in hex."""
        return self._channel.digest

    @property
    def config_block(self) -> int:
        """The block whose configuration is in force."""
        return self._channel.config_block

    def walk(self, sizes: Iterable[int]) -> Iterator[JudgedBlock]:
        """As the protocol says."""
        self._sizes = frozenset(sizes)
        self._note_root(0)
        for raw in self._blocks:
            number = self._channel.height
            try:
                before = self._channel.definition
                judged = self._channel.judge(raw)
            except ProofError as error:
                raise BadBlock(number, str(error)) from error
            except RecursionError:
                raise BadBlock(number, "nested too deeply") from None
            if not number and judged.digest[:16] != self._genesis:
                raise BadBlock(0, "is not the first block of this log")
            self._grow(judged)
            yield _of_every_host(judged, before, self._channel.definition)
        if not self._channel.height:
            raise BadBlock(0, "missing, as is every other")

    def _grow(self, judged: fabric.JudgedBlock) -> None:
        """Add the block's leaves one by one, noting the roots that are asked for."""
        end = self._channel.frontier.size
        while self.frontier.size < end:
            at = (stored_index(0, self.frontier.size) - judged.first_hash) * HASH_SIZE
            self.frontier.append(judged.hashes[at : at + HASH_SIZE])
            self._note_root(judged.number + (self.frontier.size == end))

    def _note_root(self, whole_blocks: int) -> None:
        size = self.frontier.size
        if size in self._sizes:
            self.roots[size], self.whole_blocks[size] = self.frontier.root(), whole_blocks


def _of_every_host(
    judged: fabric.JudgedBlock, before: Definition | None, after: Definition | None
) -> JudgedBlock:
    """A block in every host's terms; with the contracts' definitions before it and after it."""
    new = judged.configured
    configured = Configured(new.time, new.changed) if new else None
    call = judged.defined_by
    if call and before and after and after != before:
        same = {
            "contracts": after.version == before.version,
            "contracts' policy": after.terms == before.terms,
        }
        changed = tuple(what for what, is_same in same.items() if not is_same)
        configured = Configured(call.claimed_time, changed)
    transactions = tuple(_transaction(each) for each in judged.transactions if each.verdict == "VALID")
    return JudgedBlock(
        judged.number,
        judged.digest,
        judged.package,
        configured,
        tuple(each for each in transactions if each),
        judged.first_hash,
        judged.hashes,
    )


def _transaction(judged: fabric.JudgedTransaction) -> JudgedTransaction | None:
    """A transaction of our contracts that counts; the others are judged wholly by now."""
    call, outcome = judged.call, judged.outcome
    if not judged.ours or call is None or outcome is None:
        return None
    return JudgedTransaction(
        Call(
            call.contract,
            call.transaction,
            call.request,
            Caller(call.caller.msp_id, call.caller.enrolment_id, call.caller.roles),
            call.transaction_id,
            call.claimed_time,
        ),
        judged.verdict,
        Simulation(
            dict(outcome.reads),
            (),
            dict(outcome.writes),
            outcome.records,
            outcome.response,
        ),
        judged.leaf,
        judged.position,
        _HOST_READS,
    )
