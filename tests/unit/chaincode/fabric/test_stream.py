"""A stream with one peer: what a transaction asks, and what the peer is told of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest
from fakes.fabric_peer import FakePeer, Message
from support.chaincode_server import PACKAGE_ID, peer_of

from chaincode.fabric import stream
from chaincode.fabric.errors import ChaincodeError, PeerError
from chaincode.fabric.stub import Stub

Test = Callable[[FakePeer], Awaitable[None]]


def run(handler, test: Test, **how) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), peer_of(handler, **how) as peer:
            await test(peer)
            assert peer.overlapping == 0

    asyncio.run(main())


async def echo(stub: Stub) -> bytes:
    return b" ".join(stub.arguments)


def test_it_registers_under_its_package_id_and_answers():
    async def test(peer: FakePeer) -> None:
        assert peer.registered == PACKAGE_ID
        outcome = await peer.invoke(b"say", b"hello")
        assert (outcome.status, outcome.payload, outcome.event) == (200, b"say hello", None)

    run(echo, test)


def test_a_refusal_is_told_and_leaves_no_event():
    async def refuse(stub: Stub) -> bytes:
        stub.set_event("records", b"[]")
        raise ChaincodeError("no", 404)

    async def test(peer: FakePeer) -> None:
        outcome = await peer.invoke(b"x")
        assert (outcome.status, outcome.message, outcome.event) == (404, "no", None)

    run(refuse, test)


def test_of_an_exception_the_class_alone_is_told():
    async def fail(stub: Stub) -> bytes:
        raise ValueError("4111 1111 1111 1111")

    async def test(peer: FakePeer) -> None:
        outcome = await peer.invoke(b"x")
        assert (outcome.status, outcome.message) == (500, "ValueError")

    run(fail, test)


def test_requests_of_one_transaction_wait_for_one_another():
    async def hasty(stub: Stub) -> bytes:
        values = await asyncio.gather(*(stub.get(f"k{index}") for index in range(20)))
        return b",".join(value or b"" for value in values)

    async def test(peer: FakePeer) -> None:
        peer.state = {f"k{index}": b"%d" % index for index in range(20)}
        assert (await peer.invoke(b"x")).payload == b",".join(b"%d" % index for index in range(20))

    run(hasty, test)


def test_many_transactions_share_a_stream_and_each_gets_its_own_answers():
    async def mirror(stub: Stub) -> bytes:
        key = stub.arguments[0].decode()
        await stub.write({key: await stub.get(key)})
        return await stub.get(key) or b""

    async def test(peer: FakePeer) -> None:
        peer.state = {f"k{index}": b"%d" % index for index in range(200)}
        outcomes = await asyncio.gather(*(peer.invoke(b"k%d" % index) for index in range(200)))
        assert [outcome.payload for outcome in outcomes] == [b"%d" % index for index in range(200)]
        assert [outcome.writes for outcome in outcomes] == [{f"k{i}": b"%d" % i} for i in range(200)]

    run(mirror, test)


WRITES = {f"k{index:02}": None if index % 5 == 0 else b"v%d" % index for index in range(25)}


async def write_all(stub: Stub) -> bytes:
    await stub.write(WRITES)
    return b""


@pytest.mark.parametrize(("limit", "sizes"), [(10, [10, 10, 5]), (25, [25]), (1000, [25])])
def test_writes_travel_in_batches_of_the_announced_size(limit: int, sizes: list[int]):
    async def test(peer: FakePeer) -> None:
        outcome = await peer.invoke(b"x")
        assert outcome.writes == WRITES
        assert peer.batch_sizes == sizes

    run(write_all, test, writes=limit)


@pytest.mark.parametrize("how", [{"writes": None, "reads": None}, {"writes": 0, "reads": 10}])
def test_writes_travel_singly_where_no_batches_are_offered(how: dict[str, int | None]):
    async def test(peer: FakePeer) -> None:
        outcome = await peer.invoke(b"x")
        assert outcome.writes == WRITES
        assert set(outcome.requests) == {Message.PUT_STATE, Message.DEL_STATE}
        assert len(outcome.requests) == 25

    run(write_all, test, **how)


@pytest.mark.parametrize(("limit", "requests"), [(2, 3), (5, 1), (None, 5)])
def test_several_keys_are_read_at_once_where_that_is_offered(limit: int | None, requests: int):
    async def read(stub: Stub) -> bytes:
        return repr(await stub.get_multiple(["a", "b", "absent", "c", "d"])).encode()

    async def test(peer: FakePeer) -> None:
        peer.state = {name: name.encode() for name in "abcd"}
        outcome = await peer.invoke(b"x")
        assert outcome.payload == b"[b'a', b'b', None, b'c', b'd']"
        assert len(outcome.requests) == requests

    run(read, test, reads=limit, writes=limit)


@pytest.mark.parametrize(("limit", "expected"), [(1, 1), (3, 3), (4, 4), (7, 7), (100, 10)])
def test_a_scan_is_ordered_paged_and_ends_at_its_limit(limit: int, expected: int):
    async def scan(stub: Stub) -> bytes:
        return repr(await stub.scan("k/", "k0", limit)).encode()

    async def test(peer: FakePeer) -> None:
        peer.state = {f"k/{index}": b"v" for index in range(10)} | {"j/1": b"v", "l/1": b"v"}
        outcome = await peer.invoke(b"x")
        assert outcome.payload == repr([(f"k/{index}", b"v") for index in range(expected)]).encode()
        # Left early, a scan is closed, and the next one starts anew.
        assert (outcome.requests[-1] == Message.QUERY_STATE_CLOSE) == (expected <= 7 and expected != 10)
        assert (await peer.invoke(b"x")).payload == outcome.payload

    run(scan, test, page=3)


def test_a_peers_error_fails_the_transaction():
    async def careless(stub: Stub) -> bytes:
        await stub.write({"k": b"v"})
        return b"done"

    async def test(peer: FakePeer) -> None:
        peer.failing = {Message.WRITE_BATCH_STATE}
        assert (await peer.invoke(b"x")).message == PeerError.__name__
        peer.failing = set()
        assert (await peer.invoke(b"x")).payload == b"done"

    run(careless, test)


def test_a_handler_that_swallows_a_peers_error_does_not_succeed():
    async def swallow(stub: Stub) -> bytes:
        with contextlib.suppress(PeerError):
            await stub.write({"k": b"v"})
        with pytest.raises(PeerError):
            await stub.get("k")
        return b"done"

    async def test(peer: FakePeer) -> None:
        peer.failing = {Message.WRITE_BATCH_STATE}
        outcome = await peer.invoke(b"x")
        assert (outcome.status, outcome.message) == (500, PeerError.__name__)

    run(swallow, test)


def test_after_a_request_that_was_given_up_no_answer_is_taken_for_another():
    async def impatient(stub: Stub) -> bytes:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stub.get("slow"), 0.05)
        with contextlib.suppress(PeerError):
            return await stub.get("k") or b""
        return b"went on"

    async def test(peer: FakePeer) -> None:
        peer.silent = {Message.GET_STATE}
        outcome = await peer.invoke(b"x")
        assert (outcome.status, outcome.message) == (500, PeerError.__name__)
        assert len(outcome.requests) == 1

    run(impatient, test)


def test_a_request_that_is_never_answered_fails_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream, "_REQUEST_SECONDS", 0.1)

    async def patient(stub: Stub) -> bytes:
        return await stub.get("k") or b""

    async def test(peer: FakePeer) -> None:
        peer.silent = {Message.GET_STATE}
        assert (await peer.invoke(b"x")).message == PeerError.__name__
        peer.silent = set()
        assert (await peer.invoke(b"x")).status == 200

    run(patient, test)


def test_a_sign_of_life_is_given_when_the_peer_asks():
    async def test(peer: FakePeer) -> None:
        await peer.keepalive()
        await peer.invoke(b"x")
        assert peer.kept_alive == 1

    run(echo, test)


def test_a_proposal_that_cannot_be_read_is_answered_and_the_stream_lives_on():
    async def test(peer: FakePeer) -> None:
        outcome = await peer.invoke(b"x", raw_proposal=b"\xff\xff\xff")
        assert (outcome.status, outcome.message) == (500, "the proposal cannot be read")
        assert (await peer.invoke(b"x")).status == 200

    run(echo, test)


def test_an_initialisation_is_answered_with_no():
    async def test(peer: FakePeer) -> None:
        assert (await peer.invoke(b"x", kind=Message.INIT)).status == 500

    run(echo, test)


def test_a_second_transaction_of_the_same_id_is_turned_away():
    begun, ran = asyncio.Event(), []

    async def slow(stub: Stub) -> bytes:
        ran.append(stub.transaction_id)
        await begun.wait()
        return b"first"

    async def test(peer: FakePeer) -> None:
        txid = await peer.begin(b"x")
        await peer.begin(b"x", txid=txid)
        assert (await peer.outcome(txid)).message == "not taken"
        assert ran == [txid]
        begun.set()

    run(slow, test)


def test_what_is_in_flight_ends_when_the_peer_leaves():
    ended = []

    async def patient(stub: Stub) -> bytes:
        try:
            await stub.get("k")
        except asyncio.CancelledError:
            ended.append(stub.transaction_id)
            raise
        return b""

    async def main() -> None:
        async with peer_of(patient) as peer:
            peer.silent = {Message.GET_STATE}
            txid = await peer.begin(b"x")
            await asyncio.sleep(0.1)
            peer._call.cancel()
            await asyncio.sleep(0.2)
            assert ended == [txid]

    asyncio.run(main())
