"""From a gRPC failure to an error of ours: the peers' reasons, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import grpc
from fabric_protos.gateway import gateway_pb2
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from tallystick.ledger.fabric.errors import GatewayError, Reason

_Kind = TypeVar("_Kind", bound=GatewayError)

_DETAILS: Final = "grpc-status-details-bin"
#: A peer that has too many calls at once; other reasons of RESOURCE_EXHAUSTED last.
_BUSY: Final = "concurrency limit"
#: A client whose certificate has expired is told UNAVAILABLE; no peer will say anything else.
_EXPIRED: Final = "identity expired"
#: A peer whose own chaincode process does not answer; other peers have processes of their own.
_CHAINCODE_GONE: Final = (
    "could not launch chaincode",
    "chaincode stream terminated",
    "error sending: chaincode",
    "timeout expired while executing transaction",
    "chaincode response 500, the chaincode is ending",
)
_HINTS: Final = tuple(
    (re.compile(pattern), hint)
    for pattern, hint in (
        (
            _EXPIRED,
            "The identity's certificate has expired. Enrol it anew; until then trying again is of no use.",
        ),
        (
            r"access denied|PERMISSION_DENIED|FORBIDDEN|creator is malformed|creator certificate",
            "The channel does not admit this identity: is the MSP id right, and its certificate not revoked?",
        ),
        (
            r"no Raft leader|no orderer|SERVICE_UNAVAILABLE|quorum requirement",
            "The orderers have no leader, or too few of them run.",
        ),
        (
            r"no peers available|no combination of peers|endorsing peers for org|unavailability of peers",
            "The peers of an organisation that the endorsement policy asks for are away, or not known to this"
            " one yet. See that each organisation's peer runs, then do it again.",
        ),
        (
            r"chaincode definition .* (?:not|exists, but)|could not launch chaincode|stream terminated",
            "The chaincode is not defined on the channel, or its process does not run: start it again.",
        ),
        (
            r"Peer name .* is not in peer certificate|Hostname Verification",
            "The peer's certificate names another host: set the peer's host_name to a name in it.",
        ),
        (
            r"certificate has expired",
            "The TLS certificate of the peer, or of its authority, has expired: its organisation renews it.",
        ),
        (
            r"CERTIFICATE_VERIFY_FAILED",
            "The peer's TLS certificate is not of the tls_roots given for it: use its organisation's.",
        ),
        (
            # With TLS 1.3 the alert comes after the handshake; gRPC shows it as data that cannot be read.
            r"(?i)bad.?certificate|certificate.?required|unknown.?ca|Unwrap failed",
            "The peer did not accept the client's TLS certificate: give client_certificate and client_key "
            "of an authority that it knows.",
        ),
        (
            r"WRONG_VERSION_NUMBER|TLS handshake|Ssl handshake",
            "What answers there does not speak TLS as a peer does: is the port right?",
        ),
        (r"onnection refused", "Nobody listens there: is the peer up, and the port right?"),
        (r"DNS resolution|Name or service not known", "The peer's host name is not known here."),
        (
            r"Socket closed|onnection reset|Broken pipe",
            "The connection was closed: the peer has stopped, or wants a client certificate that it knows.",
        ),
        (
            r"unknown service|UNIMPLEMENTED|unknown method",
            "What answers there is not a peer with its gateway enabled: is the port right?",
        ),
        (
            r"channel .*(?:not found|does not exist)|NOT_FOUND",
            "The peer has not joined a channel of that name.",
        ),
        (_BUSY, "The peer has more requests in flight than it allows: send fewer at once."),
        (
            r"(?i)larger than max|exceeds maximum|ENTITY_TOO_LARGE",
            "The transaction is larger than the network takes: put less into it.",
        ),
        (r"do not match", "The endorsers' results differ: one of them is behind, or runs other chaincode."),
        (r"BAD_REQUEST", "The request was not well formed, or this machine's clock is off."),
        (
            r"DEADLINE_EXCEEDED|DeadlineExceeded|timeout expired",
            "No answer in time: the peer hangs, or waits for others that do not answer.",
        ),
    )
)


def failed(kind: type[_Kind], error: Any, *, peer: str, transaction_id: str = "") -> _Kind:
    """The error of ``kind`` for a call to ``peer`` that failed with ``error``, a grpc.RpcError."""
    failure = kind(
        error.details() or "no reason was given",
        transaction_id=transaction_id,
        peer=peer,
        code=_code(error),
        reasons=_reasons(error),
    )
    # A chaincode's refusal has words of its own, which mean what the chaincode says they mean.
    if failure.refusal is None:
        texts = (reason.message for reason in failure.reasons)
        failure.hint = hint_for(failure.code, failure.message, *texts)
    return failure


def _code(error: Any) -> str:
    # A peer holds the deadline that we sent it, too. Where its clock ends first, it resets the stream.
    reset = error.code() is grpc.StatusCode.CANCELLED and "RST_STREAM" in (error.details() or "")
    return "DEADLINE_EXCEEDED" if reset else str(error.code().name)


def hint_for(*texts: str) -> str:
    """What to do about it, by what the peers said."""
    text = "\n".join(texts)
    return next((hint for pattern, hint in _HINTS if pattern.search(text)), "")


def passing(error: GatewayError) -> bool:
    """Whether the same call may work later or elsewhere."""
    busy = error.code == "RESOURCE_EXHAUSTED" and _BUSY in error.message
    return busy or (error.code == "UNAVAILABLE" and not _expired(error))


def chaincode_gone(error: GatewayError) -> bool:
    """Whether all that failed is a chaincode process: a proposal may be endorsed through another peer."""
    return bool(error.reasons) and all(
        any(words in reason.message for words in _CHAINCODE_GONE) for reason in error.reasons
    )


def _expired(error: GatewayError) -> bool:
    return any(_EXPIRED in text for text in (error.message, *(reason.message for reason in error.reasons)))


def _reasons(error: Any) -> Iterator[Reason]:
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS:
            try:
                for packed in status_pb2.Status.FromString(value).details:
                    detail = gateway_pb2.ErrorDetail()
                    if packed.Unpack(detail):
                        yield Reason(detail.address, detail.msp_id, detail.message)
            except DecodeError:
                yield Reason("", "", "the reasons cannot be read")
