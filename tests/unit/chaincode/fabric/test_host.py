"""Our contracts behind a peer: the context's limits, what a refusal says, whose clock counts."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fakes.fabric_peer import FakePeer, Message, Outcome
from support import certificates as certs
from support import creators
from support.chaincode_server import peer_of

from chaincode import canonical, catalogue
from chaincode.errors import Refusal
from chaincode.fabric.host import host
from chaincode.host_limits import MAX_RECORD, MAX_SCAN
from chaincode.parties import CHARTER_KEY, DEFAULT_SKEW_MS

NOW = certs.DURING
ADMIN = ("OperatorMSP", certs.member())
SKEW = 60_000
CHARTER = {
    "origin": "hospital.example/0123456789abcdef",
    "parties": {"operator": "OperatorMSP", "regulator": "RegulatorMSP"},
    "independent": "regulator",
    "grants": {"pipeline": [{"party": "operator", "role": "pipeline"}]},
    "skew_ms": SKEW,
    "log_format": "tallystick-log-v1",
}


def run(
    test: Callable[[FakePeer], Awaitable[Any]], invoke: Any = catalogue.invoke, clock: int = NOW, **how: Any
) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), peer_of(host(invoke, lambda: clock), **how) as peer:
            await test(peer)

    asyncio.run(main())


async def call(peer: FakePeer, name: str, request: Any, **how: Any) -> Outcome:
    how = {"creator": ADMIN, "time_ms": NOW, **how}
    return await peer.invoke(name.encode(), canonical.encode(request), **how)


def refusal(outcome: Outcome) -> Any:
    assert outcome.status == 400
    assert (outcome.writes, outcome.event) == ({}, None)
    told = canonical.decode(outcome.message.encode())
    assert told.keys() == {"code", "facts"}
    return told


def test_the_charter_is_adopted_once_and_read():
    async def test(peer: FakePeer) -> None:
        assert refusal(await call(peer, "charter:read", {}))["code"] == "NO_CHARTER"
        adopted = await call(peer, "charter:adopt", CHARTER)
        assert adopted.status == 200, adopted.message
        assert adopted.event.event_name == "records"
        [record] = canonical.decode(adopted.event.payload)
        encoded = canonical.digest(canonical.encode(record))
        assert canonical.decode(adopted.payload)["digest"]["sha256"] == encoded
        assert list(adopted.writes) == sorted(adopted.writes)
        assert canonical.decode((await call(peer, "charter:read", {})).payload)["skew_ms"] == SKEW
        assert refusal(await call(peer, "charter:adopt", CHARTER))["code"] == "CHARTER_EXISTS"

    run(test)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((b"charter:adopt", b"{}", b"more"), "MALFORMED"),
        ((b"charter:adopt",), "MALFORMED"),
        ((b"charter.adopt", b"{}"), "MALFORMED"),
        ((b"\xff:adopt", b"{}"), "UNKNOWN_CONTRACT"),
        ((b"other:adopt", b"{}"), "UNKNOWN_CONTRACT"),
        ((b"charter:other", b"{}"), "UNKNOWN_TRANSACTION"),
        ((b"charter:adopt", b'{"b":1, "a":2}'), "NOT_CANONICAL"),
        ((b"charter:adopt", b'{"secret":"4111"}'), "MALFORMED"),
    ],
)
def test_what_is_no_request_is_refused_without_repeating_it(arguments: tuple[bytes, ...], code: str):
    async def test(peer: FakePeer) -> None:
        outcome = await peer.invoke(*arguments, creator=ADMIN, time_ms=NOW)
        assert refusal(outcome)["code"] == code
        assert "4111" not in outcome.message

    run(test)


@pytest.mark.parametrize(
    ("off", "taken"), [(SKEW, True), (-SKEW, True), (SKEW + 1, False), (-SKEW - 1, False)]
)
def test_a_claimed_time_off_the_peers_clock_is_refused_by_the_charters_skew(off: int, taken: bool):
    async def test(peer: FakePeer) -> None:
        peer.state[CHARTER_KEY] = canonical.encode(CHARTER)
        outcome = await call(peer, "charter:read", {}, time_ms=NOW + off)
        if taken:
            assert outcome.status == 200
        else:
            assert refusal(outcome) == {"code": "CLOCK_SKEW", "facts": {"limit_ms": SKEW}}

    run(test)


def test_before_there_is_a_charter_the_default_skew_counts():
    async def test(peer: FakePeer) -> None:
        late = await call(peer, "charter:adopt", CHARTER, time_ms=NOW - DEFAULT_SKEW_MS - 1)
        assert refusal(late)["facts"] == {"limit_ms": DEFAULT_SKEW_MS}
        assert (await call(peer, "charter:adopt", CHARTER, time_ms=NOW - DEFAULT_SKEW_MS)).status == 200

    run(test)


@pytest.mark.parametrize(
    ("time_ms", "code"),
    [
        (int(certs.START.timestamp() * 1000) - 1000, "NOT_YET_VALID"),
        (int(certs.END.timestamp() * 1000) + 1000, "EXPIRED"),
    ],
)
def test_a_certificate_out_of_its_time_is_refused(time_ms: int, code: str):
    async def test(peer: FakePeer) -> None:
        assert refusal(await call(peer, "charter:adopt", CHARTER, time_ms=time_ms))["code"] == code

    run(test, clock=time_ms)


def test_a_certificate_behind_the_one_that_the_peer_judged_makes_nobody_of_it():
    async def test(peer: FakePeer) -> None:
        behind = ("OperatorMSP", creators.called(creators.OWN, b"WHATEVER") + certs.member())
        told = refusal(await call(peer, "charter:adopt", CHARTER, creator=behind))
        assert told["code"] == "NOT_A_MEMBER"
        assert (await call(peer, "charter:adopt", CHARTER)).status == 200

    run(test)


def test_a_contracts_own_exception_is_told_by_its_class():
    async def broken(context, contract, transaction, request) -> bytes:
        await context.put("charter/x", b"v")
        raise ValueError("4111 1111 1111 1111")

    async def test(peer: FakePeer) -> None:
        outcome = await call(peer, "charter:x", {})
        assert outcome.status == 500
        assert json.loads(outcome.message) == {"code": "CONTRACT_FAULT", "facts": {"error": "ValueError"}}
        assert outcome.writes == {}

    run(test, broken)


@pytest.mark.parametrize("waits", [lambda: asyncio.sleep(0), lambda: asyncio.sleep(0.01)])
def test_a_contract_waits_for_nothing_but_its_context(waits: Callable[[], Awaitable[None]]):
    async def patient(context: Any, *_: Any) -> bytes:
        await context.get("probe/a")
        await waits()
        return b"null"

    async def test(peer: FakePeer) -> None:
        assert refusal(await call(peer, "probe:wait", {})) == {
            "code": "CONTRACT_FAULT",
            "facts": {"error": "awaits something that is not its context"},
        }

    run(test, patient)


def test_a_write_that_the_peer_refused_is_no_success():
    async def test(peer: FakePeer) -> None:
        peer.failing = {Message.WRITE_BATCH_STATE}
        outcome = await call(peer, "charter:adopt", CHARTER)
        assert (outcome.status, outcome.event) == (500, None)
        assert json.loads(outcome.message)["code"] == "PEER_FAULT"

    run(test)


def doing(*steps: Callable[[Any], Awaitable[Any]]) -> Any:
    """A contract of the given steps; its response is what each gave, or the code of its refusal."""

    async def invoke(context, contract, transaction, request) -> bytes:
        results = []
        for step in steps:
            try:
                results.append(await step(context))
            except Refusal as refused:
                results.append(refused.code)
        return canonical.encode([str(result) for result in results])

    return invoke


async def emit(context: Any, record: bytes) -> None:
    context.emit(record)


def test_a_transaction_does_not_read_its_own_writes_and_asks_for_a_key_once():
    invoke = doing(
        lambda context: context.put("charter/k", b"new"),
        lambda context: context.get("charter/k"),
        lambda context: context.scan("charter/k", "charter/l", 10),
        lambda context: context.delete("charter/gone"),
        lambda context: context.get("charter/gone"),
        lambda context: context.put("charter/k", b"newest"),
        lambda context: context.get("charter/k"),
    )

    async def test(peer: FakePeer) -> None:
        peer.state |= {"charter/k": b"old", "charter/gone": b"there"}
        outcome = await call(peer, "charter:x", {})
        given = canonical.decode(outcome.payload)
        assert given == ["None", "b'old'", "[('charter/k', b'old')]", "None", "b'there'", "None", "b'old'"]
        assert outcome.writes == {"charter/k": b"newest", "charter/gone": None}
        # The charter, two keys, the scan, and all writes at the end.
        kinds = [Message.GET_STATE] * 2 + [Message.GET_STATE_BY_RANGE, Message.GET_STATE]
        assert outcome.requests == [*kinds, Message.WRITE_BATCH_STATE]

    run(test, invoke)


def test_the_limits_are_those_of_the_embedded_host():
    invoke = doing(
        lambda context: context.get("no key"),
        lambda context: context.put("provenance/x", b"v"),
        lambda context: context.put("streams/x", b"v"),
        lambda context: context.put("charter/x", b"\xff"),
        lambda context: context.delete("provenance/x"),
        lambda context: context.scan("b", "a", 1),
        lambda context: context.scan("a", "b", MAX_SCAN + 1),
        lambda context: emit(context, b"x" * (MAX_RECORD + 1)),
    )
    expected = ["INVALID_KEY", "FOREIGN_KEY", "None", "INVALID_VALUE", "FOREIGN_KEY", "INVALID_SCAN"]

    async def test(peer: FakePeer) -> None:
        outcome = await call(peer, "charter:x", {})
        assert canonical.decode(outcome.payload) == [*expected, "INVALID_SCAN", "TOO_LARGE"]

    run(test, invoke)


def test_all_records_travel_in_one_event_in_their_order():
    records = [b'{"n":%d}' % number for number in range(3)]
    invoke = doing(*(lambda context, record=record: emit(context, record) for record in records))

    async def test(peer: FakePeer) -> None:
        outcome = await call(peer, "charter:x", {})
        assert outcome.event.payload == b'[{"n":0},{"n":1},{"n":2}]'

    run(test, invoke)


def test_the_clock_is_the_hosts_own_where_none_is_given():
    async def main() -> None:
        async with peer_of(host(catalogue.invoke)) as peer:
            outcome = await call(peer, "charter:read", {}, time_ms=time.time_ns() // 1_000_000 - 86_400_000)
            assert refusal(outcome)["code"] in ("CLOCK_SKEW", "EXPIRED")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("offered", "asked"),
    [
        ({"reads": 10, "writes": 10}, [Message.GET_STATE, Message.GET_STATE_MULTIPLE]),
        ({"reads": None, "writes": None}, [Message.GET_STATE] * 4),
    ],
)
def test_many_keys_are_asked_for_at_once_where_that_is_offered_and_each_once(
    offered: dict[str, int | None], asked: list[int]
):
    async def many(context, contract, transaction, request) -> bytes:
        first = await context.get_many(["charter/b", "charter/none", "charter/a", "charter/b"])
        again = [await context.get("charter/a"), *await context.get_many(["charter/none", CHARTER_KEY])]
        return repr((first, again)).encode()

    async def test(peer: FakePeer) -> None:
        peer.state |= {"charter/a": b"1", "charter/b": b"2"}
        outcome = await call(peer, "charter:x", {})
        assert outcome.payload == b"([b'2', None, b'1', b'2'], [b'1', None, None])"
        assert outcome.requests == asked

    run(test, invoke=many, **offered)
