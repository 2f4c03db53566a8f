"""Fabric's door, its verifier and the embedded host see the same caller in a creator, or all see none."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support import certificates as certs
from support.creators import MSP, READ, REFUSED, serialised

from chaincode.errors import Refusal
from chaincode.fabric.caller import certified
from tallystick.proof.errors import ProofError
from tallystick.proof.fabric.proposer import judge_proposer
from tallystick.proof.membership import Member, Membership, Msp

ROOT = certs.root()


def judged(creator: bytes) -> Member:
    """As the verifier of Fabric's blocks takes the signer for whom a transaction of ours was endorsed."""
    return judge_proposer(creator, certs.DURING)


def embedded(creator: bytes) -> Member:
    return Membership([Msp(MSP, (ROOT,))]).judge(creator, certs.DURING)


@pytest.mark.parametrize(("creator", "enrolment_id", "roles"), READ.values(), ids=READ)
def test_a_creator_is_the_same_caller_everywhere(creator: bytes, enrolment_id: str, roles: set[str]):
    caller = certified(creator).at(certs.DURING)
    assert (caller.msp_id, caller.enrolment_id, caller.roles) == (MSP, enrolment_id, roles)
    assert judged(creator) == embedded(creator) == Member(MSP, enrolment_id, frozenset(roles))


@pytest.mark.parametrize("creator", REFUSED.values(), ids=REFUSED)
def test_what_can_be_read_in_two_ways_or_in_none_is_nobody_anywhere(creator: bytes):
    with pytest.raises(Refusal, match="NOT_A_MEMBER"):
        certified(creator)
    for reader in (judged, embedded):
        with pytest.raises(ProofError):
            reader(creator)


def test_a_certificate_counts_only_in_its_time():
    found = certified(serialised(certs.member()))
    first, last = (int(moment.timestamp() * 1000) for moment in (certs.START, certs.END))
    assert found.at(first) == found.at(last)
    for moment, code in ((certs.START, "NOT_YET_VALID"), (certs.END, "EXPIRED")):
        step = timedelta(milliseconds=-1 if code == "NOT_YET_VALID" else 1)
        with pytest.raises(Refusal, match=code):
            found.at(int((moment + step).timestamp() * 1000))
