"""Who must have signed, against the rules of Fabric's own evaluation; and whose signature counts at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID
from fabric_protos.common import policies_pb2
from fabric_protos.msp import identities_pb2, msp_config_pb2, msp_principal_pb2

from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.fabric import policies
from tallystick.proof.fabric.identities import ADMIN, CLIENT, MEMBER, PEER, Identity, Members, Organisation
from tallystick.proof.fabric.proposer import judge_proposer
from tallystick.proof.membership import P256_ORDER, NotInForce
from tallystick.proof.protobuf import bytes_field

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Authority:
    """An organisation's authority, or one below another."""

    def __init__(self, name: str, above: Authority | None = None) -> None:
        self.name, self.above = name, above
        self.key = ec.generate_private_key(ec.SECP256R1())
        issuer = above or self
        self.certificate = (
            x509.CertificateBuilder(_name(issuer.name), _name(name), self.key.public_key(), 1)
            .not_valid_before(NOW)
            .not_valid_after(NOW + timedelta(days=365))
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
            .sign(issuer.key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str, *units: str, serial: int = 7, critical: bool = False) -> tuple[Any, bytes]:
        """A key and its certificate (PEM)."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder(_name(self.name), _name(name, *units), key.public_key(), serial)
            .not_valid_before(NOW)
            .not_valid_after(NOW + timedelta(days=30))
        )
        if critical:
            unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"")
            builder = builder.add_extension(unknown, critical=True)
        return key, builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def crl(self, *serials: int, names_authority: bool = True) -> bytes:
        revoked = [x509.RevokedCertificateBuilder(serial, NOW).build() for serial in serials]
        builder = x509.CertificateRevocationListBuilder(_name(self.name), NOW, NOW, [], revoked)
        if names_authority:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
            builder = builder.add_extension(identifier, False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _name(common: str, *units: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common),
            *(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units),
        ]
    )


def organisation(authority: Authority, name: str = "AMSP", nodes: bool = True, **fields: Any) -> Organisation:
    config = msp_config_pb2.FabricMSPConfig(name=name, root_certs=[authority.pem], **fields)
    if nodes:
        config.fabric_node_ous.enable = True
        for role in ("client", "peer", "admin", "orderer"):
            unit = getattr(config.fabric_node_ous, f"{role}_ou_identifier")
            unit.organizational_unit_identifier = role
            unit.certificate = authority.pem
    return Organisation(msp_config_pb2.MSPConfig(config=config.SerializeToString()).SerializeToString())


def identity(pem: bytes, name: str = "AMSP") -> bytes:
    return bytes(identities_pb2.SerializedIdentity(mspid=name, id_bytes=pem).SerializeToString())


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
    members, found = people
    signers = [found[name] for name in by.split()]
    assert policies.signature_satisfied(envelope(rules, *PEERS), members, signers) is expected


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
    members, found = people
    signers = [found[name] for name in by.split()]
    assert policies.signature_satisfied(spelt(rules, *PEERS), members, signers) is expected


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


def test_an_intermediate_authority_counts_where_the_organisation_names_it() -> None:
    root = Authority("a")
    below = Authority("below", root)
    _, pem = below.issue("client", "client")
    with pytest.raises(NotProven, match="not issued by an authority"):
        organisation(root).examine(pem)
    named = organisation(root, nodes=False, intermediate_certs=[below.pem])
    assert named.examine(pem).problem == ""
    stranger = organisation(Authority("b"), nodes=False, intermediate_certs=[below.pem])
    with pytest.raises(NotProven, match="is not followed here"):
        stranger.examine(pem)
    # The node types' units are the root's own here, and this client's are not.
    typed = organisation(root, intermediate_certs=[below.pem])
    assert typed.examine(pem).problem == "not of exactly one type of node"


def test_a_revoked_certificate_is_nobodys_and_only_its_own_authority_revokes() -> None:
    root, other = Authority("a"), Authority("a")
    _, pem = root.issue("client", "client")
    assert organisation(root, revocation_list=[root.crl(7)]).examine(pem).problem == "revoked"
    for harmless in (root.crl(8), other.crl(7)):
        assert organisation(root, revocation_list=[harmless]).examine(pem).problem == ""
    # So says Fabric: a list that names no authority makes every certificate of the organisation invalid.
    anonymous = organisation(root, revocation_list=[root.crl(8, names_authority=False)])
    assert "names no authority" in anonymous.examine(pem).problem


@pytest.mark.parametrize("units", [(), ("client", "peer"), ("clerk",)])
def test_a_member_is_of_exactly_one_type_of_node(units: tuple[str, ...]) -> None:
    authority = Authority("a")
    found = organisation(authority).examine(authority.issue("who", *units)[1])
    assert found.problem == "not of exactly one type of node"
    assert not organisation(authority).has_role(found, MEMBER)
    without = organisation(authority, nodes=False)
    plain = without.examine(authority.issue("who", *units)[1])
    assert without.has_role(plain, MEMBER)
    assert not without.has_role(plain, PEER)


def test_an_admin_is_one_by_unit_or_by_name() -> None:
    authority = Authority("a")
    _, named = authority.issue("named", "client")
    _, unit = authority.issue("unit", "admin")
    _, plain = authority.issue("plain", "client")
    made = organisation(authority, admins=[named])
    expected = {named: True, unit: True, plain: False}
    assert {pem: made.has_role(made.examine(pem), ADMIN) for pem in expected} == expected
    assert made.has_role(made.examine(named), CLIENT)


def test_an_authority_and_a_critical_extension_make_no_member() -> None:
    authority = Authority("a")
    made = organisation(authority)
    assert made.examine(authority.pem).problem == "an authority's, not a member's"
    _, pem = authority.issue("who", "client", critical=True)
    with pytest.raises(NotProven, match="has a critical extension that is not understood"):
        made.examine(pem)


def test_a_certificate_counts_for_contracts_only_within_its_time() -> None:
    authority = Authority("a")
    proposer = identity(authority.issue("who", "client")[1])
    first = int(NOW.timestamp()) * 1000
    last = first + 30 * 86_400_000
    for time in (first, last):
        assert judge_proposer(proposer, time).msp_id == "AMSP"
    for time, code in ((first - 1, "NOT_YET_VALID"), (last + 1, "EXPIRED")):
        with pytest.raises(NotInForce) as caught:
            judge_proposer(proposer, time)
        assert caught.value.code == code


def test_an_organisation_is_one_however_two_groups_spell_it() -> None:
    authority = Authority("a")
    config = msp_config_pb2.FabricMSPConfig(name="AMSP", root_certs=[authority.pem])
    data = msp_config_pb2.MSPConfig(config=config.SerializeToString()).SerializeToString()
    members = Members([Organisation(data), Organisation(b"\x08\x00" + data)])
    assert members.examine(identity(authority.issue("who", "client")[1])).problem == ""


def test_an_organisation_without_a_root_has_no_members_and_none_is_named_twice() -> None:
    authority = Authority("a")
    _, pem = authority.issue("who", "client")
    no_root = msp_config_pb2.FabricMSPConfig(name="AMSP").SerializeToString()
    leaf = msp_config_pb2.FabricMSPConfig(name="AMSP", root_certs=[pem]).SerializeToString()
    for config in (no_root, leaf):
        made = Organisation(msp_config_pb2.MSPConfig(config=config).SerializeToString())
        assert made.unfollowed
        with pytest.raises(NotProven, match="AMSP, which is not followed here"):
            made.examine(pem)
    with pytest.raises(Malformed, match="named twice"):
        Members([organisation(authority), organisation(Authority("b"))])
