"""Who must have signed, against the rules of Fabric's own evaluation."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from fabric_protos.common import policies_pb2
from fabric_protos.msp import msp_principal_pb2
from support.msp import Authority, identity, organisation

from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.fabric import policies
from tallystick.proof.fabric.identities import ADMIN, CLIENT, MEMBER, PEER, Identity, Members
from tallystick.proof.membership import P256_ORDER
from tallystick.proof.protobuf import bytes_field


def role(name: str, number: int) -> Any:
    principal = msp_principal_pb2.MSPRole(msp_identifier=name, role=number)
    return msp_principal_pb2.MSPPrincipal(principal=principal.SerializeToString())


def rule(needed: int, *parts: Any) -> Any:
    rules = [policies_pb2.SignaturePolicy(signed_by=p) if isinstance(p, int) else p for p in parts]
    return policies_pb2.SignaturePolicy(n_out_of=policies_pb2.SignaturePolicy.NOutOf(n=needed, rules=rules))


def envelope(rules: Any, *principals: Any, version: int = 0) -> bytes:
    made = policies_pb2.SignaturePolicyEnvelope(version=version, rule=rules, identities=principals)
    return bytes(made.SerializeToString())


@pytest.fixture
def people() -> tuple[Members, dict[str, Identity]]:
    """Two organisations with two peers, a client and an admin each, called a1, a2, ac, aa, b1 and so on."""
    organisations, found = [], {}
    for letter in "ab":
        authority, msp = Authority(letter), f"{letter.upper()}MSP"
        organisations.append(organisation(authority, msp))
        for short, unit in {"1": "peer", "2": "peer", "c": "client", "a": "admin"}.items():
            found[letter + short] = organisations[-1].examine(authority.issue(letter + short, unit)[1])
    return Members(organisations), found


PEERS = (role("AMSP", PEER), role("BMSP", PEER))


@pytest.mark.parametrize(
    ("rules", "by", "expected"),
    [
        (rule(2, 0, 1), "a1 b1", True),
        (rule(2, 0, 1), "b1 a1", True),
        (rule(2, 0, 1), "a1 a2", False),
        (rule(2, 0, 0), "a1 a2", True),
        (rule(2, 0, 0), "a1", False),
        (rule(1, 0, 1), "b2", True),
        (rule(1, 0, 1), "ac bc", False),
        (rule(2, 0, rule(1, 0, 1)), "a1 b1", True),
        (rule(2, 0, rule(1, 0, 1)), "a1", False),
        (rule(2, rule(2, 0, 1), 0), "a1 b1", False),
        (rule(2, rule(2, 0, 1), 0), "a1 b1 a2", True),
        (rule(0), "", True),
        (policies_pb2.SignaturePolicy(signed_by=1), "b1", True),
    ],
)
def test_a_signature_policy_asks_for_so_many_of_its_parts(
    people: Any, rules: Any, by: str, expected: bool
) -> None:
    assert satisfied(people, envelope(rules, *PEERS), by) is expected


def satisfied(people: Any, policy: bytes, by: str) -> bool:
    """Whether the policy holds with the signatures of these people, by their short names."""
    members, found = people
    return policies.signature_satisfied(policy, members, [found[name] for name in by.split()])


ANYBODY, FIRST, SECOND = b"\x12\x02\x08\x00", b"\x08\x00", b"\x08\x01"
WANTS_TWO = bytes_field(2, b"\x08\x02" + bytes_field(2, FIRST))
AND_SECOND = bytes_field(2, bytes_field(2, SECOND))


def nested(depth: int) -> bytes:
    """The bytes of a rule that asks for the first principal within so many gates."""
    inner = FIRST
    for _ in range(depth):
        inner = bytes_field(2, b"\x08\x01" + bytes_field(2, inner))
    return inner


def spelt(rules: bytes, *principals: Any) -> bytes:
    return bytes_field(2, rules) + envelope(None, *principals)


def test_a_policy_may_be_as_deep_as_a_peer_reads(people: Any) -> None:
    members, found = people
    for depth in (40, 4_998):
        made = spelt(nested(depth), *PEERS)
        assert policies.signature_satisfied(made, members, [found["a1"]])
        assert not policies.signature_satisfied(made, members, [found["b1"]])
    with pytest.raises(Malformed, match="nested too deeply"):
        policies.signature_satisfied(spelt(nested(5_001), *PEERS), members, [found["a1"]])


@pytest.mark.parametrize(
    ("rules", "by", "expected"),
    [
        (ANYBODY, "", True),
        (ANYBODY + FIRST, "", False),
        (ANYBODY + FIRST, "a1", True),
        (FIRST + ANYBODY, "", True),
        (SECOND + FIRST, "b1", False),
        (WANTS_TWO + AND_SECOND, "a1 b1", True),
        (WANTS_TWO + AND_SECOND, "b1", False),
        (WANTS_TWO + FIRST + AND_SECOND, "b1", True),
        (WANTS_TWO + FIRST + AND_SECOND, "", True),
    ],
)
def test_of_two_kinds_of_rule_the_last_counts_as_in_go(
    people: Any, rules: bytes, by: str, expected: bool
) -> None:
    assert satisfied(people, spelt(rules, *PEERS), by) is expected


def test_a_principal_of_no_known_kind_is_nobody(people: Any) -> None:
    members, found = people
    unknown = msp_principal_pb2.MSPPrincipal(principal_classification=9)  # type: ignore[arg-type]
    assert not policies.signature_satisfied(envelope(rule(1, 0), unknown), members, [found["a1"]])


def _principal(kind: int, content: Any = b"") -> Any:
    value = content if isinstance(content, bytes) else content.SerializeToString()
    return msp_principal_pb2.MSPPrincipal(principal_classification=kind, principal=value)


def _combined(*parts: Any) -> Any:
    return _principal(4, msp_principal_pb2.CombinedPrincipal(principals=parts))


def _deep(part: Any, levels: int) -> Any:
    for _ in range(levels):
        part = _combined(part)
    return part


NOMINAL, ANONYMOUS = (_principal(3, msp_principal_pb2.MSPIdentityAnonymity(anonymity_type=n)) for n in (0, 1))
ODD = {
    "unread role": (_principal(0, b"\xff"), False),
    "unread name": (_principal(0, bytes_field(1, b"\xff")), False),
    "unread unit": (_principal(1, b"\xff"), False),
    "unread identity": (_principal(2, b"\xff"), False),
    "unread parts": (_principal(4, b"\xff"), False),
    "nominal": (NOMINAL, True),
    "anonymous": (ANONYMOUS, False),
    "no parts": (_combined(), False),
    "a part": (_combined(role("AMSP", MEMBER)), True),
    "all parts": (_combined(role("AMSP", MEMBER), role("AMSP", PEER), NOMINAL), True),
    "not all parts": (_combined(role("AMSP", MEMBER), role("AMSP", CLIENT)), False),
    "another's part": (_combined(role("AMSP", MEMBER), role("BMSP", MEMBER)), False),
    "parts in parts": (_deep(role("AMSP", PEER), 1500), True),
    "no parts in parts": (_deep(_combined(), 3), False),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_principal_is_who_fabric_takes_it_for(people: Any, name: str) -> None:
    members, found = people
    odd, holds = ODD[name]
    assert policies.signature_satisfied(envelope(rule(1, 0), odd), members, [found["a1"]]) is holds
    own = envelope(rule(1, 0, 1), odd, role("AMSP", MEMBER))
    assert policies.signature_satisfied(own, members, [found["a1"]])


@pytest.mark.parametrize("high", [False, True])
def test_a_unit_is_its_organisations_and_under_its_chain_of_authorities(high: bool) -> None:
    root = Authority("a")
    below = Authority("below", root)
    while _high(below) is not high:
        below = Authority("below", root)
    members = Members([organisation(root, nodes=False, intermediate_certs=[below.pem])])
    someone = members.organisations["AMSP"].examine(below.issue("someone", "peer", "x")[1])
    chain = sha256(_lowered(below) + _lowered(root)).digest()

    def satisfied(msp_id: str = "AMSP", name: str = "x", certifiers: bytes = chain) -> bool:
        unit = msp_principal_pb2.OrganizationUnit(
            msp_identifier=msp_id, organizational_unit_identifier=name, certifiers_identifier=certifiers
        )
        return policies.signature_satisfied(envelope(rule(1, 0), _principal(1, unit)), members, [someone])

    assert satisfied()
    assert not satisfied(msp_id="BMSP")
    assert not satisfied(name="y")
    assert not satisfied(certifiers=b"")
    assert not satisfied(certifiers=sha256(_lowered(root)).digest())


def _high(authority: Authority) -> bool:
    return utils.decode_dss_signature(authority.certificate.signature)[1] > P256_ORDER // 2


def _lowered(authority: Authority) -> bytes:
    """The certificate's DER with a low S, without the length of either being as before."""
    encoded = authority.certificate.public_bytes(serialization.Encoding.DER)
    if not _high(authority):
        return encoded
    r, s = utils.decode_dss_signature(authority.certificate.signature)
    low = utils.encode_dss_signature(r, P256_ORDER - s)
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    content = (
        authority.certificate.tbs_certificate_bytes + algorithm + b"\x03" + bytes([len(low) + 1, 0]) + low
    )
    head = (b"\x30\x82" if len(content) > 255 else b"\x30\x81") + len(content).to_bytes(2, "big").lstrip(
        b"\0"
    )
    return head + content


def test_a_policy_that_cannot_be_read_is_refused(people: Any) -> None:
    members, _ = people
    signer = [people[1]["a1"]]
    for made in (
        envelope(policies_pb2.SignaturePolicy(), *PEERS),
        envelope(rule(1, 5), *PEERS),
        envelope(rule(1, 0), *PEERS, version=1),
    ):
        with pytest.raises((Malformed, NotProven)):
            policies.signature_satisfied(made, members, signer)


@pytest.mark.parametrize(
    ("meta", "by", "expected"),
    [("ANY", "aa", True), ("ANY", "a1", False), ("ALL", "aa", False), ("ALL", "aa ba", True),
     ("MAJORITY", "aa", False), ("MAJORITY", "aa ba", True)],
)  # fmt: skip
def test_an_implicit_policy_counts_the_groups_below(people: Any, meta: str, by: str, expected: bool) -> None:
    members, found = people
    admins = {
        name: policies.Group(
            {"Admins": policies.Policy(policies.SIGNATURE, envelope(rule(1, 0), role(name, ADMIN)))}, {}
        )
        for name in ("AMSP", "BMSP")
    }
    implicit = policies_pb2.ImplicitMetaPolicy(sub_policy="Admins", rule=meta)
    policy = policies.Policy(policies.IMPLICIT_META, implicit.SerializeToString())
    root = policies.Group({"Admins": policy}, admins)
    signers = [found[name] for name in by.split()]
    assert policies.satisfied(root, ["Admins"], members, signers) is expected
    assert not policies.satisfied(root, ["Missing"], members, signers)
    assert policies.satisfied(policies.Group({"Admins": policy}, {}), ["Admins"], members, [])


def test_a_signature_counts_once_with_a_low_s_and_over_these_bytes() -> None:
    authority = Authority("a")
    key, pem = authority.issue("peer", "peer")
    members = Members([organisation(authority)])
    r, s = utils.decode_dss_signature(key.sign(b"data", ec.ECDSA(hashes.SHA256())))
    low, high = (utils.encode_dss_signature(r, half(s, P256_ORDER - s)) for half in (min, max))
    who = identity(pem)
    respelled = identity(b"A remark before it\n" + pem)
    good = policies.Signed(who, b"data", low)
    assert len(policies.signers(members, [good, good, policies.Signed(respelled, b"data", low)])) == 1
    for bad in (
        policies.Signed(who, b"data", high),
        policies.Signed(who, b"other", low),
        policies.Signed(who, b"data", b"\x30"),
        policies.Signed(identity(pem, "BMSP"), b"data", low),
        policies.Signed(b"\xff", b"data", low),
        policies.Signed(identity(b"nothing"), b"data", low),
    ):
        assert policies.signers(members, [bad]) == []
    assert members.verified(who, low, b"data").msp_id == "AMSP"
    with pytest.raises(NotProven, match="high S"):
        members.verified(who, high, b"data")
