"""What a configuration changed is told in words: who may endorse before and after, and never nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from support.fabric_blocks import LOG, sound

from tallystick.ledger.channel.changed import changes_told, policy_text
from tallystick.proof.fabric import policies
from tallystick.proof.fabric.channel import Channel
from tallystick.proof.protobuf import bytes_field

ENDORSEMENT = "Channel/Application/Endorsement"


def policies_of(own: policies.Policy) -> Any:
    return SimpleNamespace(
        policies=policies.Group({}, {"Application": policies.Group({"Endorsement": own}, {})})
    )


@pytest.fixture
def rules() -> Any:
    channel = Channel(LOG)
    channel.judge(sound("raft")[0])
    return channel.rules


def test_who_may_endorse_is_told_before_and_after(rules: Any) -> None:
    one = rules.policies.groups["Application"].groups["OperatorMSP"].policies["Endorsement"]
    (line,) = changes_told(rules, policies_of(one), [ENDORSEMENT])
    assert line == (
        f"who may endorse ({ENDORSEMENT}): 2 of (RegulatorMSP peer, 1 of (OperatorMSP peer, AuditorMSP peer))"
        " -> 1 of (OperatorMSP peer)"
    )


def test_a_path_that_is_no_policy_or_whose_policy_stays_is_told_by_its_name(rules: Any) -> None:
    paths = [
        "Channel/Application/OperatorMSP/AnchorPeers",
        "Channel/Application/OperatorMSP/MSP",
        ENDORSEMENT,
    ]
    peers, membership, stays = changes_told(rules, rules, paths)
    assert peers == paths[0]
    assert membership.startswith("OperatorMSP has other membership rules")
    assert "->" not in stays


def test_an_implicit_policy_and_one_of_nobody_in_particular_have_words(rules: Any) -> None:
    readers = rules.policies.groups["Application"].policies["Readers"]
    assert policy_text(readers) == "any of the groups' Readers"
    anybody = bytes_field(2, bytes_field(2, b""))
    assert policy_text(policies.Policy(policies.SIGNATURE, anybody)) == "anybody"


def test_a_policy_without_words_is_told_by_its_digest() -> None:
    rule = b"\x08\x00"
    for _ in range(40):
        rule = bytes_field(2, b"\x08\x01" + bytes_field(2, rule))
    deep = policies.Policy(policies.SIGNATURE, bytes_field(2, rule))
    for policy in (deep, policies.Policy(7, b"x"), policies.Policy(policies.SIGNATURE, b"\xff")):
        assert policy_text(policy).startswith("what has the digest ")
