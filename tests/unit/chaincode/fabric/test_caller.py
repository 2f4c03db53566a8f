"""Fabric's door and the embedded host see the same caller in a certificate, or both see none."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support import certificates as certs

from chaincode.errors import Refusal
from chaincode.fabric.caller import certified
from tallystick.proof.errors import ProofError

MSP = "OperatorMSP"
EXTENSIONS = [(certs.NOT_CA, True), (certs.usage(sign=True), True)]
GOOD = {
    "roles": certs.ATTRS,
    "no roles": {"hf.EnrollmentID": "x", "hf.Type": "client"},
    "an empty list": {"hf.EnrollmentID": "x", "tallystick.roles": ""},
}
BAD = {
    "no enrolment id": {"tallystick.roles": "admin"},
    "a space in the id": {"hf.EnrollmentID": "a b"},
    "a role twice": {"hf.EnrollmentID": "x", "tallystick.roles": "admin,admin"},
    "a role with a space": {"hf.EnrollmentID": "x", "tallystick.roles": "admin, pipeline"},
    "a number": {"hf.EnrollmentID": 7},
    "no object": ["x"],
}


def member(attrs: object) -> bytes:
    return certs.member([*EXTENSIONS, certs.attributes(attrs)])


@pytest.mark.parametrize("attrs", GOOD.values(), ids=GOOD)
def test_a_certificate_certifies_the_same_caller_on_both_hosts(attrs):
    pem = member(attrs)
    caller, judged = certified(MSP, pem).at(certs.DURING), certs.judge(pem)
    assert (caller.msp_id, caller.enrolment_id, caller.roles) == (MSP, judged.enrolment_id, judged.roles)


def test_without_attributes_the_common_name_counts_and_no_role():
    pem = certs.member(EXTENSIONS)
    caller = certified(MSP, pem).at(certs.DURING)
    assert (caller.enrolment_id, caller.roles) == ("someone", frozenset())
    assert certs.judge(pem).enrolment_id == "someone"


@pytest.mark.parametrize("attrs", BAD.values(), ids=BAD)
def test_attributes_out_of_their_form_make_no_caller_on_either_host(attrs):
    with pytest.raises(Refusal, match="NOT_A_MEMBER"):
        certified(MSP, member(attrs))
    with pytest.raises(ProofError):
        certs.judge(member(attrs))


@pytest.mark.parametrize("data", [b"", b"{", b'{"attrs":{},"attrs":{}}', b"[" * 100_000, b"\xff"])
def test_an_extension_that_is_no_json_makes_no_caller(data: bytes):
    with pytest.raises(Refusal, match="NOT_A_MEMBER"):
        certified(MSP, certs.member([*EXTENSIONS, certs.raw_attributes(data)]))


def test_bytes_that_are_no_certificate_make_no_caller():
    with pytest.raises(Refusal, match="NOT_A_MEMBER"):
        certified(MSP, b"not a certificate")


def test_a_certificate_counts_only_in_its_time():
    found = certified(MSP, certs.member())
    first, last = (int(moment.timestamp() * 1000) for moment in (certs.START, certs.END))
    assert found.at(first) == found.at(last)
    for moment, code in ((certs.START, "NOT_YET_VALID"), (certs.END, "EXPIRED")):
        step = timedelta(milliseconds=-1 if code == "NOT_YET_VALID" else 1)
        with pytest.raises(Refusal, match=code):
            found.at(int((moment + step).timestamp() * 1000))
