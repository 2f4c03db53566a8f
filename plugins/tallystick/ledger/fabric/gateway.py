"""Transactions through the peers' Gateway service: evaluated, or endorsed, submitted and committed.

Every call has a deadline. What is sent to the orderers may be lost on the way, and the wait for a
commit has no end of its own: then the same envelope is sent again. It counts once, whatever arrives.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import transaction_pb2

from tallystick.ledger.fabric.connection import Connections
from tallystick.ledger.fabric.errors import (
    CommitError,
    CommitStatusError,
    EndorseError,
    EvaluateError,
    GatewayError,
    SubmitError,
)
from tallystick.ledger.fabric.failures import chaincode_gone, passing
from tallystick.ledger.fabric.identity import Signer
from tallystick.ledger.fabric.proposal import Endorsed, Proposal, propose, sign_endorsed

_VALID: Final = "VALID"
_DUPLICATE: Final = "DUPLICATE_TXID"
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
#: Endorsers that differ this often are not just a block apart.
_MISMATCHES: Final = 7
#: With these a submission was refused; with any other it may have reached the orderers all the same.
_REFUSED: Final = (
    "ABORTED",
    "FAILED_PRECONDITION",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "UNIMPLEMENTED",
)
_CHANCE: Final = random.SystemRandom()
_HINTS: Final = {
    "MVCC_READ_CONFLICT": "Other transactions keep changing what this one reads: send fewer at once.",
    "PHANTOM_READ_CONFLICT": "Other transactions keep changing what this one scans: try later.",
    "ENDORSEMENT_POLICY_FAILURE": "The organisations that endorsed are not those that the channel asks for.",
}


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. ``status`` is one wait for a commit, after which the envelope is sent again; ``commit``
    is all of it; ``conflicts`` is how long a transaction that meets others is proposed anew."""

    evaluate: float = 10.0
    endorse: float = 15.0
    submit: float = 10.0
    status: float = 10.0
    commit: float = 60.0
    conflicts: float = 30.0


@dataclass(frozen=True, slots=True)
class Committed:
    """A transaction that counts: its block, and what the chaincode answered."""

    transaction_id: str
    block: int
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A channel as ``signer`` sees it. Cheap: several may share ``connections``; safe for threads."""

    connections: Connections
    channel: str
    signer: Signer
    deadlines: Deadlines = Deadlines()

    def propose(self, chaincode: str, arguments: Sequence[bytes], *, time_ms: int) -> Proposal:
        """A proposal of the signer's on this channel (`proposal.propose`)."""
        return propose(self.signer, self.channel, chaincode, arguments, time_ms=time_ms)

    def evaluate(self, proposal: Proposal) -> bytes:
        """What the chaincode answers on one peer; nothing is written. Raises `EvaluateError`.

        That peer may be a block behind the one that told of a commit.
        """
        request = gateway_pb2.EvaluateRequest(
            transaction_id=proposal.transaction_id,
            channel_id=self.channel,
            proposed_transaction=proposal.signed(),
        )
        answer, _ = self.connections.call(
            "Evaluate",
            request,
            EvaluateError,
            seconds=self.deadlines.evaluate,
            transaction_id=proposal.transaction_id,
        )
        return bytes(answer.result.payload)

    def endorse(self, proposal: Proposal, *, organisations: Sequence[str] = ()) -> Endorsed:
        """Have the proposal endorsed and sign what came of it. Raises `EndorseError`."""
        request = gateway_pb2.EndorseRequest(
            transaction_id=proposal.transaction_id,
            channel_id=self.channel,
            proposed_transaction=proposal.signed(),
            endorsing_organizations=organisations,
        )
        answer, peer = self.connections.call(
            "Endorse",
            request,
            EndorseError,
            seconds=self.deadlines.endorse,
            transaction_id=proposal.transaction_id,
            elsewhere=lambda failure: passing(failure) or chaincode_gone(failure),
        )
        return sign_endorsed(self.signer, proposal, answer.prepared_transaction.payload, peer=peer)

    def send(self, endorsed: Endorsed, *, seconds: float | None = None) -> None:
        """Hand the transaction to the orderers, once. Raises `SubmitError`.

        That they took it does not mean that it counts, nor that it is not lost: `commit` does.
        """
        request = gateway_pb2.SubmitRequest(
            transaction_id=endorsed.transaction_id,
            channel_id=self.channel,
            prepared_transaction=common_pb2.Envelope.FromString(endorsed.envelope),
        )
        try:
            self.connections.call(
                "Submit",
                request,
                SubmitError,
                seconds=self.deadlines.submit if seconds is None else seconds,
                transaction_id=endorsed.transaction_id,
            )
        except SubmitError as error:
            error.outcome_unknown = error.code not in _REFUSED
            raise

    def block_of(self, transaction_id: str, *, seconds: float | None = None) -> int:
        """The number of the block in which the transaction counts; waits for it.

        Raises `CommitError` where it does not count, `CommitStatusError` where that is not known in time.
        """
        seconds = self.deadlines.status if seconds is None else seconds
        code, block = self._status(transaction_id, seconds)
        if code == _DUPLICATE:
            # An envelope that arrived twice: asked once more, the peer tells of the first.
            code, block = self._status(transaction_id, seconds)
        if code != _VALID:
            raise CommitError(code, block, transaction_id=transaction_id, hint=_HINTS.get(code, ""))
        return block

    def commit(self, endorsed: Endorsed) -> Committed:
        """Send the transaction until it is known what became of it.

        Raises `SubmitError`, `CommitStatusError` (both say whether it may count all the same) and
        `CommitError`.
        """
        ends = time.monotonic() + self.deadlines.commit
        pause, sent = _FIRST_PAUSE, False
        told: GatewayError | None = None
        while True:
            began = time.monotonic()
            failure: GatewayError | None = None
            wait = self.deadlines.status
            try:
                self.send(endorsed, seconds=min(self.deadlines.submit, ends - began))
            except SubmitError as error:
                if not (passing(error) or error.code == "DEADLINE_EXCEEDED"):
                    error.outcome_unknown |= sent
                    raise
                # It may have gone through all the same: the pause before the next attempt is spent asking.
                failure, wait = error, pause
            sent = True
            try:
                left = max(min(wait, ends - time.monotonic()), 0.001)
                block = self.block_of(endorsed.transaction_id, seconds=left)
                return Committed(endorsed.transaction_id, block, endorsed.payload)
            except CommitStatusError as error:
                # A peer that is being stopped says ABORTED.
                if not (passing(error) or error.code in ("DEADLINE_EXCEEDED", "ABORTED", "CANCELLED")):
                    raise
                failure = failure or error
            # The last of the failures that say whose they were: a last attempt often has no time to be told.
            told = failure if failure.reasons or told is None else told
            if time.monotonic() + pause >= ends:
                told.outcome_unknown = True
                raise told
            time.sleep(max(0.0, began + pause - time.monotonic()))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def submit(self, new: Callable[[], Proposal], *, organisations: Sequence[str] = ()) -> Committed:
        """Propose, endorse and commit; with a new proposal where another transaction came in between.

        ``new`` is called for each attempt. Raises `EndorseError` and whatever `commit` raises.
        """
        ends = time.monotonic() + self.deadlines.conflicts
        pause, mismatches = _FIRST_PAUSE, 0
        while True:
            try:
                return self.commit(self.endorse(new(), organisations=organisations))
            except (EndorseError, CommitError) as error:
                mismatches += isinstance(error, EndorseError)
                if not error.conflict or mismatches >= _MISMATCHES or time.monotonic() + pause > ends:
                    raise
            # By chance, so that those who met once do not meet again.
            time.sleep(_CHANCE.uniform(0, pause))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _status(self, transaction_id: str, seconds: float) -> tuple[str, int]:
        request = gateway_pb2.CommitStatusRequest(
            transaction_id=transaction_id, channel_id=self.channel, identity=self.signer.serialised
        ).SerializeToString()
        signed = gateway_pb2.SignedCommitStatusRequest(request=request, signature=self.signer.sign(request))
        try:
            answer, _ = self.connections.call(
                "CommitStatus", signed, CommitStatusError, seconds=seconds, transaction_id=transaction_id
            )
        except CommitStatusError as error:
            error.outcome_unknown = True
            raise
        codes = transaction_pb2.TxValidationCode
        known = answer.result in codes.values()
        return codes.Name(answer.result) if known else f"code {answer.result}", answer.block_number
