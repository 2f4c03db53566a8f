"""Whom a certificate certifies: MSP, enrolment id and roles, as docs/formats/identity.md has it.

The peer has verified chain, revocation and signature. It does not look whether a certificate is valid
yet, and knows nothing of roles: both are judged here, by the rules of the embedded host. It judges the
first PEM block of an identity, whatever the block is called and whatever follows: only an identity that
can be read in no other way is read here.

Fabric counts keys and extensions that few others read. A call is endorsed for a certificate of the plain
kind alone, of which whoever judges the block has to find what the peers did.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier, SignatureAlgorithmOID
from fabric_protos.msp import identities_pb2

from chaincode.context import Caller
from chaincode.errors import Refusal

#: Fabric CA's extension: JSON ``{"attrs": {name: text}}``.
_ATTRIBUTES: Final = ObjectIdentifier("1.2.3.4.5.6.7.8.1")
#: What may be critical.
_UNDERSTOOD: Final = (x509.BasicConstraints, x509.KeyUsage)
_MAX_IDENTITY: Final = 64 * 1024
_ENROLMENT_ID: Final = re.compile(r"[!-~]{1,128}")
_ROLE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Certified:
    """A caller and the milliseconds since the epoch between which its certificate is valid."""

    caller: Caller
    from_ms: int
    until_ms: int

    def at(self, time_ms: int) -> Caller:
        """The caller at ``time_ms``. Raises `Refusal` NOT_YET_VALID or EXPIRED."""
        if time_ms < self.from_ms:
            raise Refusal("NOT_YET_VALID", reason="certificate: not yet valid at that time")
        if time_ms > self.until_ms:
            raise Refusal("EXPIRED", reason="certificate: expired at that time")
        return self.caller


@lru_cache(maxsize=4096)
def certified(creator: bytes) -> Certified:
    """Whom ``creator``, a serialised identity in its one spelling, is. Raises `Refusal` NOT_A_MEMBER."""
    try:
        msp_id, certificate = _read(creator)
        _check_plain(certificate)
        enrolment_id, roles = _attributes(certificate)
        window = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except (Refusal, MemoryError):
        raise
    # The library parses many parts late, and says in no one place what it may raise then.
    except Exception:
        raise Refusal("NOT_A_MEMBER", reason="certificate: cannot be read") from None
    return Certified(Caller(msp_id, enrolment_id, roles), *map(_milliseconds, window))


def _read(creator: bytes) -> tuple[str, x509.Certificate]:
    """The MSP's name and the certificate; no other bytes spell the same two."""
    identity = identities_pb2.SerializedIdentity.FromString(creator)
    certificate = x509.load_pem_x509_certificate(identity.id_bytes)
    _ = certificate.extensions, certificate.subject, certificate.issuer, certificate.serial_number
    plain = identities_pb2.SerializedIdentity(
        mspid=identity.mspid, id_bytes=certificate.public_bytes(Encoding.PEM)
    )
    if not identity.mspid or plain.SerializeToString() != creator or len(creator) > _MAX_IDENTITY:
        raise Refusal("NOT_A_MEMBER", reason="identity: with more than the certificate in its plain form")
    return identity.mspid, certificate


def _check_plain(certificate: x509.Certificate) -> None:
    """Refuse what breaks a rule of docs/formats/identity.md for a signer's certificate."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Refusal("NOT_A_MEMBER", reason="certificate: not of a P-256 key")
    if certificate.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        raise Refusal("NOT_A_MEMBER", reason="certificate: not signed with ECDSA and SHA-256")
    whole = certificate.public_bytes(Encoding.DER).endswith(b"\x00" + certificate.signature)
    if not whole or certificate.serial_number <= 0:
        raise Refusal("NOT_A_MEMBER", reason="certificate: its signature or serial number is no plain one")
    for extension in certificate.extensions:
        value = extension.value
        if extension.critical and not isinstance(value, _UNDERSTOOD):
            raise Refusal("NOT_A_MEMBER", reason="certificate: a critical extension that is not understood")
        if isinstance(value, x509.BasicConstraints) and value.ca:
            raise Refusal("NOT_A_MEMBER", reason="certificate: an authority's, not a signer's")
        if isinstance(value, x509.KeyUsage) and (value.key_cert_sign or not value.digital_signature):
            raise Refusal("NOT_A_MEMBER", reason="certificate: its key usage is not that of a signer")


def _attributes(certificate: x509.Certificate) -> tuple[str, frozenset[str]]:
    """Enrolment id and roles, from the extension or, without it, the common name and none."""
    try:
        value = certificate.extensions.get_extension_for_oid(_ATTRIBUTES).value
    except x509.ExtensionNotFound:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return _enrolment_id(names[0].value if len(names) == 1 else None), frozenset()
    raw = value.value if isinstance(value, x509.UnrecognizedExtension) else b""
    document = json.loads(raw, object_pairs_hook=_object)
    attributes = document.get("attrs") if isinstance(document, dict) and len(document) == 1 else None
    if not isinstance(attributes, dict) or not all(isinstance(item, str) for item in attributes.values()):
        raise Refusal("NOT_A_MEMBER", reason="certificate: its attributes are not names with texts")
    listed = attributes.get("tallystick.roles", "")
    roles = listed.split(",") if listed else []
    if not all(_ROLE.fullmatch(role) for role in roles) or len(set(roles)) != len(roles):
        raise Refusal("NOT_A_MEMBER", reason="certificate: its roles are not a list of names")
    return _enrolment_id(attributes.get("hf.EnrollmentID")), frozenset(roles)


def _enrolment_id(value: Any) -> str:
    if not isinstance(value, str) or not _ENROLMENT_ID.fullmatch(value):
        raise Refusal("NOT_A_MEMBER", reason="certificate: has no usable enrolment id")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key twice")
    return result


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
