"""Calls of peers that answer, refuse, hang, lie or go away."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fakes.fabric_gateway import Code, FakeChannel, FakePeer, fails, garbage, hangs

from tallystick.ledger.fabric import (
    CommitStatusError,
    EndorseError,
    EvaluateError,
    Gateway,
    Reason,
    Refusal,
    SubmitError,
    connection,
)

EXPIRED = "proposal client identity expired"
UNAVAILABLE = fails(Code.UNAVAILABLE, "the peer is starting")


def test_a_transaction_is_committed_and_a_query_answered(
    gateway: Gateway, new: Any, channel: FakeChannel
) -> None:
    committed = gateway.submit(new)
    assert (committed.block, committed.payload) == (0, b"put it")
    assert channel.codes == {committed.transaction_id: (0, 0)}
    assert gateway.evaluate(new(b"get", b"it")) == b"get it"
    assert len(channel.blocks) == 1, "a query writes nothing"


def test_many_threads_share_one_gateway(gateway: Gateway, new: Any, channel: FakeChannel) -> None:
    with ThreadPoolExecutor(64) as pool:
        committed = list(pool.map(lambda number: gateway.submit(partial(new, b"%d" % number)), range(128)))
    assert [each.payload for each in committed] == [b"%d" % number for number in range(128)]
    assert sorted(each.block for each in committed) == list(range(128))


@pytest.mark.parametrize(("stage", "code"), [("endorse", "ABORTED"), ("evaluate", "UNKNOWN")])
def test_the_chaincodes_refusal_arrives_whole(
    gateway: Gateway, new: Any, peers: list[FakePeer], stage: str, code: str
) -> None:
    proposal = new(b"refuse")
    with pytest.raises((EndorseError, EvaluateError)) as caught:
        getattr(gateway, stage)(proposal)
    error = caught.value
    assert (error.stage, error.code, error.peer) == (stage.rstrip("e") + "ing", code, peers[0].address)
    assert error.transaction_id == proposal.transaction_id
    assert error.refusal == Refusal(400, '{"code":"NO"}')
    said = 'chaincode response 400, {"code":"NO"}'
    assert error.reasons == (Reason(peers[0].address, "OperatorMSP", said),)
    assert not error.outcome_unknown
    for part in (error.stage, proposal.transaction_id, code, "OperatorMSP", said):
        assert part in str(error)
    assert peers[1].calls == [], "nobody else is asked"


def test_a_chaincodes_words_are_not_taken_for_the_networks(
    gateway: Gateway, new: Any, peers: list[FakePeer]
) -> None:
    said = 'chaincode response 400, {"code":"FORBIDDEN","facts":{}}'
    behaviour = fails(Code.ABORTED, "failed to endorse", (peers[0].address, "OperatorMSP", said))
    peers[0].script["Endorse"].append(behaviour)
    with pytest.raises(EndorseError, match="FORBIDDEN") as caught:
        gateway.endorse(new())
    assert caught.value.hint == ""


def test_a_peer_with_too_much_to_do_is_passed_over_but_what_is_too_large_stays_so(
    gateway: Gateway, new: Any, peers: list[FakePeer]
) -> None:
    busy = "too many requests for /gateway.Gateway, exceeding concurrency limit (500)"
    peers[0].script["Endorse"].append(fails(Code.RESOURCE_EXHAUSTED, busy))
    assert gateway.endorse(new()).payload == b"put it"
    large = fails(Code.RESOURCE_EXHAUSTED, "Received message larger than max (104857601 vs. 104857600)")
    for peer in peers:
        peer.script["Submit"].append(large)
    with pytest.raises(SubmitError, match="put less into it") as caught:
        gateway.submit(new)
    assert not caught.value.outcome_unknown
    assert len(peers[0].script["Submit"]) == 1


@pytest.mark.parametrize("method", ["Evaluate", "Endorse", "Submit", "CommitStatus"])
def test_the_next_peer_is_asked_when_one_is_unavailable(
    gateway: Gateway, new: Any, peers: list[FakePeer], method: str
) -> None:
    peers[0].script[method].append(UNAVAILABLE)
    assert gateway.evaluate(new()) == b"put it"
    assert gateway.submit(new).payload == b"put it"
    assert (peers[0].calls.count(method), peers[1].calls.count(method)) == (1, 1)
    gateway.evaluate(new())
    gateway.submit(new)
    assert (peers[0].calls.count(method), peers[1].calls.count(method)) == (1, 2), "and asked first for now"


def test_the_preferred_peer_is_asked_again_after_a_while(
    gateway: Gateway, new: Any, peers: list[FakePeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_AWAY", 0.1)
    peers[0].script["Evaluate"].append(UNAVAILABLE)
    gateway.evaluate(new())
    time.sleep(0.11)
    gateway.evaluate(new())
    assert (len(peers[0].calls), len(peers[1].calls)) == (2, 1)


def test_no_other_peer_is_asked_when_the_identity_has_expired(
    gateway: Gateway, new: Any, peers: list[FakePeer]
) -> None:
    reason = (peers[0].address, "OperatorMSP", EXPIRED)
    peers[0].script["Evaluate"].append(fails(Code.UNAVAILABLE, "failed to evaluate transaction", reason))
    with pytest.raises(EvaluateError, match="expired") as caught:
        gateway.evaluate(new())
    assert "Enrol it anew" in caught.value.hint
    peers[0].script["Submit"].append(fails(Code.UNAVAILABLE, EXPIRED))
    with pytest.raises(SubmitError, match="expired"):
        gateway.submit(new)
    assert peers[1].calls == []


def test_what_the_next_peer_says_is_the_answer(gateway: Gateway, new: Any, peers: list[FakePeer]) -> None:
    peers[0].script["Endorse"].append(UNAVAILABLE)
    with pytest.raises(EndorseError) as caught:
        gateway.endorse(new(b"refuse"))
    assert (caught.value.code, caught.value.peer) == ("ABORTED", peers[1].address)
    assert [reason.address for reason in caught.value.reasons] == [peers[1].address]


def test_why_another_peer_was_asked_is_told_with_what_it_said(
    gateway: Gateway, new: Any, peers: list[FakePeer]
) -> None:
    late = "error sending: timeout expired while executing transaction"
    peers[0].script["Endorse"].append(fails(Code.ABORTED, "failed", ("one:7051", "RegulatorMSP", late)))
    busy = "chaincode response 500, not taken"
    peers[1].script["Endorse"].append(fails(Code.ABORTED, "failed", ("one:7051", "RegulatorMSP", busy)))
    with pytest.raises(EndorseError) as caught:
        gateway.endorse(new())
    assert caught.value.peer == peers[1].address
    assert [reason.message for reason in caught.value.reasons] == [busy, late]
    assert "No answer in time" in caught.value.hint


def test_every_peers_reason_is_told_when_none_will_do(
    gateway: Gateway, new: Any, peers: list[FakePeer]
) -> None:
    for peer in peers:
        peer.script["Endorse"].append(UNAVAILABLE)
    with pytest.raises(EndorseError) as caught:
        gateway.endorse(new())
    assert [reason.address for reason in caught.value.reasons] == [peer.address for peer in peers]
    assert str(caught.value).count("the peer is starting") == 2


@pytest.mark.parametrize(
    "gone",
    [
        "could not launch chaincode ledger: connection refused",
        "chaincode response 500, the chaincode is ending",
    ],
)
def test_a_proposal_goes_elsewhere_when_a_peers_chaincode_is_gone(
    gateway: Gateway, new: Any, peers: list[FakePeer], gone: str
) -> None:
    peers[0].script["Endorse"].append(fails(Code.ABORTED, "failed", (peers[0].address, "OperatorMSP", gone)))
    assert gateway.submit(new).payload == b"put it"
    assert "Endorse" in peers[1].calls


def test_what_a_chaincode_refused_is_asked_of_nobody_else(
    gateway: Gateway, new: Any, peers: list[FakePeer]
) -> None:
    for said in ("chaincode response 400, the chaincode is ending", "chaincode response 500, not taken"):
        reason = (peers[0].address, "OperatorMSP", said)
        peers[0].script["Endorse"].append(fails(Code.ABORTED, "failed", reason))
        with pytest.raises(EndorseError, match="chaincode response"):
            gateway.submit(new)
    assert peers[1].calls == []


@pytest.mark.parametrize(
    ("method", "kind"), [("Evaluate", EvaluateError), ("Endorse", EndorseError), ("Submit", SubmitError)]
)
def test_a_peer_that_hangs_is_given_up_and_not_asked_first_again(
    hurried: Gateway, new: Any, peers: list[FakePeer], method: str, kind: type[Exception]
) -> None:
    endorsed = hurried.endorse(new())
    calls = {
        "Evaluate": lambda: hurried.evaluate(new()),
        "Endorse": lambda: hurried.endorse(new()),
        "Submit": lambda: hurried.send(endorsed),
    }
    peers[0].script[method].append(hangs)
    began = time.monotonic()
    with pytest.raises(kind, match="DEADLINE_EXCEEDED") as caught:
        calls[method]()
    assert time.monotonic() - began < 3
    assert peers[0].address in str(caught.value)
    calls[method]()
    assert peers[1].calls == [method]


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("Evaluate", EvaluateError),
        ("Endorse", EndorseError),
        ("Submit", SubmitError),
        ("CommitStatus", CommitStatusError),
    ],
)
def test_garbage_is_an_error_of_its_stage(
    gateway: Gateway, new: Any, peers: list[FakePeer], method: str, kind: type[Any]
) -> None:
    for peer in peers:
        peer.script[method].append(garbage)
    with pytest.raises(kind) as caught:
        gateway.evaluate(new()) if method == "Evaluate" else gateway.submit(new)
    assert caught.value.code == "INTERNAL"
    assert caught.value.outcome_unknown == (method in ("Submit", "CommitStatus"))


def test_details_that_cannot_be_read_are_no_error_of_ours(
    gateway: Gateway, new: Any, peers: list[FakePeer]
) -> None:
    def behave(peer: FakePeer, request: Any, context: Any) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff"),))
        context.abort(Code.ABORTED, "no")

    peers[0].script["Endorse"].append(behave)
    with pytest.raises(EndorseError, match="cannot be read"):
        gateway.endorse(new())


@pytest.mark.parametrize("what", ["nothing", "another transaction", "no transaction"])
def test_nothing_is_signed_but_what_was_proposed(
    gateway: Gateway, new: Any, peers: list[FakePeer], channel: FakeChannel, what: str
) -> None:
    other = new(b"give", b"away")

    def behave(peer: FakePeer, request: Any, context: Any) -> Any:
        if what == "another transaction":
            swapped = gateway_pb2.EndorseRequest(
                transaction_id=other.transaction_id, proposed_transaction=other.signed()
            )
            return peer.endorse(swapped, context)
        payload = b"" if what == "nothing" else b"\xff"
        return gateway_pb2.EndorseResponse(prepared_transaction=common_pb2.Envelope(payload=payload))

    peers[0].script["Endorse"].append(behave)
    with pytest.raises(EndorseError, match="another transaction than was proposed"):
        gateway.submit(new)
    assert channel.blocks == []


def test_the_organisations_that_are_to_endorse_are_passed_on(
    gateway: Gateway, new: Any, peers: list[FakePeer]
) -> None:
    seen = []

    def behave(peer: FakePeer, request: Any, context: Any) -> Any:
        seen.append(list(request.endorsing_organizations))
        return peer.endorse(request, context)

    peers[0].script["Endorse"].append(behave)
    gateway.submit(new, organisations=["OperatorMSP", "RegulatorMSP"])
    assert seen == [["OperatorMSP", "RegulatorMSP"]]
