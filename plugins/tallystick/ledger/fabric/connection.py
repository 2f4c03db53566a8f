"""Connections to several peers: a call goes to the first of them, and to the next while that one is away."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fabric_protos.gateway import gateway_pb2_grpc
from fabric_protos.peer import events_pb2_grpc

from tallystick.ledger.fabric.errors import ConfigurationError, GatewayError, Reason
from tallystick.ledger.fabric.failures import failed, passing

_Kind = TypeVar("_Kind", bound=GatewayError)

_OPTIONS: Final = (
    # Fabric's own limit; gRPC's would be 4 MB, less than a block.
    ("grpc.max_receive_message_length", 100 * 1024 * 1024),
    ("grpc.max_send_message_length", 100 * 1024 * 1024),
    # A peer closes a connection whose pings come more often than every minute.
    ("grpc.keepalive_time_ms", 120_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # How long a connection may take to come up; 20 s by default, longer than some calls' deadlines.
    ("grpc.min_reconnect_backoff_ms", 3_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A proxy that the environment names leads to web sites, not to peers.
    ("grpc.enable_http_proxy", 0),
    # One client's failing connection is not another's.
    ("grpc.use_local_subchannel_pool", 1),
)
#: Seconds for which a peer is asked last: one that said it cannot, which is cheap to try again, and one
#: that said nothing until the deadline, which is not.
_AWAY: Final = 5.0
_HUNG: Final = 60.0
_LATE: Final = "DEADLINE_EXCEEDED"
_ANSWER: Final = "answer"
_WAIT: Final = "wait"
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
#: Seconds by which a peer's clock may end a stream before ours does; what ends it sooner is no deadline.
_EARLY: Final = 0.25


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a peer is: host:port, the certificates (PEM) that may have issued its own, and the name in
    its certificate where that is not the host."""

    address: str
    tls_roots: bytes = field(repr=False)
    host_name: str = ""


@dataclass(frozen=True, slots=True)
class ClientTls:
    """The client's own certificate and key (PEM), for peers that ask for one."""

    certificate: bytes
    key: bytes = field(repr=False)


class Connection:
    """A connection to one peer; it comes up with the first call."""

    def __init__(self, peer: PeerAddress, client: ClientTls | None) -> None:
        self.address = peer.address
        #: Until when (monotonic) it is asked last, for what it answers at once and for what it waits for:
        #: that nothing came in time may be no fault of its, and says nothing about its answers.
        self.away = {_ANSWER: 0.0, _WAIT: 0.0}
        options = list(_OPTIONS)
        if peer.host_name:
            options.append(("grpc.ssl_target_name_override", peer.host_name))  # type: ignore[arg-type]
        credentials = grpc.ssl_channel_credentials(
            peer.tls_roots, client and client.key, client and client.certificate
        )
        self._channel = grpc.secure_channel(peer.address, credentials, options)
        self.gateway = gateway_pb2_grpc.GatewayStub(self._channel)
        self.deliver = events_pb2_grpc.DeliverStub(self._channel)

    def pass_over(self, seconds: float, *uses: str) -> None:
        """Let others be asked first for a while."""
        for use in uses:
            self.away[use] = time.monotonic() + seconds

    def close(self) -> None:
        """End every call that is under way."""
        self._channel.close()


#: Starts a stream of a peer with a deadline in seconds; returns gRPC's call.
Start = Callable[[Connection, float], Any]


class Connections:
    """The peers of one profile, in the order in which they are to be preferred. Safe for threads."""

    def __init__(self, peers: Sequence[PeerAddress], client: ClientTls | None = None) -> None:
        """Connects to nobody yet. Raises `ConfigurationError` where there is no peer."""
        if not peers:
            raise ConfigurationError("there is no peer to connect to")
        self._peers = [Connection(peer, client) for peer in peers]
        self._closed = False
        #: What binds a Deliver request to this client's connection under mutual TLS; else empty.
        self.tls_cert_hash = _hash(client.certificate) if client else b""

    def call(
        self,
        method: str,
        request: Any,
        kind: type[_Kind],
        *,
        seconds: float,
        transaction_id: str = "",
        elsewhere: Callable[[GatewayError], bool] = passing,
    ) -> tuple[Any, str]:
        """The answer to a call of the Gateway service, and the address of the peer that gave it.

        Asks the next peer where ``elsewhere`` says that it may do better, all within ``seconds``. A
        peer that hangs takes them all; the next calls begin with another. Raises ``kind``; with the
        reasons of every peer where none of several would do.
        """
        self._check_open(kind)
        use = _WAIT if method == "CommitStatus" else _ANSWER
        ends = time.monotonic() + seconds
        failures: list[_Kind] = []
        for peer in self._in_order(use):
            left = ends - time.monotonic()
            if failures and left <= 0:
                break
            try:
                return getattr(peer.gateway, method)(request, timeout=max(left, 0.001)), peer.address
            except grpc.RpcError as error:
                failure = failed(kind, error, peer=peer.address, transaction_id=transaction_id)
                failure.__cause__ = error
            if failure.code == _LATE:
                peer.pass_over(_HUNG, use)
            if not elsewhere(failure):
                # Its answer is the answer; why it was asked at all, the others' reasons say.
                for each in failures:
                    failure.reasons += each.reasons
                    failure.hint = failure.hint or each.hint
                raise failure
            peer.pass_over(_AWAY, _ANSWER, _WAIT)
            failures.append(failure)
        raise _together(failures)

    def stream(
        self,
        start: Start,
        kind: type[_Kind],
        *,
        seconds: float,
        repeated: Callable[[Any], bool] = lambda response: False,
    ) -> Iterator[tuple[Any, str]]:
        """What a stream brings, each with the peer's address, until nothing new came for ``seconds``.

        What is ``repeated`` when the stream is opened anew is not new. Time that the caller takes in between
        does not count. ``start`` is called anew, for the next peer, whenever the one that was asked goes
        away, and for any where its call's deadline ends before that of the response: it asks for what has
        not been received yet. Raises ``kind`` where no peer can be reached until the end.
        """
        self._check_open(kind)
        ends = time.monotonic() + seconds
        pause = _FIRST_PAUSE
        while True:
            failures = []
            for peer in self._in_order(_WAIT):
                heard = False
                call = start(peer, max(ends - time.monotonic(), 0.001))
                try:
                    for response in call:
                        heard, pause = True, _FIRST_PAUSE
                        new = not repeated(response)
                        yield response, peer.address
                        if new:
                            ends = time.monotonic() + seconds
                    return
                except grpc.RpcError as error:
                    failure = failed(kind, error, peer=peer.address)
                    failure.__cause__ = error
                finally:
                    call.cancel()
                left = ends - time.monotonic()
                if failure.code == _LATE and (heard or left < _EARLY):
                    # A call's deadline is that of its first response, and runs on with the caller's time.
                    if heard and left > 0:
                        break
                    peer.pass_over(_HUNG, _WAIT)
                    return
                failures.append(failure)
                if failure.code != _LATE and not passing(failure):
                    raise failure
                peer.pass_over(_AWAY, _ANSWER, _WAIT)
            else:
                if time.monotonic() + pause >= ends:
                    raise _together(failures)
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def close(self) -> None:
        """Close every connection; calls that are under way fail."""
        self._closed = True
        for peer in self._peers:
            peer.close()

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_open(self, kind: type[GatewayError]) -> None:
        if self._closed:
            raise kind("the connections are closed")

    def _in_order(self, use: str) -> list[Connection]:
        """The peers as they are preferred, those that are away last."""
        now = time.monotonic()
        return sorted(self._peers, key=lambda peer: max(peer.away[use] - now, 0.0))


def _together(failures: list[_Kind]) -> _Kind:
    """The first failure, with what the other peers said."""
    first = failures[0]
    if len(failures) > 1:
        told = [
            reason
            for failure in failures
            for reason in (failure.reasons or (Reason(failure.peer, "", failure.message),))
        ]
        first.reasons = tuple(dict.fromkeys(told))
        first.message, first.peer = "none of the peers could do it", ""
    return first


def _hash(pem: bytes) -> bytes:
    with suppress(ValueError):
        return hashlib.sha256(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)).digest()
    raise ConfigurationError("the client's TLS certificate is not PEM")
