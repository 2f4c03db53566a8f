"""A client of a live network that can also lie: it holds the peers' keys beside its own.

Honest transactions are endorsed by the peers. Others are signed here with the peers' keys, as organisations
would that run their own programs.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.orderer import ab_pb2_grpc
from fabric_protos.peer import (
    chaincode_event_pb2,
    chaincode_pb2,
    peer_pb2_grpc,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from google.protobuf import timestamp_pb2
from support.fabric_network import Live

from chaincode import canonical
from tallystick.network.layout import CHAINCODE, HOST, ORDERER_MSP
from tallystick.proof.membership import P256_ORDER

BOTH = ("operator", "regulator")


def transaction_of(envelope: Any) -> str:
    """The id of an envelope's transaction."""
    header = common_pb2.Payload.FromString(envelope.payload).header
    return str(common_pb2.ChannelHeader.FromString(header.channel_header).tx_id)


class Signer:
    """A key with its identity, from an MSP directory."""

    def __init__(self, msp_id: str, directory: Path) -> None:
        (pem,) = (directory / "keystore").iterdir()
        self.key: Any = serialization.load_pem_private_key(pem.read_bytes(), None)
        (certificate,) = (directory / "signcerts").iterdir()
        self.certificate = x509.load_pem_x509_certificate(certificate.read_bytes())
        self.identity = identities_pb2.SerializedIdentity(
            mspid=msp_id, id_bytes=certificate.read_bytes()
        ).SerializeToString()

    def sign(self, data: bytes, low: bool = True) -> bytes:
        r, s = utils.decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        return utils.encode_dss_signature(r, min(s, P256_ORDER - s) if low else max(s, P256_ORDER - s))


class Forger:
    """One user of a live network, who may also hold the peers' keys."""

    def __init__(self, live: Live, organisation: str = "operator", user: str = "pipeline") -> None:
        self.live = live
        msp_id = live.peer(organisation).organisation.msp_id
        self.tls = live.layout.user(msp_id, user) / "tls"
        self.signer = Signer(msp_id, live.layout.user(msp_id, user))
        self.peers = {
            peer.organisation.name: Signer(peer.organisation.msp_id, live.layout.node(peer.name) / "msp")
            for peer in live.layout.peers
        }

    def header(self, kind: int, extension: bytes = b"", transaction_id: str = "") -> Any:
        """A header with a fresh nonce, its transaction's id the right one unless another is given."""
        nonce = os.urandom(24)
        now = timestamp_pb2.Timestamp()
        now.GetCurrentTime()
        channel = common_pb2.ChannelHeader(
            type=kind,
            timestamp=now,
            channel_id=self.live.layout.channel,
            tx_id=transaction_id or hashlib.sha256(nonce + self.signer.identity).hexdigest(),
            extension=extension,
        )
        signature = common_pb2.SignatureHeader(creator=self.signer.identity, nonce=nonce)
        return common_pb2.Header(
            channel_header=channel.SerializeToString(), signature_header=signature.SerializeToString()
        )

    def propose(self, name: str, request: Any, chaincode: str = CHAINCODE, transaction_id: str = "") -> Any:
        called = chaincode_pb2.ChaincodeID(name=chaincode)
        extension = proposal_pb2.ChaincodeHeaderExtension(chaincode_id=called).SerializeToString()
        header = self.header(common_pb2.ENDORSER_TRANSACTION, extension, transaction_id)
        call = chaincode_pb2.ChaincodeInput(args=[name.encode(), canonical.encode(request)])
        specification = chaincode_pb2.ChaincodeInvocationSpec(
            chaincode_spec=chaincode_pb2.ChaincodeSpec(chaincode_id=called, input=call)
        )
        payload = proposal_pb2.ChaincodeProposalPayload(input=specification.SerializeToString())
        return proposal_pb2.Proposal(header=header.SerializeToString(), payload=payload.SerializeToString())

    def endorsed(self, name: str, request: Any, by: tuple[str, ...] = BOTH) -> Any:
        """The peers' own answers, as an envelope."""
        proposal = self.propose(name, request)
        answers = self.answers(proposal, by)
        assert all(answer.response.status == 200 for answer in answers), answers[0].response
        return self._envelope(proposal, answers[0].payload, [answer.endorsement for answer in answers])

    def answers(self, proposal: Any, by: tuple[str, ...]) -> list[Any]:
        """What each peer says to a proposal."""
        data = proposal.SerializeToString()
        signed = proposal_pb2.SignedProposal(proposal_bytes=data, signature=self.signer.sign(data))
        answers = []
        for organisation in by:
            peer = self.live.peer(organisation)
            with self._connected(peer.port, peer.organisation.msp_id) as channel:
                answers.append(peer_pb2_grpc.EndorserStub(channel).ProcessProposal(signed, timeout=20))
        return answers

    def forged(
        self,
        sets: dict[str, Any],
        *,
        version: str,
        name: str = "charter:adopt",
        by: tuple[str, ...] = BOTH,
        event: tuple[str, bytes] | None = None,
        foreign_event: bool = False,
        chaincode: str = CHAINCODE,
        status: int = 200,
        low: bool = True,
        asked: bytes | None = None,
        transaction_id: str = "",
    ) -> Any:
        """What organisations with altered programs would answer, as an envelope."""
        proposal = self.propose(name, {}, chaincode, transaction_id)
        header = common_pb2.Header.FromString(proposal.header)
        hashed = hashlib.sha256(header.channel_header + header.signature_header + proposal.payload).digest()
        told = b""
        if event:
            teller = "another" if foreign_event else chaincode
            told = chaincode_event_pb2.ChaincodeEvent(
                chaincode_id=teller,
                tx_id=common_pb2.ChannelHeader.FromString(header.channel_header).tx_id,
                event_name=event[0],
                payload=event[1],
            ).SerializeToString()
        results = rwset_pb2.TxReadWriteSet(ns_rwset=[_named(*each) for each in sets.items()])
        action = proposal_pb2.ChaincodeAction(
            results=results.SerializeToString(),
            events=told,
            response=proposal_response_pb2.Response(status=status, payload=b"{}"),
            chaincode_id=chaincode_pb2.ChaincodeID(name=chaincode, version=version),
        )
        response = proposal_response_pb2.ProposalResponsePayload(
            proposal_hash=asked or hashed, extension=action.SerializeToString()
        ).SerializeToString()
        signers = [self.peers[each] for each in by]
        endorsements = [
            proposal_response_pb2.Endorsement(
                endorser=signer.identity, signature=signer.sign(response + signer.identity, low)
            )
            for signer in signers
        ]
        return self._envelope(proposal, response, endorsements)

    def edited(self, envelope: Any, old: bytes, new: bytes) -> Any:
        """The envelope with other bytes in what was endorsed, and in nothing else but its own signature."""
        payload = common_pb2.Payload.FromString(envelope.payload)
        transaction = transaction_pb2.Transaction.FromString(payload.data)
        action = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)
        endorsed = action.action.proposal_response_payload
        assert old in endorsed
        action.action.proposal_response_payload = endorsed.replace(old, new)
        transaction.actions[0].payload = action.SerializeToString()
        payload.data = transaction.SerializeToString()
        return self.signed(payload)

    def signed(self, payload: Any) -> Any:
        """A payload as an envelope of its creator's."""
        data = payload.SerializeToString()
        return common_pb2.Envelope(payload=data, signature=self.signer.sign(data))

    def send(self, *envelopes: Any) -> None:
        """Have them ordered."""
        for status, told in self.offer(*envelopes):
            assert status == "SUCCESS", f"{status}: {told}"

    def offer(self, *envelopes: Any) -> list[tuple[str, str]]:
        """What the orderer says to each: a status and a reason."""
        orderer = self.live.layout.orderers[0]
        with self._connected(orderer.port, ORDERER_MSP) as channel:
            answers = ab_pb2_grpc.AtomicBroadcastStub(channel).Broadcast(iter(envelopes), timeout=20)
            return [(common_pb2.Status.Name(answer.status), answer.info) for answer in answers]

    def _envelope(self, proposal: Any, response: bytes, endorsements: list[Any]) -> Any:
        header = common_pb2.Header.FromString(proposal.header)
        action = transaction_pb2.ChaincodeActionPayload(
            chaincode_proposal_payload=proposal.payload,
            action=transaction_pb2.ChaincodeEndorsedAction(
                proposal_response_payload=response, endorsements=endorsements
            ),
        )
        only = transaction_pb2.TransactionAction(
            header=header.signature_header, payload=action.SerializeToString()
        )
        transaction = transaction_pb2.Transaction(actions=[only])
        return self.signed(common_pb2.Payload(header=header, data=transaction.SerializeToString()))

    def _connected(self, port: int, msp_id: str) -> Any:
        root = self.live.layout.tls_root(msp_id).read_bytes()
        key, certificate = (self.tls / "key.pem").read_bytes(), (self.tls / "cert.pem").read_bytes()
        credentials = grpc.ssl_channel_credentials(root, key, certificate)
        return grpc.secure_channel(f"{HOST}:{port}", credentials)


def _named(namespace: str, content: Any) -> Any:
    """A namespace's set; one that is whole already keeps its own name."""
    if isinstance(content, rwset_pb2.NsReadWriteSet):
        return content
    return rwset_pb2.NsReadWriteSet(namespace=namespace, rwset=content.SerializeToString())
