"""The server a peer connects to: mutual TLS, one peer admitted by its certificate, health, an orderly end."""

from __future__ import annotations

import hmac
import ssl
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from fabric_protos.peer import chaincode_shim_pb2

from chaincode.fabric.errors import ConfigurationError
from chaincode.fabric.stream import Handler, Stream

_MESSAGE: Final = chaincode_shim_pb2.ChaincodeMessage
#: As large as the peer's own limit.
_MAX_MESSAGE: Final = 100 * 1024 * 1024
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE),
    ("grpc.max_send_message_length", _MAX_MESSAGE),
    # A second server on the same port must fail, not share it.
    ("grpc.so_reuseport", 0),
    # A peer that vanished is noticed, and one that pings each minute without traffic is welcome.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 0),
)
#: grpc.health.v1.HealthCheckResponse with status SERVING and NOT_SERVING.
_SERVING: Final = b"\x08\x01"
_NOT_SERVING: Final = b"\x08\x02"


@dataclass(frozen=True, slots=True)
class Tls:
    """Its own key and certificate, who may have issued a client's, and the one peer admitted; PEM."""

    certificate: bytes
    key: bytes = field(repr=False)
    client_roots: bytes
    peer: bytes


class Server:
    """A chaincode server for one peer."""

    def __init__(self, address: str, chaincode_id: str, handler: Handler, tls: Tls) -> None:
        """``chaincode_id`` is the package id. Raises `ConfigurationError` for a certificate that is none."""
        self._address = address
        self._chaincode_id = chaincode_id
        self._handler = handler
        self._tls = tls
        self._pin = _der(tls.peer)
        self._streams: set[Stream] = set()
        self._ending = False
        self._server: Any = None

    async def start(self) -> int:
        """Listen; returns the port. Raises `ConfigurationError` where address or keys cannot be used."""
        tls = self._tls
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((self._chaincode_service(), self._health_service()))
        try:
            credentials = grpc.ssl_server_credentials(
                [(tls.key, tls.certificate)], tls.client_roots, require_client_auth=True
            )
            port: int = self._server.add_secure_port(self._address, credentials)
        except RuntimeError:
            port = 0
        if not port:
            raise ConfigurationError(f"{self._address} cannot be listened on: it is taken, or a key is wrong")
        await self._server.start()
        return port

    async def stop(self, grace: float) -> None:
        """Take nothing new, let what is in flight end within ``grace`` seconds, and close."""
        self._ending = True
        for stream in self._streams:
            stream.close()
        await self._server.stop(grace)

    async def connect(self, _: Any, context: Any) -> None:
        """The Connect call of a peer: its stream, for as long as it lasts."""
        if not self._is_the_peer(context.auth_context()):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not the peer that this chaincode serves")
        if self._ending:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "shutting down")
        stream = Stream(context, self._chaincode_id, self._handler)
        self._streams.add(stream)
        try:
            await stream.run()
        finally:
            self._streams.discard(stream)

    def _is_the_peer(self, authenticated: Any) -> bool:
        shown = authenticated.get("x509_pem_cert", [b""])[0]
        try:
            return hmac.compare_digest(_der(shown), self._pin)
        except ConfigurationError:
            return False

    async def _check(self, _: bytes, __: Any) -> bytes:
        return _NOT_SERVING if self._ending else _SERVING

    def _chaincode_service(self) -> Any:
        connect = grpc.stream_stream_rpc_method_handler(
            self.connect, _MESSAGE.FromString, _MESSAGE.SerializeToString
        )
        return grpc.method_handlers_generic_handler("protos.Chaincode", {"Connect": connect})

    def _health_service(self) -> Any:
        check = grpc.unary_unary_rpc_method_handler(self._check)
        return grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": check})


def _der(pem: bytes) -> bytes:
    try:
        return ssl.PEM_cert_to_DER_cert(pem.decode("ascii").strip())
    except ValueError:
        raise ConfigurationError("a certificate is not in PEM") from None
