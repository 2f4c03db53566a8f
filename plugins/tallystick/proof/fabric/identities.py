"""An organisation's members as a Fabric MSP knows them: chain, revocation, node types, signatures.

A peer judges no dates when it validates a block (msp/mspimplvalidate.go: an authority's word is taken as
of the certificate's own first second), so neither is done here: `Identity.judge_window` is for who asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509.oid import NameOID

from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.fabric.blocks import der_element as _element
from tallystick.proof.fabric.pem import first_block
from tallystick.proof.membership import Member, NotInForce, foreign, member_attributes, serialise_identity
from tallystick.proof.protobuf import Message

MEMBER, ADMIN, CLIENT, PEER, ORDERER = range(5)

_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_HALF_ORDERS: Final = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551 >> 1,
    "secp384r1": int("F" * 48 + "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16) >> 1,
}
_UNDERSTOOD: Final = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectAlternativeName,
)
_CHAIN_LIMIT: Final = 10


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate of an MSP. ``problem`` says why it is not one of its members; empty where it is.

    ``name`` tells this identity from others: one certificate has many spellings.
    """

    msp_id: str
    name: tuple[str, bytes]
    certificate: x509.Certificate
    key: ec.EllipticCurvePublicKey
    units: frozenset[str]
    named_admin: bool
    problem: str

    def signed(self, signature: bytes, data: bytes) -> bool:
        """Whether this is its ECDSA signature over ``data``, with the low S that Fabric demands."""
        try:
            _, s = decode_dss_signature(signature)
            self.key.verify(signature, data, _ECDSA)
        except (ValueError, InvalidSignature):
            return False
        return s <= _HALF_ORDERS[self.key.curve.name]

    def member(self) -> Member:
        """Whom contracts take this for. Raises `Malformed` for attributes that they cannot read."""
        enrolment_id, roles = member_attributes(self.certificate)
        return Member(self.msp_id, enrolment_id, roles)

    def judge_spelling(self, identity: bytes) -> None:
        """Raise `NotProven` unless ``identity`` is the one spelling that our contracts read."""
        pem = self.certificate.public_bytes(serialization.Encoding.PEM)
        if identity != serialise_identity(self.msp_id, pem):
            raise NotProven("its signer's identity holds more than the certificate in its plain form")

    def judge_window(self, at_ms: int) -> None:
        """Raise `NotInForce` where the certificate was not valid at that time, ms since the epoch."""
        with foreign("certificate"):
            window = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        from_ms, until_ms = (int(moment.timestamp()) * 1000 for moment in window)
        if at_ms < from_ms:
            raise NotInForce("NOT_YET_VALID", "not yet valid at that time")
        if at_ms > until_ms:
            raise NotInForce("EXPIRED", "expired at that time")


@dataclass(frozen=True, slots=True)
class _Unit:
    name: str
    authority: bytes


class Organisation:
    """One MSP as the channel's configuration has it."""

    def __init__(self, data: bytes) -> None:
        """Of an MSPConfig. Raises `Malformed` for one that Fabric does not accept or that is no X.509 MSP."""
        outer = Message(data, "MSP")
        if outer.int32(1) != 0:
            raise Malformed("MSP: not of X.509 certificates")
        config = Message(outer.blob(2), "MSP")
        self.msp_id = config.text(1)
        crypto = config.message(8)
        if crypto.text(1) not in ("", "SHA2") or crypto.text(2) not in ("", "SHA256"):
            raise Malformed(f"{self.msp_id}: another hash than SHA-256")
        roots = [_certificate(pem) for pem in config.blobs(2)]
        #: SHA-256 of the root certificates, in hex.
        self.roots = tuple(sorted(root.fingerprint(hashes.SHA256()).hex() for root in roots))
        self._roots = {root.tbs_certificate_bytes for root in roots}
        self._authorities = [*roots, *(_certificate(pem) for pem in config.blobs(3))]
        if not roots or not all(_is_authority(authority) for authority in self._authorities):
            raise Malformed(f"{self.msp_id}: an authority that is none, or no root")
        self._admins = {_certificate(pem).tbs_certificate_bytes for pem in config.blobs(4)}
        with foreign(f"{self.msp_id}: revocation lists"):
            crls = [x509.load_pem_x509_crl(pem) for pem in config.blobs(5)]
            self._anonymous_list = any(_named_authority(crl) is None for crl in crls)
            self._revoked = _revoked(crls, self._authorities)
        self._units = [_unit(unit) for unit in config.messages(7)]
        nodes = config.message(11)
        named = {CLIENT: 2, PEER: 3, ADMIN: 4, ORDERER: 5}
        self._nodes = {role: _unit(nodes.message(at)) for role, at in named.items() if nodes.has(at)}
        self._enforced = bool(nodes.number(1)) and bool(self._nodes)

    @property
    def revoked(self) -> tuple[str, ...]:
        """The serial numbers of what its authorities have revoked, in hex."""
        return tuple(sorted({f"{serial:x}" for _, serial in self._revoked}))

    def examine(self, pem: bytes) -> Identity:
        """The identity of a certificate that claims to be of this MSP. Raises `Malformed` for no identity."""
        with foreign("certificate"):
            return self._examined(_certificate(pem))

    def _examined(self, certificate: x509.Certificate) -> Identity:
        key = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HALF_ORDERS:
            raise Malformed("certificate: its key is not of P-256 or P-384")
        found = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        units = frozenset(str(unit.value) for unit in found)
        signed = certificate.tbs_certificate_bytes
        return Identity(
            self.msp_id,
            (self.msp_id, signed),
            certificate,
            key,
            units,
            signed in self._admins,
            self._problem(certificate, units),
        )

    def has_role(self, identity: Identity, role: int) -> bool:
        """Whether an identity of this MSP has a role (msp/mspimpl.go, satisfiesPrincipalInternalV142)."""
        if role == ADMIN and identity.named_admin:
            return True
        if identity.problem or (role == ADMIN and not self._enforced):
            return False
        return role == MEMBER or (role in self._nodes and self._nodes[role].name in identity.units)

    def has_unit(self, identity: Identity, name: str, certifiers: bytes) -> bool:
        """Whether an identity of this MSP is in a unit, under the chain whose SHA-256 is ``certifiers``."""
        digest, authority = sha256(), self._issuer(identity.certificate)
        if identity.problem or name not in identity.units:
            return False
        while authority is not None:
            above = self._issuer(authority)
            digest.update(_low(authority, above or authority))
            authority = None if authority.tbs_certificate_bytes in self._roots else above
        return digest.digest() == certifiers

    def _problem(self, certificate: x509.Certificate, units: frozenset[str]) -> str:
        if _is_authority(certificate):
            return "an authority's, not a member's"
        if any(e.critical and not isinstance(e.value, _UNDERSTOOD) for e in certificate.extensions):
            return "has a critical extension that is not understood"
        issuer = self._issuer(certificate)
        if issuer is None or not self._leads_to_root(issuer):
            return f"not issued by an authority of {self.msp_id}"
        authority = issuer.tbs_certificate_bytes
        if self._anonymous_list:
            return "of an organisation with a revocation list that names no authority"
        if (authority, certificate.serial_number) in self._revoked:
            return "revoked"
        if self._units and not any(u.name in units and u.authority == authority for u in self._units):
            return "in none of the organisation's units"
        if not self._enforced:
            return ""
        types = [node for node in self._nodes.values() if node.name in units]
        if len(types) != 1 or types[0].authority not in (b"", authority):
            return "not of exactly one type of node"
        return ""

    def _leads_to_root(self, authority: x509.Certificate | None) -> bool:
        for _ in range(_CHAIN_LIMIT):
            if authority is None:
                return False
            if authority.tbs_certificate_bytes in self._roots:
                return True
            authority = self._issuer(authority)
        return False

    def _issuer(self, certificate: x509.Certificate) -> x509.Certificate | None:
        return next((each for each in self._authorities if _issued(certificate, each)), None)


class Members:
    """The organisations in force. Identities are examined once and remembered by their bytes."""

    def __init__(self, organisations: Iterable[Organisation]) -> None:
        """Raises `Malformed` for two organisations of one name."""
        self.organisations: dict[str, Organisation] = {}
        for organisation in organisations:
            if organisation.msp_id in self.organisations:
                raise Malformed(f"{organisation.msp_id}: named twice")
            self.organisations[organisation.msp_id] = organisation
        self.examine = lru_cache(maxsize=4096)(self._examine)

    def verified(self, identity: bytes, signature: bytes, data: bytes) -> Identity:
        """The member whose signature over ``data`` this is. Raises `Malformed` or `NotProven`."""
        found = self.examine(identity)
        if found.problem:
            raise NotProven(f"certificate: {found.problem}")
        if not found.signed(signature, data):
            raise NotProven("signature: not this member's over these bytes, or with a high S")
        return found

    def has_role(self, identity: Identity, msp_id: str, role: int) -> bool:
        """Whether the identity has the role in that organisation."""
        return identity.msp_id == msp_id and self.organisations[msp_id].has_role(identity, role)

    def has_unit(self, identity: Identity, msp_id: str, name: str, certifiers: bytes) -> bool:
        """Whether the identity is in that organisation's unit, certified by that chain."""
        found = self.organisations[identity.msp_id]
        return identity.msp_id == msp_id and found.has_unit(identity, name, certifiers)

    def _examine(self, identity: bytes) -> Identity:
        message = Message(identity, "identity")
        organisation = self.organisations.get(message.text(1))
        if organisation is None:
            raise NotProven("identity: of an organisation that is not on the channel")
        return organisation.examine(message.blob(2))


def _unit(message: Message) -> _Unit:
    pem = message.blob(1)
    return _Unit(message.text(2), _certificate(pem).tbs_certificate_bytes if pem else b"")


def _certificate(pem: bytes) -> x509.Certificate:
    with foreign("certificate"):
        certificate = x509.load_der_x509_certificate(first_block(pem))
        # The library reads these late; whatever is wrong with them is to come out here.
        _ = certificate.extensions, certificate.subject, certificate.issuer, certificate.serial_number
    return certificate


def _revoked(
    crls: list[x509.CertificateRevocationList], authorities: list[x509.Certificate]
) -> set[tuple[bytes, int]]:
    """Who is revoked: the issuing authority with the serial number."""
    revoked = set()
    for crl in crls:
        for authority in authorities:
            key = authority.public_key()
            if _named_authority(crl) != _own_name(authority) or not isinstance(
                key, ec.EllipticCurvePublicKey
            ):
                continue
            if crl.is_signature_valid(key):
                revoked |= {(authority.tbs_certificate_bytes, entry.serial_number) for entry in crl}
    return revoked


def _named_authority(crl: x509.CertificateRevocationList) -> bytes | None:
    try:
        return crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return None


def _own_name(authority: x509.Certificate) -> bytes | None:
    try:
        return authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _low(certificate: x509.Certificate, authority: x509.Certificate) -> bytes:
    """The certificate's DER as an MSP keeps it: with the low S of its signature (msp/cert.go)."""
    encoded, key = certificate.public_bytes(serialization.Encoding.DER), authority.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HALF_ORDERS:
        return encoded
    half = _HALF_ORDERS[key.curve.name]
    r, s = decode_dss_signature(certificate.signature)
    if s <= half:
        return encoded
    tail = _element(0x03, b"\x00" + certificate.signature)
    start = encoded.index(certificate.tbs_certificate_bytes)
    low = encode_dss_signature(r, 2 * half + 1 - s)
    return _element(0x30, encoded[start : -len(tail)] + _element(0x03, b"\x00" + low))
