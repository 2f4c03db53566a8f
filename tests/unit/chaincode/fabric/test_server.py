"""Who is let in, how health is told, and how a server ends."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import grpc
import pytest
from fakes.fabric_peer import channel_to, connect, connected
from support.chaincode_server import keys, make_keys, serving

from chaincode.fabric.errors import ConfigurationError
from chaincode.fabric.server import Server
from chaincode.fabric.stub import Stub


async def echo(stub: Stub) -> bytes:
    return stub.arguments[0]


async def refused(port: int, certificate: bytes, key: bytes) -> grpc.StatusCode:
    """The code with which a peer that shows ``certificate`` is refused."""
    async with channel_to(port, certificate, key, keys().root) as channel:
        call = connect(channel)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await asyncio.wait_for(call.read(), 10)
        return error.value.code()


def test_only_the_pinned_peer_is_admitted():
    async def main() -> None:
        async with serving(echo) as (_, port):
            assert await refused(port, *keys().other_peer) == grpc.StatusCode.PERMISSION_DENIED
            assert await refused(port, *keys().server) == grpc.StatusCode.PERMISSION_DENIED
            assert await refused(port, *make_keys("OtherTLS").peer) == grpc.StatusCode.UNAVAILABLE
            async with channel_to(port, *keys().peer, keys().root) as channel, connected(channel) as peer:
                assert (await peer.invoke(b"hello")).payload == b"hello"

    asyncio.run(main())


def test_without_a_certificate_nobody_is_admitted():
    async def main() -> None:
        async with serving(echo) as (_, port):
            credentials = grpc.ssl_channel_credentials(keys().root)
            async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
                with pytest.raises(grpc.aio.AioRpcError):
                    await asyncio.wait_for(connect(channel).read(), 10)

    asyncio.run(main())


def test_health_is_told():
    async def main() -> None:
        async with (
            serving(echo) as (_, port),
            channel_to(port, *keys().server, keys().root) as channel,
        ):
            assert await channel.unary_unary("/grpc.health.v1.Health/Check")(b"") == b"\x08\x01"

    asyncio.run(main())


def test_in_the_end_what_is_in_flight_is_answered_and_nothing_new_is_taken():
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(stub: Stub) -> bytes:
        begun.set()
        await go_on.wait()
        return await stub.get("k") or b"absent"

    async def main() -> None:
        async with (
            serving(slow) as (server, port),
            channel_to(port, *keys().peer, keys().root) as channel,
            connected(channel) as peer,
        ):
            txid = await peer.begin(b"x")
            await begun.wait()
            stopping = asyncio.create_task(server.stop(5))
            await asyncio.sleep(0.05)
            late = await peer.begin(b"late")
            assert (await peer.outcome(late)).message == "the chaincode is ending"
            go_on.set()
            assert (await peer.outcome(txid)).payload == b"absent"
            await asyncio.wait_for(stopping, 2)

    asyncio.run(main())


def test_what_does_not_end_in_time_is_ended():
    ended: list[str] = []

    async def never(stub: Stub) -> bytes:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")
        return b""

    async def main() -> None:
        async with (
            serving(never) as (server, port),
            channel_to(port, *keys().peer, keys().root) as channel,
            connected(channel) as peer,
        ):
            await peer.begin(b"x")
            await asyncio.sleep(0.1)
            assert ended == []
            await asyncio.wait_for(server.stop(0.2), 3)
            assert ended == ["cancelled"]

    asyncio.run(main())


def test_a_port_that_is_taken_and_a_key_that_is_none_are_said():
    async def start(address: str, tls) -> None:
        await Server(address, "law", echo, tls).start()

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="cannot be listened on"):
            asyncio.run(start(f"127.0.0.1:{taken.getsockname()[1]}", keys().tls))
    with pytest.raises(ConfigurationError, match="cannot be listened on"):
        asyncio.run(start("127.0.0.1:0", replace(keys().tls, key=b"none")))
    with pytest.raises(ConfigurationError, match="not in PEM"):
        Server("127.0.0.1:0", "law", echo, replace(keys().tls, peer=b"none"))
