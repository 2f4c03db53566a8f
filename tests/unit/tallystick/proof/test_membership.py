"""Who a signer is: every rule of docs/formats/identity.md with its nearest negative."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from support.certificates import (
    ATTRS,
    CA,
    DURING,
    ECDSA,
    END,
    KEYS,
    NOT_CA,
    START,
    attributes,
    crl,
    judge,
    member,
    raw_attributes,
    root,
    usage,
)

from tallystick.proof.errors import Malformed, NotProven, ProofError
from tallystick.proof.membership import (
    P256_ORDER,
    Member,
    Membership,
    Msp,
    serialise_identity,
)


def test_a_member_is_its_msp_its_enrolment_id_and_its_roles() -> None:
    assert judge(member()) == Member("OperatorMSP", "pipeline", frozenset({"admin", "pipeline"}))


def test_the_window_is_inclusive_and_that_of_the_root_counts_too() -> None:
    start_ms, end_ms = (int(moment.timestamp() * 1000) for moment in (START, END))
    assert judge(member(), start_ms) == judge(member(), end_ms)
    with pytest.raises(NotProven, match="not yet valid"):
        judge(member(), start_ms - 1)
    with pytest.raises(NotProven, match="expired"):
        judge(member(), end_ms + 1)
    short = root(start=START + timedelta(days=10), end=END - timedelta(days=10))
    assert judge(member(), DURING, roots=(short,))
    with pytest.raises(NotProven, match="not yet valid"):
        judge(member(), start_ms, roots=(short,))
    with pytest.raises(NotProven, match="expired"):
        judge(member(), end_ms, roots=(short,))


def test_the_window_is_judged_at_every_call() -> None:
    membership = Membership([Msp("OperatorMSP", (root(),))])
    identity = serialise_identity("OperatorMSP", member())
    assert membership.judge(identity, DURING)
    with pytest.raises(NotProven, match="expired"):
        membership.judge(identity, DURING + 10**11)
    assert membership.judge(identity, DURING)


def test_an_unknown_msp_is_refused() -> None:
    with pytest.raises(NotProven, match="not known"):
        judge(member(), msp_id="OperatorMSPx")


@pytest.mark.parametrize(
    "pem",
    [
        member(issuer_key=KEYS["other"]),
        member(issuer="other ca"),
        member(issuer="someone", issuer_key=KEYS["member"], subject="someone"),
    ],
    ids=["right name, wrong key", "right key, wrong name", "self-signed"],
)
def test_a_chain_must_lead_to_a_root_of_the_msp(pem: bytes) -> None:
    with pytest.raises(NotProven, match="not issued by a root of OperatorMSP"):
        judge(pem)


def test_a_member_of_one_msp_is_none_of_another() -> None:
    msps = [Msp("OperatorMSP", (root(),)), Msp("AuditorMSP", (root("ca", KEYS["other"]),))]
    membership = Membership(msps)
    assert membership.judge(serialise_identity("OperatorMSP", member()), DURING).msp_id == "OperatorMSP"
    with pytest.raises(NotProven, match="not issued by a root of AuditorMSP"):
        membership.judge(serialise_identity("AuditorMSP", member()), DURING)


def test_every_root_of_an_msp_counts() -> None:
    roots = (root("ca", KEYS["other"]), root())
    assert judge(member(), roots=roots) == judge(member(issuer_key=KEYS["other"]), roots=roots)


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)]
)
def test_only_p256_keys_sign(key: Any) -> None:
    with pytest.raises(NotProven, match="not a P-256 key"):
        judge(member(key=key))
    with pytest.raises(NotProven, match=r"not a P-256 key|not signed with ECDSA"):
        judge(member(), roots=(root(key=key),))


def test_only_sha256_signatures_on_certificates_count() -> None:
    with pytest.raises(NotProven, match="SHA-256"):
        judge(member(algorithm=hashes.SHA384()))
    with pytest.raises(NotProven, match="SHA-256"):
        judge(member(), roots=(root(algorithm=hashes.SHA384()),))


def test_a_revoked_certificate_is_refused_whatever_the_time() -> None:
    assert judge(member(serial=7), crls=(crl(6, 8),))
    for at_ms in (DURING, int(START.timestamp() * 1000)):
        with pytest.raises(NotProven, match="revoked"):
            judge(member(serial=7), at_ms, crls=(crl(6, 7),))
    with pytest.raises(NotProven, match="revoked"):
        judge(member(serial=7), crls=(crl(7), crl()))


def test_a_revocation_counts_for_its_own_issuer_only() -> None:
    roots = (root(), root("ca 2", KEYS["other"]))
    revoked = (crl(7, issuer="ca 2", key=KEYS["other"]),)
    assert judge(member(serial=7), roots=roots, crls=revoked)
    with pytest.raises(NotProven, match="revoked"):
        judge(member(serial=7, issuer="ca 2", issuer_key=KEYS["other"]), roots=roots, crls=revoked)


@pytest.mark.parametrize(
    ("pem", "error"),
    [
        (crl(7, key=KEYS["other"]), NotProven),
        (crl(7, issuer="other ca"), NotProven),
        (crl(7, algorithm=hashes.SHA384()), NotProven),
        (crl(7, critical=x509.DeltaCRLIndicator(1)), NotProven),
        (crl(7)[:-40], Malformed),
        (crl(7) + b"\n", Malformed),
        (b"", Malformed),
    ],
    ids=["other key", "other issuer", "SHA-384", "delta", "truncated", "longer", "empty"],
)
def test_a_revocation_list_must_be_the_roots_own(pem: bytes, error: type[ProofError]) -> None:
    with pytest.raises(error, match="revocation list"):
        judge(member(), crls=(pem,))


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        (root(extensions=[(usage(certificates=True, crls=True), True)]), "no basic constraints"),
        (root(extensions=[(CA, True)]), "no basic constraints or no key usage"),
        (root(extensions=[(NOT_CA, True), (usage(certificates=True, crls=True), True)]), "may not sign"),
        (root(extensions=[(CA, True), (usage(crls=True), True)]), "may not sign"),
        (root(extensions=[(CA, True), (usage(certificates=True), True)]), "may not sign"),
        (root(issuer_key=KEYS["other"]), "not signed by itself"),
    ],
)
def test_a_root_must_be_one(pem: bytes, why: str) -> None:
    with pytest.raises(NotProven, match=why):
        judge(member(), roots=(pem,))


def test_an_msp_needs_a_root_and_a_name_of_its_own() -> None:
    with pytest.raises(NotProven, match="no root"):
        Membership([Msp("OperatorMSP", ())])
    with pytest.raises(NotProven, match="named twice"):
        Membership([Msp("A", (root(),)), Msp("A", (root(),))])
    with pytest.raises(NotProven, match="shares"):
        Membership([Msp("A", (root(),)), Msp("B", (root("another name"),))])
    with pytest.raises(Malformed, match="A: root certificate"):
        Membership([Msp("A", (b"no certificate",))])


@pytest.mark.parametrize(
    ("extensions", "why"),
    [
        ([(CA, True), attributes(ATTRS)], "authority"),
        ([(NOT_CA, True), (usage(), True), attributes(ATTRS)], "key usage"),
        ([(NOT_CA, True), (usage(sign=True, certificates=True), True), attributes(ATTRS)], "key usage"),
        ([attributes(ATTRS, critical=True)], "critical"),
        ([attributes(ATTRS), (x509.OCSPNoCheck(), True)], "critical"),
    ],
)
def test_only_a_signers_certificate_signs(extensions: list[Any], why: str) -> None:
    with pytest.raises(NotProven, match=why):
        judge(member(extensions))


def test_the_root_itself_is_no_member() -> None:
    with pytest.raises(NotProven, match="authority"):
        judge(root())


def test_extensions_that_are_not_critical_are_ignored() -> None:
    assert judge(member([attributes(ATTRS), (x509.OCSPNoCheck(), False)])) == judge(member())


def test_without_attributes_the_common_name_counts_and_there_are_no_roles() -> None:
    assert judge(member([], subject="peer0")) == Member("OperatorMSP", "peer0", frozenset())
    with pytest.raises(Malformed, match="enrolment id"):
        judge(member([], subject="not printable ä"))


@pytest.mark.parametrize(
    ("attrs", "roles"),
    [
        ({"hf.EnrollmentID": "x"}, set()),
        ({"hf.EnrollmentID": "x", "tallystick.roles": ""}, set()),
        ({"hf.EnrollmentID": "x", "tallystick.roles": "risk-officer", "else": "text"}, {"risk-officer"}),
    ],
)
def test_roles_are_a_list_of_names(attrs: dict[str, str], roles: set[str]) -> None:
    assert judge(member([attributes(attrs)])) == Member("OperatorMSP", "x", frozenset(roles))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'"attrs"',
        b"[" * 20_000,
        b"{}",
        b'{"attrs":[]}',
        b'{"attrs":{}}',
        b'{"attrs":{"hf.EnrollmentID":"x"},"more":{}}',
        b'{"attrs":{"hf.EnrollmentID":"x","hf.EnrollmentID":"y"}}',
        b'{"attrs":{"hf.EnrollmentID":"x"},"attrs":{"hf.EnrollmentID":"y"}}',
        b'{"attrs":{"hf.EnrollmentID":1}}',
        b'{"attrs":{"hf.EnrollmentID":"two words"}}',
        b'{"attrs":{"hf.EnrollmentID":""}}',
        b'{"attrs":{"hf.EnrollmentID":"x","tallystick.roles":["admin"]}}',
        b'{"attrs":{"hf.EnrollmentID":"x","tallystick.roles":"admin, pipeline"}}',
        b'{"attrs":{"hf.EnrollmentID":"x","tallystick.roles":"admin,"}}',
        b'{"attrs":{"hf.EnrollmentID":"x","tallystick.roles":"admin,admin"}}',
    ],
)
def test_attributes_are_parsed_strictly(data: bytes) -> None:
    with pytest.raises(Malformed, match="certificate"):
        judge(member([raw_attributes(data)]))


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"\n" + member(),
        member() + b"\n",
        member() + member(),
        b"A canary 12345678\n" + member(),
        member().replace(b"\n", b"\r\n"),
        member()[:-50],
    ],
    ids=["empty", "newline before", "newline after", "two", "text before", "CRLF", "truncated"],
)
def test_a_certificate_is_one_pem_block_and_nothing_else(pem: bytes) -> None:
    if pem:
        with pytest.raises(Malformed, match="PEM"):
            judge(pem)
    with pytest.raises(Malformed):
        Membership([Msp("OperatorMSP", (root(),))]).judge(
            b"\x0a\x01A\x12" + bytes((len(pem) & 0x7F,)) + pem, 0
        )


# Signatures


def verify(signature: bytes, data: bytes = b"data") -> Member:
    identity = serialise_identity("OperatorMSP", member())
    return Membership([Msp("OperatorMSP", (root(),))]).verify(identity, signature, data, DURING)


def low(signature: bytes) -> bytes:
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, min(s, P256_ORDER - s))


def test_a_low_s_signature_over_these_bytes_is_the_members() -> None:
    signature = low(KEYS["member"].sign(b"data", ECDSA))
    assert verify(signature).enrolment_id == "pipeline"
    with pytest.raises(NotProven, match="not this member's"):
        verify(signature, b"Data")
    with pytest.raises(NotProven, match="not this member's"):
        verify(low(KEYS["other"].sign(b"data", ECDSA)))


def test_the_twin_with_a_high_s_is_refused() -> None:
    r, s = decode_dss_signature(low(KEYS["member"].sign(b"data", ECDSA)))
    high = encode_dss_signature(r, P256_ORDER - s)
    KEYS["member"].public_key().verify(high, b"data", ECDSA)
    with pytest.raises(NotProven, match="upper half"):
        verify(high)


@pytest.mark.parametrize(
    "change",
    [
        lambda signature: b"",
        lambda signature: signature[:-1],
        lambda signature: signature + b"\0",
        lambda signature: signature[:1] + b"\x81" + signature[1:],
        lambda signature: encode_dss_signature(0, 0),
        lambda signature: b"\x30\x06\x02\x01\x01\x02\x01\xff",
        lambda signature: encode_dss_signature(P256_ORDER + 1, 1),
    ],
)
def test_a_signature_is_plain_der(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(NotProven, match="signature"):
        verify(change(low(KEYS["member"].sign(b"data", ECDSA))))


def test_an_expired_member_signs_nothing() -> None:
    membership = Membership([Msp("OperatorMSP", (root(),))])
    identity = serialise_identity("OperatorMSP", member())
    signature = low(KEYS["member"].sign(b"data", ECDSA))
    with pytest.raises(NotProven, match="expired"):
        membership.verify(identity, signature, b"data", DURING + 10**11)


DER = x509.load_pem_x509_certificate(member()).public_bytes(Encoding.DER)


def test_no_changed_byte_of_a_certificate_makes_a_member() -> None:
    roots = (root(),)
    for position in range(len(DER)):
        for flip in (0x01, 0x80, 0xFF):
            changed = DER[:position] + bytes([DER[position] ^ flip]) + DER[position + 1 :]
            with pytest.raises(ProofError):
                judge(_pem(changed), roots=roots)


def _pem(der: bytes) -> bytes:
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n".encode()


def test_the_unchanged_certificate_of_that_test_is_a_member() -> None:
    assert judge(_pem(DER)) == judge(member())
