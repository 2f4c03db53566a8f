"""Transactions before they are sent: proposals, and what is signed of what the endorsers gave back."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from fabric_protos.common import common_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2
from google.protobuf.message import DecodeError

from tallystick.ledger.fabric.errors import EndorseError
from tallystick.ledger.fabric.identity import Signer

_NONCE_BYTES: Final = 24


@dataclass(frozen=True, slots=True)
class Proposal:
    """A signed proposal. ``raw`` is a protos.Proposal; its header names creator, nonce and claimed time."""

    transaction_id: str
    channel: str
    raw: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def signed(self) -> proposal_pb2.SignedProposal:
        """As it travels."""
        return proposal_pb2.SignedProposal(proposal_bytes=self.raw, signature=self.signature)


@dataclass(frozen=True, slots=True)
class Endorsed:
    """A transaction that is endorsed and signed; may be sent any number of times, and counts once.

    ``envelope`` is a common.Envelope, ``payload`` what the chaincode answers if it is committed.
    """

    transaction_id: str
    channel: str
    envelope: bytes = field(repr=False)
    payload: bytes = field(repr=False)


def propose(
    signer: Signer,
    channel: str,
    chaincode: str,
    arguments: Sequence[bytes],
    *,
    time_ms: int,
    nonce: bytes | None = None,
) -> Proposal:
    """A proposal to run ``chaincode`` with ``arguments`` (the first is the transaction's name).

    ``time_ms`` is the time that the client claims, in milliseconds since 1970; peers refuse one that is
    further from their own clock than they allow. ``nonce`` is for tests: a transaction's id is SHA-256
    over nonce and creator, so that a nonce used twice is a transaction sent twice.
    """
    nonce = nonce or os.urandom(_NONCE_BYTES)
    creator = signer.serialised
    transaction_id = hashlib.sha256(nonce + creator).hexdigest()
    name = chaincode_pb2.ChaincodeID(name=chaincode)
    extension = proposal_pb2.ChaincodeHeaderExtension(chaincode_id=name)
    channel_header = common_pb2.ChannelHeader(
        type=common_pb2.ENDORSER_TRANSACTION,
        channel_id=channel,
        tx_id=transaction_id,
        extension=extension.SerializeToString(),
    )
    channel_header.timestamp.FromMilliseconds(time_ms)
    signature_header = common_pb2.SignatureHeader(creator=creator, nonce=nonce)
    header = common_pb2.Header(
        channel_header=channel_header.SerializeToString(),
        signature_header=signature_header.SerializeToString(),
    )
    specification = chaincode_pb2.ChaincodeInvocationSpec(
        chaincode_spec=chaincode_pb2.ChaincodeSpec(
            chaincode_id=name, input=chaincode_pb2.ChaincodeInput(args=arguments)
        )
    )
    payload = proposal_pb2.ChaincodeProposalPayload(input=specification.SerializeToString())
    raw = proposal_pb2.Proposal(
        header=header.SerializeToString(), payload=payload.SerializeToString()
    ).SerializeToString()
    return Proposal(transaction_id, channel, raw, signer.sign(raw))


def sign_endorsed(signer: Signer, proposal: Proposal, payload: bytes, *, peer: str) -> Endorsed:
    """Sign the transaction that ``peer`` prepared: ``payload``, a common.Payload.

    Raises `EndorseError` where it is not what was proposed: a peer must not get another transaction
    signed than the one that was asked for.
    """
    try:
        asked = proposal_pb2.Proposal.FromString(proposal.raw)
        prepared = common_pb2.Payload.FromString(payload)
        (action,) = transaction_pb2.Transaction.FromString(prepared.data).actions
        endorsed = transaction_pb2.ChaincodeActionPayload.FromString(action.payload)
        same = prepared.header == common_pb2.Header.FromString(
            asked.header
        ) and proposal_pb2.ChaincodeProposalPayload.FromString(
            endorsed.chaincode_proposal_payload
        ) == proposal_pb2.ChaincodeProposalPayload.FromString(asked.payload)
        result = proposal_response_pb2.ProposalResponsePayload.FromString(
            endorsed.action.proposal_response_payload
        )
        answer = proposal_pb2.ChaincodeAction.FromString(result.extension).response.payload
    except (DecodeError, ValueError):
        same = False
    if not same:
        raise EndorseError(
            "the peer prepared another transaction than was proposed",
            transaction_id=proposal.transaction_id,
            peer=peer,
            hint="Nothing was signed. Find out who runs that peer, and which software.",
        )
    envelope = common_pb2.Envelope(payload=payload, signature=signer.sign(payload)).SerializeToString()
    return Endorsed(proposal.transaction_id, proposal.channel, envelope, answer)
