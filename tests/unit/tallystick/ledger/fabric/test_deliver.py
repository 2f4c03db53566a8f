"""Blocks: in order, without a gap, whichever peer gives them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fabric_protos.peer import events_pb2
from fakes.fabric_gateway import CHANNEL, Code, FakeChannel, FakePeer, breaks_after, fails, hangs

from tallystick.ledger.fabric import (
    ClientTls,
    Connections,
    DeliverError,
    Gateway,
    PeerAddress,
    blocks,
    height,
)


@pytest.fixture
def written(gateway: Gateway, new: Any, channel: FakeChannel) -> list[bytes]:
    """Five blocks, as the peers keep them."""
    for _ in range(5):
        gateway.submit(new)
    return [block.SerializeToString() for block in channel.blocks]


@pytest.mark.parametrize(("first", "last"), [(0, 4), (2, 3), (4, 4), (3, 2)])
def test_the_blocks_that_were_asked_for_come_as_they_are_kept(
    gateway: Gateway, written: list[bytes], first: int, last: int
) -> None:
    found = list(blocks(gateway, first, last, seconds=5))
    assert [block.number for block in found] == list(range(first, last + 1))
    assert [block.raw for block in found] == written[first : last + 1]


def test_blocks_to_come_are_waited_for_until_it_ends(
    gateway: Gateway, new: Any, written: list[bytes]
) -> None:
    assert len(list(blocks(gateway, 1, seconds=0.5))) == 4
    following = blocks(gateway, 5, seconds=5)
    gateway.submit(new)
    assert next(following).number == 5


def test_a_block_that_does_not_come_is_missed(gateway: Gateway, written: list[bytes]) -> None:
    reading = blocks(gateway, 3, 5, seconds=0.4)
    assert [next(reading).number, next(reading).number] == [3, 4]
    with pytest.raises(DeliverError, match="block 5 did not come in time"):
        next(reading)


@pytest.mark.parametrize("pause", [0.15, 0.6])
def test_a_reader_may_take_its_time(
    gateway: Gateway, written: list[bytes], peers: list[FakePeer], pause: float
) -> None:
    """All of it takes longer than a block may; at the longer pause each block does."""
    found = []
    for block in blocks(gateway, 0, 4, seconds=0.4):
        found.append(block.raw)
        time.sleep(pause)
    assert found == written
    assert peers[0].calls.count("Deliver") >= 2


@pytest.mark.parametrize("taken", [0.0, 0.5])
def test_a_peer_that_falls_silent_is_given_up_within_the_time_of_one_block(
    gateway: Gateway, written: list[bytes], peers: list[FakePeer], taken: float
) -> None:
    """However long the reader took with what came before."""

    def falls_silent(peer: FakePeer, request: Any, context: Any) -> Iterator[Any]:
        for number, response in enumerate(peer.deliver(request, context)):
            if number == 2:
                yield hangs(peer, request, context)
            yield response

    peers[0].script["Deliver"].extend([falls_silent, hangs_as_stream])
    reading = blocks(gateway, 0, 4, seconds=0.8)
    assert next(reading).number == 0
    time.sleep(taken)
    assert next(reading).number == 1
    time.sleep(taken)
    began = time.monotonic()
    with pytest.raises(DeliverError, match="block 2 did not come in time"):
        next(reading)
    assert 0.75 < time.monotonic() - began < 2
    assert [block.raw for block in blocks(gateway, 2, 4, seconds=5)] == written[2:]
    assert peers[1].calls == ["Deliver"]


def test_the_height_is_known(gateway: Gateway, written: list[bytes]) -> None:
    assert height(gateway, seconds=2) == 5


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_peer_goes_on_where_one_breaks(
    gateway: Gateway, written: list[bytes], peers: list[FakePeer], count: int
) -> None:
    peers[0].script["Deliver"].append(breaks_after("deliver", count))
    assert [block.raw for block in blocks(gateway, 0, 4, seconds=5)] == written
    assert peers[1].calls == ["Deliver"]


def test_a_reader_that_stops_early_leaves_nothing_running(gateway: Gateway, written: list[bytes]) -> None:
    reading = blocks(gateway, 0, seconds=60)
    assert next(reading).number == 0
    reading.close()


def test_a_channel_that_is_not_there_is_said(gateway: Gateway, peers: list[FakePeer]) -> None:
    with pytest.raises(DeliverError, match="NOT_FOUND") as caught:
        list(blocks(replace(gateway, channel="nowhere"), seconds=2))
    assert (caught.value.peer, "not joined" in caught.value.hint) == (peers[0].address, True)


def test_a_request_is_bound_to_its_connection(
    gateway: Gateway, keys: Any, peers: list[FakePeer], written: list[bytes]
) -> None:
    addresses = [PeerAddress(peers[0].address, keys.tls_root)]
    with Connections(addresses, ClientTls(keys.client.certificate, keys.client.key)) as connections:
        connections.tls_cert_hash = b"of another connection"
        with pytest.raises(DeliverError, match="BAD_REQUEST"):
            list(blocks(Gateway(connections, CHANNEL, keys.member), seconds=2))


def test_a_gap_is_an_error(
    gateway: Gateway, written: list[bytes], peers: list[FakePeer], channel: FakeChannel
) -> None:
    def leave_out(peer: FakePeer, request: Any, context: Any) -> Iterator[Any]:
        for block in (channel.blocks[0], channel.blocks[2]):
            yield events_pb2.DeliverResponse(block=block)

    peers[0].script["Deliver"].append(leave_out)
    with pytest.raises(DeliverError, match="block 2 came where 1 was expected"):
        list(blocks(gateway, 0, 4, seconds=2))


def test_a_status_that_is_not_known_is_told_by_its_number(gateway: Gateway, peers: list[FakePeer]) -> None:
    def strange(peer: FakePeer, request: Any, context: Any) -> Iterator[Any]:
        yield events_pb2.DeliverResponse(status=777)

    peers[0].script["Deliver"].append(strange)
    with pytest.raises(DeliverError, match="the peer answered 777"):
        list(blocks(gateway, seconds=2))


def test_peers_that_hang_or_are_away_are_given_up(gateway: Gateway, peers: list[FakePeer]) -> None:
    peers[0].script["Deliver"].append(hangs_as_stream)
    began = time.monotonic()
    with pytest.raises(DeliverError, match="no answer in time"):
        height(gateway, seconds=0.5)
    for peer in peers:
        peer.script["Deliver"].extend([fails(Code.UNAVAILABLE, "away")] * 99)
    with pytest.raises(DeliverError, match="away"):
        height(gateway, seconds=0.5)
    assert time.monotonic() - began < 3


def hangs_as_stream(peer: FakePeer, request: Any, context: Any) -> Iterator[Any]:
    yield hangs(peer, request, context)
