"""Who a signer is, judged from bytes: certificates, roles, revocation, signatures.

An organisation (MSP) is its root certificates and its revocation lists. A member's certificate is
issued directly by a root of the MSP that its identity names; everything is P-256 with SHA-256.
docs/formats/identity.md is normative and numbers the rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID, ObjectIdentifier, SignatureAlgorithmOID

from tallystick.proof.errors import Malformed, NotProven, ProofError

ATTRIBUTES_OID: Final = ObjectIdentifier("1.2.3.4.5.6.7.8.1")
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
MAX_IDENTITY: Final = 64 * 1024

_HALF_ORDER: Final = P256_ORDER // 2
_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_ENROLMENT_ID: Final = re.compile(r"[!-~]{1,128}")
_ROLE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNDERSTOOD: Final = (x509.BasicConstraints, x509.KeyUsage)


@dataclass(frozen=True)
class Msp:
    """One organisation: its root certificates and revocation lists, PEM."""

    msp_id: str
    roots: tuple[bytes, ...]
    crls: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Member:
    """A signer as contracts know it: never a certificate."""

    msp_id: str
    enrolment_id: str
    roles: frozenset[str]


class NotInForce(NotProven):
    """A certificate that a root of its MSP issued and that does not count at that time.

    ``code`` is EXPIRED, NOT_YET_VALID or REVOKED.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"certificate: {reason}")
        self.code = code


def refusal_code(error: ProofError) -> str:
    """The code under which a host refuses a signer of whom ``error`` says why he does not count."""
    return error.code if isinstance(error, NotInForce) else "NOT_A_MEMBER"


@dataclass(frozen=True)
class _Root:
    certificate: x509.Certificate
    revoked: frozenset[int]


@dataclass(frozen=True)
class _Signer:
    member: Member
    key: ec.EllipticCurvePublicKey
    revoked: bool
    from_ms: int
    until_ms: int


def serialise_identity(msp_id: str, certificate_pem: bytes) -> bytes:
    """The bytes of Fabric's protobuf message msp.SerializedIdentity{mspid = 1, id_bytes = 2}.

    Raises `Malformed` when a part is empty, ``msp_id`` has no UTF-8 or all of it passes 64 KiB.
    """
    try:
        name = msp_id.encode()
    except UnicodeEncodeError:
        raise Malformed("identity: the MSP's name is not UTF-8") from None
    if not name or not certificate_pem:
        raise Malformed("identity: the MSP's name and the certificate must not be empty")
    fields = (b"\x0a", _varint(len(name)), name, b"\x12", _varint(len(certificate_pem)), certificate_pem)
    identity = b"".join(fields)
    if len(identity) > MAX_IDENTITY:
        raise Malformed("identity: too long")
    return identity


def parse_identity(identity: bytes) -> tuple[str, bytes]:
    """The MSP's name and the certificate (PEM) of a serialised identity.

    Strict: only the bytes that `serialise_identity` makes. Raises `Malformed` for any others.
    """
    if len(identity) > MAX_IDENTITY:
        raise Malformed("identity: too long")
    name, position = _field(identity, 0, 0x0A)
    certificate, position = _field(identity, position, 0x12)
    if position != len(identity):
        raise Malformed("identity: bytes after the last field")
    try:
        return name.decode(), certificate
    except UnicodeDecodeError:
        raise Malformed("identity: the MSP's name is not UTF-8") from None


class Membership:
    """The organisations in force and the judgement of their members.

    Signers are examined once and remembered by the bytes of their identity; the validity window
    and the signature are judged at every call. Raises `Malformed` or `NotProven` for an MSP that
    breaks a rule.
    """

    def __init__(self, msps: Iterable[Msp]) -> None:
        self._roots: dict[str, tuple[_Root, ...]] = {}
        keys: dict[bytes, str] = {}
        for msp in msps:
            if msp.msp_id in self._roots:
                raise NotProven(f"{msp.msp_id}: named twice")
            with foreign(f"{msp.msp_id}: roots and revocation lists"):
                self._roots[msp.msp_id] = _roots(msp)
                own = [_spki(root.certificate) for root in self._roots[msp.msp_id]]
            if any(keys.setdefault(key, msp.msp_id) != msp.msp_id for key in own):
                raise NotProven(f"{msp.msp_id}: shares a root's key with another MSP")
        self._signer = lru_cache(maxsize=4096)(self._examine)

    def judge(self, identity: bytes, at_ms: int) -> Member:
        """The member that ``identity`` (serialised) is at ``at_ms``, in milliseconds since the epoch.

        Raises `Malformed` for bytes that are no identity, `NotInForce` for a certificate that does not
        count at that time, and `NotProven`, saying why, for one of nobody here.
        """
        return self._valid(identity, at_ms).member

    def certified(self, identity: bytes) -> Member:
        """Whom a root of the MSP certified in ``identity``, whether or not that is in force.

        Raises as `judge` does, but for `NotInForce`.
        """
        return self._signer(identity).member

    def verify(self, identity: bytes, signature: bytes, data: bytes, at_ms: int) -> Member:
        """The member whose ECDSA signature (DER, P-256, SHA-256, low-S) over ``data`` this is.

        Raises as `judge` does, and `NotProven` for a signature that is wrong or has a high S.
        """
        signer = self._valid(identity, at_ms)
        try:
            _, s = decode_dss_signature(signature)
        except ValueError:
            raise NotProven("signature: not DER") from None
        if s > _HALF_ORDER:
            raise NotProven("signature: S is in the upper half of the order")
        try:
            signer.key.verify(signature, data, _ECDSA)
        except InvalidSignature:
            raise NotProven("signature: not this member's over these bytes") from None
        return signer.member

    def _valid(self, identity: bytes, at_ms: int) -> _Signer:
        signer = self._signer(identity)
        if signer.revoked:
            raise NotInForce("REVOKED", "revoked")
        if at_ms < signer.from_ms:
            raise NotInForce("NOT_YET_VALID", "not yet valid at that time")
        if at_ms > signer.until_ms:
            raise NotInForce("EXPIRED", "expired at that time")
        return signer

    def _examine(self, identity: bytes) -> _Signer:
        msp_id, pem = parse_identity(identity)
        roots = self._roots.get(msp_id)
        if roots is None:
            raise NotProven("identity: of an MSP that is not known here")
        with foreign("certificate"):
            return _examined(msp_id, pem, roots)


@contextmanager
def foreign(what: str) -> Iterator[None]:
    """The one door for certificates and lists: whatever the library raises of them is `Malformed`.

    It parses many parts only when they are asked for, and says in no one place what it may raise then.
    """
    try:
        yield
    except (ProofError, MemoryError):
        raise
    except Exception:
        raise Malformed(f"{what}: not in PEM, or with a part that cannot be read") from None


def _examined(msp_id: str, pem: bytes, roots: Iterable[_Root]) -> _Signer:
    certificate = _certificate(pem, "certificate")
    key = _p256_key(certificate, "certificate")
    _check_signer_extensions(certificate)
    root = next((root for root in roots if _issued_by(certificate, root.certificate)), None)
    if root is None:
        raise NotProven(f"certificate: not issued by a root of {msp_id}")
    enrolment_id, roles = member_attributes(certificate)
    windows = (certificate, root.certificate)
    return _Signer(
        Member(msp_id, enrolment_id, roles),
        key,
        certificate.serial_number in root.revoked,
        max(_milliseconds(each.not_valid_before_utc) for each in windows),
        min(_milliseconds(each.not_valid_after_utc) for each in windows),
    )


def _roots(msp: Msp) -> tuple[_Root, ...]:
    if not msp.roots:
        raise NotProven(f"{msp.msp_id}: has no root certificate")
    certificates = [_root_certificate(pem, f"{msp.msp_id}: root certificate") for pem in msp.roots]
    revoked: list[set[int]] = [set() for _ in certificates]
    for pem in msp.crls:
        crl = _crl(pem, f"{msp.msp_id}: revocation list")
        signers = [
            index
            for index, root in enumerate(certificates)
            if root.subject == crl.issuer and crl.is_signature_valid(_p256_key(root, "root certificate"))
        ]
        if not signers:
            raise NotProven(f"{msp.msp_id}: a revocation list that no root of this MSP signed")
        for index in signers:
            revoked[index].update(entry.serial_number for entry in crl)
    return tuple(_Root(root, frozenset(serials)) for root, serials in zip(certificates, revoked, strict=True))


def _root_certificate(pem: bytes, what: str) -> x509.Certificate:
    certificate = _certificate(pem, what)
    _p256_key(certificate, what)
    extensions = certificate.extensions
    try:
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        raise NotProven(f"{what}: has no basic constraints or no key usage") from None
    if not constraints.ca or not usage.key_cert_sign or not usage.crl_sign:
        raise NotProven(f"{what}: may not sign certificates and revocation lists")
    if not _issued_by(certificate, certificate):
        raise NotProven(f"{what}: not signed by itself")
    return certificate


def _check_signer_extensions(certificate: x509.Certificate) -> None:
    for extension in certificate.extensions:
        value = extension.value
        if extension.critical and not isinstance(value, _UNDERSTOOD):
            raise NotProven("certificate: a critical extension that is not understood")
        if isinstance(value, x509.BasicConstraints) and value.ca:
            raise NotProven("certificate: a certificate authority's, not a signer's")
        if isinstance(value, x509.KeyUsage) and (value.key_cert_sign or not value.digital_signature):
            raise NotProven("certificate: its key usage is not that of a signer")


def member_attributes(certificate: x509.Certificate) -> tuple[str, frozenset[str]]:
    """Enrolment id and roles, from Fabric CA's attribute extension or, without it, the common name.

    Raises `Malformed`.
    """
    with foreign("certificate"):
        names = [str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        try:
            value = certificate.extensions.get_extension_for_oid(ATTRIBUTES_OID).value
        except x509.ExtensionNotFound:
            return read_attributes(None, names)
        return read_attributes(value.value if isinstance(value, x509.UnrecognizedExtension) else b"", names)


def read_attributes(extension: bytes | None, names: Sequence[str]) -> tuple[str, frozenset[str]]:
    """The same, from what the extension holds or, without it, from the common names."""
    if extension is None:
        return _enrolment_id(names[0] if len(names) == 1 else None), frozenset()
    try:
        document = json.loads(extension, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise Malformed("certificate: its attributes are not JSON") from None
    attributes = document.get("attrs") if isinstance(document, dict) and len(document) == 1 else None
    if not isinstance(attributes, dict) or not all(isinstance(item, str) for item in attributes.values()):
        raise Malformed('certificate: its attributes are not {"attrs": {name: text}}')
    listed = attributes.get("tallystick.roles", "")
    roles = listed.split(",") if listed else []
    if not all(_ROLE.fullmatch(role) for role in roles) or len(set(roles)) != len(roles):
        raise Malformed("certificate: its roles are not a list of names")
    return _enrolment_id(attributes.get("hf.EnrollmentID")), frozenset(roles)


def _enrolment_id(value: Any) -> str:
    if not isinstance(value, str) or not _ENROLMENT_ID.fullmatch(value):
        raise Malformed("certificate: has no usable enrolment id")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key twice")
    return result


def _certificate(pem: bytes, what: str) -> x509.Certificate:
    with foreign(what):
        certificate = x509.load_pem_x509_certificate(pem)
        again = certificate.public_bytes(serialization.Encoding.PEM)
        # The library reads these late, and a part that nobody asks for must be right too.
        _ = certificate.extensions, certificate.subject, certificate.issuer, certificate.serial_number
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if again != pem:
        raise Malformed(f"{what}: PEM with more than the certificate in its plain form")
    # The signature's BIT STRING states its unused bits, which nothing signs: they are none.
    if not certificate.public_bytes(serialization.Encoding.DER).endswith(b"\x00" + certificate.signature):
        raise Malformed(f"{what}: a signature that is not whole bytes")
    if certificate.serial_number <= 0:
        raise Malformed(f"{what}: a serial number that is not positive")
    if certificate.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        raise NotProven(f"{what}: not signed with ECDSA and SHA-256")
    return certificate


def _crl(pem: bytes, what: str) -> x509.CertificateRevocationList:
    with foreign(what):
        crl = x509.load_pem_x509_crl(pem)
        again = crl.public_bytes(serialization.Encoding.PEM)
        critical = [extension for extension in crl.extensions if extension.critical]
    if again != pem:
        raise Malformed(f"{what}: PEM with more than the list in its plain form")
    if critical or crl.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        raise NotProven(f"{what}: a critical extension, or not signed with ECDSA and SHA-256")
    return crl


def _p256_key(certificate: x509.Certificate, what: str) -> ec.EllipticCurvePublicKey:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise NotProven(f"{what}: its key cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise NotProven(f"{what}: not a P-256 key")
    return key


def _issued_by(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _spki(certificate: x509.Certificate) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return certificate.public_key().public_bytes(serialization.Encoding.DER, form)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _field(data: bytes, position: int, tag: int) -> tuple[bytes, int]:
    if data[position : position + 1] != bytes((tag,)):
        raise Malformed("identity: not an MSP's name followed by a certificate")
    length, shift, start = 0, 0, position + 1
    for byte in data[start : start + 3]:
        length |= (byte & 0x7F) << shift
        shift += 7
        start += 1
        if byte < 0x80:
            break
    end = start + length
    if not length or data[position + 1 : start] != _varint(length) or end > len(data):
        raise Malformed("identity: a field's length is wrong")
    return data[start:end], end
