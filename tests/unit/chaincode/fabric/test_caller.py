"""Fabric's door, its verifier and the embedded host see the same caller in a creator, or all see none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from support import certificates as certs
from support.creators import EXTENSIONS, MSP, READ, REFUSED, serialised

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


def odd(*extensions: tuple[x509.ExtensionType, bool], **change: Any) -> bytes:
    return serialised(certs.member([*(extensions or EXTENSIONS), certs.attributes(certs.ATTRS)], **change))


def with_an_unused_bit() -> bytes:
    """Nothing signs how many bits of the signature are unused: whoever has the certificate states it anew."""
    while True:
        certificate = x509.load_pem_x509_certificate(certs.member())
        der = certificate.public_bytes(Encoding.DER)
        if not der[-1] & 1:
            at = len(der) - len(certificate.signature) - 1
            again = x509.load_der_x509_certificate(der[:at] + b"\1" + der[at + 1 :])
            return serialised(again.public_bytes(Encoding.PEM))


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"")
#: Fabric counts some of these, where an authority issues them.
ODD = {
    "P-384": (odd(key=ec.generate_private_key(ec.SECP384R1())), "P-256"),
    "P-521": (odd(key=ec.generate_private_key(ec.SECP521R1())), "P-256"),
    "Ed25519": (odd(key=ed25519.Ed25519PrivateKey.generate()), "P-256"),
    "SHA-384": (odd(algorithm=hashes.SHA384()), "SHA-256"),
    "unused bits": (with_an_unused_bit(), "no plain one"),
    "an unknown critical extension": (odd(*EXTENSIONS, (UNKNOWN, True)), "not understood"),
    "critical names": (odd(*EXTENSIONS, (x509.SubjectAlternativeName([]), True)), "not understood"),
    "an authority": (odd((certs.CA, True)), "authority's"),
    "of no signer": (odd((certs.usage(crls=True), True)), "key usage"),
    "of who certifies": (odd((certs.usage(sign=True, certificates=True), True)), "key usage"),
}


@pytest.mark.parametrize(("creator", "reason"), ODD.values(), ids=ODD)
def test_a_certificate_of_no_plain_kind_is_nobodys(creator: bytes, reason: str):
    with pytest.raises(Refusal, match="NOT_A_MEMBER") as caught:
        certified(creator)
    assert reason in str(caught.value)
    with pytest.raises(ProofError):
        embedded(creator)


def test_an_extension_that_nobody_has_to_read_does_no_harm():
    creator = odd(*EXTENSIONS, (UNKNOWN, False))
    assert certified(creator).at(certs.DURING).enrolment_id == embedded(creator).enrolment_id == "pipeline"


def test_a_certificate_counts_only_in_its_time():
    found = certified(serialised(certs.member()))
    first, last = (int(moment.timestamp() * 1000) for moment in (certs.START, certs.END))
    assert found.at(first) == found.at(last)
    for moment, code in ((certs.START, "NOT_YET_VALID"), (certs.END, "EXPIRED")):
        step = timedelta(milliseconds=-1 if code == "NOT_YET_VALID" else 1)
        with pytest.raises(Refusal, match=code):
            found.at(int((moment + step).timestamp() * 1000))
