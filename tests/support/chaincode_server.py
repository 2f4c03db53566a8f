"""A chaincode server under test, with keys of an authority of its own and a peer to go with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from fakes.fabric_peer import FakePeer, channel_to, connected

from chaincode.fabric.server import Server, Tls
from chaincode.fabric.stream import Handler
from tallystick.identity import Authority
from tallystick.network.certificates import issue_tls

PACKAGE_ID = "law_1:abc"


@dataclass(frozen=True)
class Keys:
    """PEM: the authority's certificate, and (certificate, key) of the server and two peers of it."""

    root: bytes
    server: tuple[bytes, bytes]
    peer: tuple[bytes, bytes]
    other_peer: tuple[bytes, bytes]

    @property
    def tls(self) -> Tls:
        return Tls(*self.server, client_roots=self.root, peer=self.peer[0])


def make_keys(name: str = "OperatorTLS") -> Keys:
    directory = Path(mkdtemp())
    authority = Authority.create(name, directory / "tls")
    issued = [issue_tls(authority, each) for each in ("server", "peer", "other-peer")]
    return Keys((directory / "tls" / "cacerts" / "ca.pem").read_bytes(), *issued)


@cache
def keys() -> Keys:
    """Keys that tests share."""
    return make_keys()


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[tuple[Server, int]]:
    """A server that listens, and its port."""
    server = Server("127.0.0.1:0", PACKAGE_ID, handler, keys().tls)
    port = await server.start()
    try:
        yield server, port
    finally:
        await server.stop(0)


@asynccontextmanager
async def peer_of(handler: Handler, **how: Any) -> AsyncIterator[FakePeer]:
    """A peer connected to a server that runs ``handler``."""
    async with (
        serving(handler) as (_, port),
        channel_to(port, *keys().peer, keys().root) as channel,
        connected(channel, **how) as peer,
    ):
        yield peer
