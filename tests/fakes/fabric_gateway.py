"""Peers of a Fabric network as a client sees them: Gateway and Deliver over real gRPC with mutual TLS.

As strict as the real ones where a client can be wrong: signatures (low-S), transaction ids, the channel's
name, the binding of a Deliver request to its connection. `FakePeer.script` makes them misbehave.
"""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import (
    chaincode_event_pb2,
    chaincode_pb2,
    events_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from google.protobuf import any_pb2
from google.rpc import status_pb2

CHANNEL = "audit"
CHAINCODE = "ledger"
HALF_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551 // 2
Code = grpc.StatusCode
#: (peer, request, context) -> a response, an iterator of them, or bytes that are no message.
Behaviour = Callable[[Any, Any, Any], Any]


class Refusal(Exception):
    """What a chaincode raises to refuse."""


def echo(arguments: list[bytes]) -> bytes:
    """A chaincode that answers what it was told, and refuses "refuse"."""
    if arguments[0] == b"refuse":
        raise Refusal('{"code":"NO"}')
    return b" ".join(arguments)


@dataclass
class FakeChannel:
    """The ledger that all peers of a channel share. ``verdicts`` are taken for VALID, one a transaction;
    the next ``losing`` envelopes are accepted and forgotten."""

    chaincode: Callable[[list[bytes]], bytes] = echo
    verdicts: deque[str] = field(default_factory=deque)
    losing: int = 0
    blocks: list[Any] = field(default_factory=list)
    codes: dict[str, tuple[int, int]] = field(default_factory=dict)
    events: dict[int, list[Any]] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def order(self, envelope: Any) -> None:
        """Take an envelope into a block of its own."""
        header, action = _unpack(envelope)
        with self.changed:
            if self.losing:
                self.losing -= 1
                return
            number = len(self.blocks)
            code = self.verdicts.popleft() if self.verdicts else "VALID"
            if header.tx_id not in self.codes:
                self.codes[header.tx_id] = transaction_pb2.TxValidationCode.Value(code), number
                if code == "VALID":
                    self.events[number] = [chaincode_event_pb2.ChaincodeEvent.FromString(action.events)]
            block = common_pb2.Block(data=common_pb2.BlockData(data=[envelope.SerializeToString()]))
            block.header.number = number
            self.blocks.append(block)
            self.changed.notify_all()

    def has(self, number: int) -> bool:
        """Whether there is a block of that number."""
        return len(self.blocks) > number

    def wait(self, context: Any, ready: Callable[[], bool]) -> bool:
        """Wait until ``ready``; False where the client is gone before."""
        with self.changed:
            while not ready():
                if not context.is_active():
                    return False
                self.changed.wait(0.01)
        return True


class FakePeer:
    """A peer of the channel at ``address``. ``script[method]`` are the answers to its next calls."""

    def __init__(self, channel: FakeChannel, msp_id: str = "OperatorMSP") -> None:
        self.channel, self.msp_id = channel, msp_id
        self.address = ""
        self.calls: list[str] = []
        self.transaction_ids: list[str] = []
        self.script: dict[str, deque[Behaviour]] = defaultdict(deque)

    def endorse(self, request: Any, context: Any) -> Any:
        header, proposal = _check_proposal(request.proposed_transaction, request.transaction_id, context)
        payload = proposal_pb2.ChaincodeProposalPayload.FromString(proposal.payload)
        action = proposal_pb2.ChaincodeAction()
        action.response.status, action.response.payload = 200, self._run(payload, Code.ABORTED, context)
        action.events = chaincode_event_pb2.ChaincodeEvent(
            chaincode_id=CHAINCODE,
            tx_id=request.transaction_id,
            event_name="done",
            payload=action.response.payload,
        ).SerializeToString()
        result = proposal_response_pb2.ProposalResponsePayload(extension=action.SerializeToString())
        endorsed = transaction_pb2.ChaincodeEndorsedAction(
            proposal_response_payload=result.SerializeToString()
        )
        cap = transaction_pb2.ChaincodeActionPayload(
            chaincode_proposal_payload=proposal.payload, action=endorsed
        )
        action_ = transaction_pb2.TransactionAction(
            header=header.signature_header, payload=cap.SerializeToString()
        )
        data = transaction_pb2.Transaction(actions=[action_]).SerializeToString()
        prepared = common_pb2.Payload(header=header, data=data).SerializeToString()
        return gateway_pb2.EndorseResponse(prepared_transaction=common_pb2.Envelope(payload=prepared))

    def evaluate(self, request: Any, context: Any) -> Any:
        _, proposal = _check_proposal(request.proposed_transaction, request.transaction_id, context)
        payload = proposal_pb2.ChaincodeProposalPayload.FromString(proposal.payload)
        answer = gateway_pb2.EvaluateResponse()
        answer.result.payload = self._run(payload, Code.UNKNOWN, context)
        return answer

    def submit(self, request: Any, context: Any) -> Any:
        envelope = request.prepared_transaction
        payload = common_pb2.Payload.FromString(envelope.payload)
        creator = common_pb2.SignatureHeader.FromString(payload.header.signature_header).creator
        _check_signature(creator, envelope.signature, envelope.payload, context)
        self.channel.order(envelope)
        return gateway_pb2.SubmitResponse()

    def commit_status(self, signed: Any, context: Any) -> Any:
        request = gateway_pb2.CommitStatusRequest.FromString(signed.request)
        _check_signature(request.identity, signed.signature, signed.request, context)
        codes, wanted = self.channel.codes, request.transaction_id
        self.channel.wait(context, lambda: wanted in codes)
        result, number = codes.get(wanted, (0, 0))
        return gateway_pb2.CommitStatusResponse(result=result, block_number=number)

    def chaincode_events(self, signed: Any, context: Any) -> Iterator[Any]:
        request = gateway_pb2.ChaincodeEventsRequest.FromString(signed.request)
        _check_signature(request.identity, signed.signature, signed.request, context)
        number = request.start_position.specified.number
        while self.channel.wait(context, partial(self.channel.has, number)):
            events = self.channel.events.get(number, [])
            found = [event for event in events if event.chaincode_id == request.chaincode_id]
            if found:
                yield gateway_pb2.ChaincodeEventsResponse(events=found, block_number=number)
            number += 1

    def deliver(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        envelope = next(requests)
        payload = common_pb2.Payload.FromString(envelope.payload)
        header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
        creator = common_pb2.SignatureHeader.FromString(payload.header.signature_header).creator
        _check_signature(creator, envelope.signature, envelope.payload, context)
        if header.tls_cert_hash != _client_hash(context):
            yield events_pb2.DeliverResponse(status=common_pb2.BAD_REQUEST)
        elif header.channel_id != CHANNEL:
            yield events_pb2.DeliverResponse(status=common_pb2.NOT_FOUND)
        else:
            yield from self._blocks(ab_pb2.SeekInfo.FromString(payload.data), context)

    def _blocks(self, seek: Any, context: Any) -> Iterator[Any]:
        blocks = self.channel.blocks
        newest = seek.start.WhichOneof("Type") == "newest"
        number = len(blocks) - 1 if newest else seek.start.specified.number
        last = number if newest else seek.stop.specified.number
        while number <= last and self.channel.wait(context, partial(self.channel.has, number)):
            yield events_pb2.DeliverResponse(block=blocks[number])
            number += 1
        yield events_pb2.DeliverResponse(status=common_pb2.SUCCESS)

    def _run(self, payload: Any, refused: grpc.StatusCode, context: Any) -> bytes:
        specification = chaincode_pb2.ChaincodeInvocationSpec.FromString(payload.input)
        try:
            return self.channel.chaincode(list(specification.chaincode_spec.input.args))
        except Refusal as refusal:
            said = f"chaincode response 400, {refusal}"
            abort(context, refused, "failed", (self.address, self.msp_id, said))
            raise


def abort(context: Any, code: grpc.StatusCode, message: str, *reasons: tuple[str, str, str]) -> None:
    """End a call as Fabric does: reasons travel as details of a google.rpc.Status."""
    details = []
    for address, msp_id, text in reasons:
        detail = any_pb2.Any()
        detail.Pack(gateway_pb2.ErrorDetail(address=address, msp_id=msp_id, message=text))
        details.append(detail)
    status = status_pb2.Status(code=code.value[0], message=message, details=details)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, message)


def fails(code: grpc.StatusCode, message: str, *reasons: tuple[str, str, str]) -> Behaviour:
    """An answer: the call fails."""
    return lambda peer, request, context: abort(context, code, message, *reasons)


def hangs(peer: FakePeer, request: Any, context: Any) -> Any:
    """An answer: none, as long as the client waits."""
    peer.channel.wait(context, lambda: False)
    return b""


def garbage(peer: FakePeer, request: Any, context: Any) -> Any:
    """An answer: bytes that are no message."""
    return b"\xff\xff garbage"


def then_fails(honest: str, code: grpc.StatusCode, message: str) -> Behaviour:
    """An answer: what was asked is done, and the client is told that it failed."""

    def behave(peer: FakePeer, request: Any, context: Any) -> Any:
        getattr(peer, honest)(request, context)
        abort(context, code, message)

    return behave


def breaks_after(honest: str, count: int) -> Behaviour:
    """An answer: a stream that breaks after ``count`` messages."""

    def behave(peer: FakePeer, request: Any, context: Any) -> Iterator[Any]:
        for number, message in enumerate(getattr(peer, honest)(request, context)):
            if number == count:
                break
            yield message
        context.abort(Code.UNAVAILABLE, "the peer is stopping")

    return behave


@contextmanager
def serving(peer: FakePeer, certificate: bytes, key: bytes, client_root: bytes) -> Iterator[FakePeer]:
    """The peer on a port of its own; clients must show a certificate of ``client_root``."""
    pool = ThreadPoolExecutor(96)
    server = grpc.server(pool)
    server.add_generic_rpc_handlers(tuple(_handlers(peer)))
    credentials = grpc.ssl_server_credentials([(key, certificate)], client_root, require_client_auth=True)
    peer.address = f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"
    server.start()
    try:
        yield peer
    finally:
        server.stop(0).wait(10)
        pool.shutdown()


def _handlers(peer: FakePeer) -> Iterator[Any]:
    unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    gateway = {
        "Endorse": (unary, peer.endorse, gateway_pb2.EndorseRequest),
        "Evaluate": (unary, peer.evaluate, gateway_pb2.EvaluateRequest),
        "Submit": (unary, peer.submit, gateway_pb2.SubmitRequest),
        "CommitStatus": (unary, peer.commit_status, gateway_pb2.SignedCommitStatusRequest),
        "ChaincodeEvents": (stream, peer.chaincode_events, gateway_pb2.SignedChaincodeEventsRequest),
    }
    deliver = {"Deliver": (grpc.stream_stream_rpc_method_handler, peer.deliver, common_pb2.Envelope)}
    for service, methods in (("gateway.Gateway", gateway), ("protos.Deliver", deliver)):
        yield grpc.method_handlers_generic_handler(
            service,
            {
                name: make(_scripted(peer, name, honest), request.FromString, _serialise)
                for name, (make, honest, request) in methods.items()
            },
        )


def _scripted(peer: FakePeer, name: str, honest: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def handle(request: Any, context: Any) -> Any:
        peer.calls.append(name)
        if hasattr(request, "transaction_id"):
            peer.transaction_ids.append(request.transaction_id)
        if peer.script[name]:
            return peer.script[name].popleft()(peer, request, context)
        return honest(request, context)

    return handle


def _serialise(message: Any) -> bytes:
    return message if isinstance(message, bytes) else bytes(message.SerializeToString())


def _unpack(envelope: Any) -> tuple[Any, Any]:
    payload = common_pb2.Payload.FromString(envelope.payload)
    header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    (action,) = transaction_pb2.Transaction.FromString(payload.data).actions
    cap = transaction_pb2.ChaincodeActionPayload.FromString(action.payload)
    result = proposal_response_pb2.ProposalResponsePayload.FromString(cap.action.proposal_response_payload)
    return header, proposal_pb2.ChaincodeAction.FromString(result.extension)


def _check_proposal(signed: Any, transaction_id: str, context: Any) -> tuple[Any, Any]:
    proposal = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
    header = common_pb2.Header.FromString(proposal.header)
    channel_header = common_pb2.ChannelHeader.FromString(header.channel_header)
    signature_header = common_pb2.SignatureHeader.FromString(header.signature_header)
    _check_signature(signature_header.creator, signed.signature, signed.proposal_bytes, context)
    bound = hashlib.sha256(signature_header.nonce + signature_header.creator).hexdigest()
    if not bound == transaction_id == channel_header.tx_id:
        context.abort(Code.INVALID_ARGUMENT, "the transaction id is not bound to nonce and creator")
    if channel_header.channel_id != CHANNEL:
        context.abort(Code.FAILED_PRECONDITION, f"channel {channel_header.channel_id} not found")
    return header, proposal


def _check_signature(creator: bytes, signature: bytes, data: bytes, context: Any) -> None:
    pem = identities_pb2.SerializedIdentity.FromString(creator).id_bytes
    if decode_dss_signature(signature)[1] > HALF_ORDER:
        context.abort(Code.PERMISSION_DENIED, "access denied: the signature is not low-S")
    key = x509.load_pem_x509_certificate(pem).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature, data, ec.ECDSA(hashes.SHA256()))


def _client_hash(context: Any) -> bytes:
    (pem,) = context.auth_context()["x509_pem_cert"]
    return hashlib.sha256(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)).digest()
