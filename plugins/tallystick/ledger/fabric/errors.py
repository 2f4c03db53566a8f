"""What can go wrong between a client and a Fabric network, by the stage at which it did.

GatewayError
├── ConfigurationError   what the client was given (a profile, keys, a checkpoint) cannot be used
├── EvaluateError        no peer answered a query, or its chaincode refused it
├── EndorseError         the proposal was not endorsed: nothing was sent to the orderers
├── SubmitError          the orderers did not take the transaction
├── CommitStatusError    the transaction was sent, and what became of it could not be learnt
├── CommitError          the transaction is in a block and does not count
├── EventsError          chaincode events could not be read
└── DeliverError         blocks could not be read

Each says through which peer, for which transaction, with which gRPC code, what each peer gave as its
reason, and what to do. Whether a transaction may be recorded all the same says `outcome_unknown`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

#: How a peer's gateway words the refusal of a chaincode: its status and its message.
_CHAINCODE: Final = re.compile(r"chaincode response (\d{3}), (.*)", re.DOTALL)
_MISMATCH: Final = "ProposalResponsePayloads do not match"
#: Said once the first endorser has agreed.
_SOME: Final = "failed to collect enough transaction endorsements"
_CONFLICTS: Final = ("MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT")


@dataclass(frozen=True, slots=True)
class Reason:
    """What one node gave as its reason: its address and MSP as the gateway knows them."""

    address: str
    msp_id: str
    message: str

    def __str__(self) -> str:
        member = f" ({self.msp_id})" if self.msp_id else ""
        return f"{self.address}{member}: {self.message}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A chaincode's own answer: its status (400 and above, as HTTP has it) and its message."""

    status: int
    message: str


class GatewayError(Exception):
    """The root. ``code`` is the name of the gRPC status code, empty where no call was made."""

    stage: ClassVar[str] = "using the gateway"

    def __init__(
        self,
        message: str,
        *,
        transaction_id: str = "",
        peer: str = "",
        code: str = "",
        reasons: Iterable[Reason] = (),
        hint: str = "",
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.transaction_id = transaction_id
        self.peer = peer
        self.code = code
        self.reasons = tuple(reasons)
        self.hint = hint
        self.outcome_unknown = outcome_unknown

    def __str__(self) -> str:
        where = f" through {self.peer}" if self.peer else ""
        what = f" transaction {self.transaction_id}" if self.transaction_id else ""
        code = f"{self.code}: " if self.code else ""
        lines = [f"{self.stage}{what}{where} failed: {code}{self.message}"]
        lines += [f"  {reason}" for reason in self.reasons if reason.message != self.message]
        return "\n".join([*lines, self.hint] if self.hint else lines)

    @property
    def refusal(self) -> Refusal | None:
        """What the chaincode answered, where it is the chaincode that refused."""
        for text in (*(reason.message for reason in self.reasons), self.message):
            if found := _CHAINCODE.search(text):
                return Refusal(int(found[1]), found[2])
        return None

    @property
    def conflict(self) -> bool:
        """Whether another transaction came in between: a new proposal may well be committed."""
        return False


class ConfigurationError(GatewayError):
    """What the client was given cannot be used as it is."""

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class EvaluateError(GatewayError):
    """A query has no answer."""

    stage = "evaluating"


class EndorseError(GatewayError):
    """The proposal was not endorsed: nothing was sent to the orderers."""

    stage = "endorsing"

    @property
    def conflict(self) -> bool:
        """Whether the endorsers differ, as they do while one of them is a block behind.

        Then their results do not match, or one refuses what the gateway's own peer has endorsed.
        """
        differ = any(_MISMATCH in reason.message for reason in self.reasons)
        return differ or (_SOME in self.message and self.refusal is not None)


class SubmitError(GatewayError):
    """The orderers did not take the transaction; an earlier attempt may have reached them."""

    stage = "submitting"


class CommitStatusError(GatewayError):
    """The transaction was sent; whether it counts could not be learnt. Ask again by its id."""

    stage = "waiting for the commit of"


class CommitError(GatewayError):
    """The transaction is in block ``block`` and does not count, for the reason ``validation_code``."""

    stage = "committing"

    def __init__(self, validation_code: str, block: int, *, transaction_id: str, hint: str = "") -> None:
        super().__init__(f"{validation_code} in block {block}", transaction_id=transaction_id, hint=hint)
        self.validation_code = validation_code
        self.block = block

    @property
    def conflict(self) -> bool:
        """Whether it read what another transaction has changed since."""
        return self.validation_code in _CONFLICTS


class EventsError(GatewayError):
    """Chaincode events could not be read."""

    stage = "reading events"


class DeliverError(GatewayError):
    """Blocks could not be read."""

    stage = "reading blocks"
