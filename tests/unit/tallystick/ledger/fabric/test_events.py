"""Chaincode events: in order, once, across peers that go away and processes that start again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import chaincode_event_pb2
from fakes.fabric_gateway import (
    CHAINCODE,
    CHANNEL,
    Code,
    FakeChannel,
    FakePeer,
    breaks_after,
    fails,
    garbage,
    hangs,
)

from tallystick.ledger.fabric import (
    ChaincodeEvent,
    Checkpoint,
    ConfigurationError,
    EventsError,
    Gateway,
    Position,
    follow,
)

FOLLOWED = 0.3


@pytest.fixture
def written(gateway: Gateway, new: Any) -> list[str]:
    """The ids of six transactions, each in a block of its own."""
    return [gateway.submit(partial(new, b"put", b"%d" % number)).transaction_id for number in range(6)]


def ids(events: Iterator[ChaincodeEvent], count: int | None = None) -> list[str]:
    """Of the first ``count`` events, or of all until it ends."""
    return [event.transaction_id for event in islice(events, count)]


def test_events_come_in_order_with_their_payload_and_then_it_ends(
    gateway: Gateway, written: list[str]
) -> None:
    events = list(follow(gateway, CHAINCODE, seconds=1))
    assert [event.transaction_id for event in events] == written
    assert events[2] == ChaincodeEvent(2, written[2], "done", b"put 2")
    assert ids(follow(gateway, "other", seconds=FOLLOWED)) == []


def test_events_to_come_are_followed(gateway: Gateway, new: Any, written: list[str]) -> None:
    events = follow(gateway, CHAINCODE, Position(6), seconds=5)
    later = gateway.submit(new)
    assert next(events).transaction_id == later.transaction_id


def test_what_does_not_count_has_no_event(gateway: Gateway, new: Any, channel: FakeChannel) -> None:
    channel.verdicts.append("MVCC_READ_CONFLICT")
    gateway.submit(new)
    assert next(follow(gateway, CHAINCODE, seconds=5)).block == 1


@pytest.mark.parametrize("handled", range(7))
def test_a_checkpoint_resumes_without_loss_or_repeat(
    gateway: Gateway, written: list[str], tmp_path: Path, handled: int
) -> None:
    path = tmp_path / "checkpoint.json"
    checkpoint = Checkpoint(path, channel=CHANNEL, chaincode=CHAINCODE)
    events = follow(gateway, CHAINCODE, checkpoint.position, seconds=5)
    for _ in range(handled):
        checkpoint.handled(next(events))
    again = Checkpoint(path, channel=CHANNEL, chaincode=CHAINCODE)
    assert again.position == checkpoint.position
    left = 6 - handled
    rest = follow(gateway, CHAINCODE, again.position, seconds=5 if left else FOLLOWED)
    assert ids(rest, left or None) == written[handled:]
    assert [each.name for each in tmp_path.iterdir()] == (["checkpoint.json"] if handled else [])


def test_a_block_of_several_events_is_resumed_in_its_middle(
    gateway: Gateway, written: list[str], channel: FakeChannel
) -> None:
    more = [
        chaincode_event_pb2.ChaincodeEvent(chaincode_id=CHAINCODE, tx_id=name, event_name="done")
        for name in ("x", "y")
    ]
    channel.events[3] += more
    expected = [*written[:4], "x", "y", *written[4:]]
    assert ids(follow(gateway, CHAINCODE, seconds=5), 8) == expected
    assert ids(follow(gateway, CHAINCODE, Position(3, "x"), seconds=5), 3) == expected[5:]


@pytest.mark.parametrize("after", [Position(2), Position(3, "x")])
def test_the_time_that_a_caller_takes_does_not_count(
    gateway: Gateway, written: list[str], channel: FakeChannel, after: Position
) -> None:
    """Not for the events behind a position in the middle of a block either."""
    channel.events[3] += [
        chaincode_event_pb2.ChaincodeEvent(chaincode_id=CHAINCODE, tx_id=name, event_name="done")
        for name in ("x", "y")
    ]
    expected = [*written[2:4], "x", "y", *written[4:]][0 if after == Position(2) else 3 :]
    got = []
    for event in follow(gateway, CHAINCODE, after, seconds=FOLLOWED):
        got.append(event.transaction_id)
        if len(got) == 1:
            time.sleep(2 * FOLLOWED)
    assert got == expected


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_peer_goes_on_where_one_breaks(
    gateway: Gateway, written: list[str], peers: list[FakePeer], count: int
) -> None:
    peers[0].script["ChaincodeEvents"].append(breaks_after("chaincode_events", count))
    assert ids(follow(gateway, CHAINCODE, seconds=5), 6) == written
    assert peers[1].calls == ["ChaincodeEvents"]


def test_peers_that_come_back_are_waited_for(
    gateway: Gateway, written: list[str], peers: list[FakePeer]
) -> None:
    for peer in peers:
        peer.script["ChaincodeEvents"].extend([fails(Code.UNAVAILABLE, "starting")] * 2)
    assert ids(follow(gateway, CHAINCODE, seconds=5), 6) == written


def test_peers_that_do_not_are_an_error_in_time(gateway: Gateway, peers: list[FakePeer]) -> None:
    for peer in peers:
        peer.script["ChaincodeEvents"].extend([fails(Code.UNAVAILABLE, "starting")] * 99)
    began = time.monotonic()
    with pytest.raises(EventsError, match="starting") as caught:
        list(follow(gateway, CHAINCODE, seconds=1))
    assert time.monotonic() - began < 3
    assert len(caught.value.reasons) == 2


def test_a_peer_whose_clock_ends_first_ends_it_as_ours_does(
    gateway: Gateway, peers: list[FakePeer], written: list[str]
) -> None:
    """Its side of a deadline comes as a reset stream. One that comes too soon is a peer that went away."""
    reset = "Stream removed (RST_STREAM (Received RST_STREAM with error code 8))"

    def in_time(peer: FakePeer, request: Any, context: Any) -> Iterator[Any]:
        time.sleep(max(0, context.time_remaining() - 0.05))
        yield from fails(Code.CANCELLED, reset)(peer, request, context)

    peers[0].script["ChaincodeEvents"].append(in_time)
    assert ids(follow(gateway, CHAINCODE, Position(6), seconds=1)) == []
    peers[1].script["ChaincodeEvents"].append(fails(Code.CANCELLED, reset))
    assert ids(follow(gateway, CHAINCODE, seconds=5), 6) == written
    for peer in peers:
        peer.script["ChaincodeEvents"].append(fails(Code.CANCELLED, "not for you"))
    with pytest.raises(EventsError, match="not for you"):
        ids(follow(gateway, CHAINCODE, seconds=1))


def test_a_peer_that_hangs_is_not_asked_first_again(
    gateway: Gateway, new: Any, written: list[str], peers: list[FakePeer]
) -> None:
    peers[0].script["ChaincodeEvents"].append(hangs)
    assert ids(follow(gateway, CHAINCODE, seconds=FOLLOWED)) == []
    assert ids(follow(gateway, CHAINCODE, seconds=5), 6) == written
    before = len(peers[0].calls)
    gateway.evaluate(new())
    assert len(peers[0].calls) == before + 1, "a quiet stream says nothing against its answers"


@pytest.mark.parametrize("position", [Position(3, "another"), Position(9, "another")])
def test_a_checkpoint_of_another_ledger_is_refused(
    gateway: Gateway, new: Any, written: list[str], position: Position, channel: FakeChannel
) -> None:
    for _ in range(4):
        gateway.submit(new)
    with pytest.raises(EventsError, match="another ledger"):
        list(follow(gateway, CHAINCODE, position, seconds=2))


def test_lies_are_errors(
    gateway: Gateway, written: list[str], peers: list[FakePeer], channel: FakeChannel
) -> None:
    def early(peer: FakePeer, request: Any, context: Any) -> Iterator[Any]:
        yield gateway_pb2.ChaincodeEventsResponse(block_number=1)

    def twice(peer: FakePeer, request: Any, context: Any) -> Iterator[Any]:
        for _ in range(2):
            yield gateway_pb2.ChaincodeEventsResponse(events=channel.events[0], block_number=0)

    def nonsense(peer: FakePeer, request: Any, context: Any) -> Iterator[Any]:
        yield garbage(peer, request, context)

    peers[0].script["ChaincodeEvents"].extend([early, twice, nonsense])
    with pytest.raises(EventsError, match="block 1 came where 4 was expected"):
        list(follow(gateway, CHAINCODE, Position(4), seconds=2))
    with pytest.raises(EventsError, match="block 0 came where 1 was expected"):
        list(follow(gateway, CHAINCODE, seconds=2))
    with pytest.raises(EventsError) as caught:
        list(follow(gateway, CHAINCODE, seconds=2))
    assert caught.value.code == "INTERNAL"


def test_a_checkpoint_belongs_to_one_channel_and_chaincode(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.json"
    Checkpoint(path, channel="a", chaincode="b").handled(ChaincodeEvent(3, "t", "n", b""))
    assert Checkpoint(path, channel="a", chaincode="b").position == Position(3, "t")
    assert json.loads(path.read_text())["v"] == 1
    for channel, chaincode in (("a", "c"), ("c", "b")):
        with pytest.raises(ConfigurationError, match="another channel or chaincode"):
            Checkpoint(path, channel=channel, chaincode=chaincode)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"block": "3", "transaction_id": "t"}', "\udcff"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "checkpoint.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigurationError, match="is no checkpoint"):
        Checkpoint(path, channel="a", chaincode="b")


def test_a_checkpoint_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "away" / "c.json", channel="a", chaincode="b")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        checkpoint.handled(ChaincodeEvent(3, "t", "n", b""))
    assert checkpoint.position == Position(0)
    (tmp_path / "c.json").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Checkpoint(tmp_path / "c.json", channel="a", chaincode="b")
