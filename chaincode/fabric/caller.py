"""Whom a certificate certifies: MSP, enrolment id and roles, as docs/formats/identity.md has it.

The peer has verified chain, revocation and signature. It does not look whether a certificate is valid
yet, and knows nothing of roles: both are judged here, by the rules of the embedded host.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from chaincode.context import Caller
from chaincode.errors import Refusal

#: Fabric CA's extension: JSON ``{"attrs": {name: text}}``.
_ATTRIBUTES: Final = ObjectIdentifier("1.2.3.4.5.6.7.8.1")
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
def certified(msp_id: str, pem: bytes) -> Certified:
    """Whom the certificate ``pem`` of the MSP certifies. Raises `Refusal` NOT_A_MEMBER."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        enrolment_id, roles = _attributes(certificate)
    except (ValueError, RecursionError, x509.DuplicateExtension, x509.InvalidVersion):
        raise Refusal("NOT_A_MEMBER", reason="certificate: cannot be read") from None
    return Certified(
        Caller(msp_id, enrolment_id, roles),
        _milliseconds(certificate.not_valid_before_utc),
        _milliseconds(certificate.not_valid_after_utc),
    )


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
