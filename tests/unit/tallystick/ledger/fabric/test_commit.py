"""From an endorsed transaction to one that counts: orderers that forget, conflicts, duplicates."""

from __future__ import annotations

import time
from typing import Any

import pytest
from fabric_protos.gateway import gateway_pb2
from fakes.fabric_gateway import Code, FakeChannel, FakePeer, fails, hangs, then_fails

from tallystick.ledger.fabric import (
    CommitError,
    CommitStatusError,
    EndorseError,
    Gateway,
    SubmitError,
)


def test_an_envelope_that_was_forgotten_is_sent_again_and_counts_once(
    hurried: Gateway, new: Any, peers: list[FakePeer], channel: FakeChannel
) -> None:
    channel.losing = 1
    committed = hurried.submit(new)
    assert committed.block == 0
    calls = peers[0].calls + peers[1].calls
    assert (calls.count("Endorse"), calls.count("Submit")) == (1, 2), "the same envelope"
    assert list(channel.codes) == [committed.transaction_id]
    before = len(peers[0].calls)
    hurried.evaluate(new())
    assert len(peers[0].calls) == before + 1, "that nothing came was no fault of the peer's"


def test_an_orderer_that_forgets_everything_leaves_the_outcome_unknown(
    hurried: Gateway, new: Any, channel: FakeChannel
) -> None:
    channel.losing = 1000
    began = time.monotonic()
    with pytest.raises(CommitStatusError) as caught:
        hurried.submit(new)
    assert time.monotonic() - began < 6
    assert caught.value.outcome_unknown
    assert caught.value.transaction_id in str(caught.value)


def test_orderers_without_a_leader_are_waited_for(gateway: Gateway, new: Any, peers: list[FakePeer]) -> None:
    for peer in peers:
        peer.script["Submit"].extend([fails(Code.UNAVAILABLE, "no orderers could process it")] * 2)
    assert gateway.submit(new).block == 0


def test_orderers_without_a_leader_for_long_are_an_error(
    hurried: Gateway, new: Any, peers: list[FakePeer]
) -> None:
    reason = ("orderer1:7050", "OrdererMSP", "status=SERVICE_UNAVAILABLE, info=no Raft leader")
    for peer in peers:
        peer.script["Submit"].extend([fails(Code.UNAVAILABLE, "no orderers could process it", reason)] * 99)
    began = time.monotonic()
    with pytest.raises(SubmitError, match="orderer1:7050") as caught:
        hurried.submit(new)
    assert time.monotonic() - began < 6
    assert caught.value.outcome_unknown
    assert "leader" in caught.value.hint


def test_who_hung_is_told_though_the_last_attempt_had_no_time_for_it(
    hurried: Gateway, new: Any, peers: list[FakePeer], channel: FakeChannel
) -> None:
    channel.losing = 1000
    reason = ("orderer1:7050", "OrdererMSP", "context deadline exceeded")
    for peer in peers:
        peer.script["Submit"].append(fails(Code.UNAVAILABLE, "no orderers could process it", reason))
        peer.script["Submit"].extend([hangs] * 99)
    with pytest.raises(SubmitError, match="orderer1:7050") as caught:
        hurried.submit(new)
    assert caught.value.outcome_unknown


def test_a_submission_that_is_said_to_fail_and_did_not_counts_once(
    gateway: Gateway, new: Any, peers: list[FakePeer], channel: FakeChannel
) -> None:
    peers[0].script["Submit"].append(then_fails("submit", Code.UNAVAILABLE, "broken"))
    peers[1].script["Submit"].append(then_fails("submit", Code.UNAVAILABLE, "broken"))
    committed = gateway.submit(new)
    assert committed.block == 0
    assert list(channel.codes) == [committed.transaction_id]


def test_a_duplicate_of_our_own_is_looked_up(gateway: Gateway, new: Any, peers: list[FakePeer]) -> None:
    duplicate = gateway_pb2.CommitStatusResponse(result=9, block_number=7)
    peers[0].script["CommitStatus"].append(lambda peer, request, context: duplicate)
    assert gateway.submit(new).block == 0
    peers[0].script["CommitStatus"].extend([lambda peer, request, context: duplicate] * 2)
    with pytest.raises(CommitError, match="DUPLICATE_TXID in block 7"):
        gateway.submit(new)


def test_what_the_orderers_refuse_is_not_sent_again(
    gateway: Gateway, new: Any, peers: list[FakePeer]
) -> None:
    peers[0].script["Submit"].append(fails(Code.ABORTED, "status=FORBIDDEN, info=implicit policy"))
    with pytest.raises(SubmitError, match="FORBIDDEN") as caught:
        gateway.submit(new)
    assert not caught.value.outcome_unknown
    assert "admit" in caught.value.hint
    assert peers[0].calls.count("Submit") == 1


def test_a_status_that_is_refused_is_not_asked_for_again(
    gateway: Gateway, new: Any, peers: list[FakePeer]
) -> None:
    peers[0].script["CommitStatus"].append(fails(Code.PERMISSION_DENIED, "access denied"))
    with pytest.raises(CommitStatusError) as caught:
        gateway.submit(new)
    assert caught.value.outcome_unknown
    assert peers[0].calls.count("CommitStatus") == 1


@pytest.mark.parametrize("code", ["MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT"])
def test_a_conflict_is_proposed_anew(gateway: Gateway, new: Any, channel: FakeChannel, code: str) -> None:
    channel.verdicts.extend([code, code])
    made = []

    def make() -> Any:
        made.append(new())
        return made[-1]

    assert gateway.submit(make).transaction_id == made[2].transaction_id
    assert len({proposal.transaction_id for proposal in made}) == len(made) == 3


def test_a_conflict_that_lasts_is_an_error(hurried: Gateway, new: Any, channel: FakeChannel) -> None:
    channel.verdicts.extend(["MVCC_READ_CONFLICT"] * 1000)
    began = time.monotonic()
    with pytest.raises(CommitError, match="MVCC_READ_CONFLICT") as caught:
        hurried.submit(new)
    assert time.monotonic() - began < 2
    assert (caught.value.validation_code, caught.value.conflict) == ("MVCC_READ_CONFLICT", True)


def test_what_does_not_count_is_not_proposed_anew(
    gateway: Gateway, new: Any, channel: FakeChannel, peers: list[FakePeer]
) -> None:
    channel.verdicts.append("ENDORSEMENT_POLICY_FAILURE")
    with pytest.raises(CommitError, match="ENDORSEMENT_POLICY_FAILURE in block 0") as caught:
        gateway.submit(new)
    assert caught.value.block == 0
    assert peers[0].calls.count("Endorse") == 1


@pytest.mark.parametrize("said", ["ProposalResponsePayloads do not match", "chaincode response 400, UNKNOWN"])
def test_endorsers_that_differ_for_a_moment_are_asked_again_but_not_for_ever(
    gateway: Gateway, new: Any, peers: list[FakePeer], said: str
) -> None:
    message = "failed to collect enough transaction endorsements, see attached details for more info"
    behind = fails(Code.ABORTED, message, ("b:7051", "RegulatorMSP", said))
    peers[0].script["Endorse"].append(behind)
    assert gateway.submit(new).block == 0
    peers[0].script["Endorse"].extend([behind] * 20)
    with pytest.raises(EndorseError, match=said) as caught:
        gateway.submit(new)
    assert caught.value.conflict
    assert len(peers[0].script["Endorse"]) == 13


def test_a_refusal_by_the_first_endorser_is_final(gateway: Gateway, new: Any, peers: list[FakePeer]) -> None:
    with pytest.raises(EndorseError) as caught:
        gateway.submit(lambda: new(b"refuse"))
    assert not caught.value.conflict
    assert peers[0].calls == ["Endorse"]


def test_a_verdict_that_is_not_known_is_told_by_its_number(
    gateway: Gateway, new: Any, peers: list[FakePeer]
) -> None:
    strange = gateway_pb2.CommitStatusResponse(result=99, block_number=3)
    peers[0].script["CommitStatus"].append(lambda peer, request, context: strange)
    with pytest.raises(CommitError, match="code 99 in block 3"):
        gateway.submit(new)
