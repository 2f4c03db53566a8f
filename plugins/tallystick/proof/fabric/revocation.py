"""Revocation lists as Fabric 3.1 reads and judges them (msp/mspimplsetup.go, msp/mspimplvalidate.go)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tallystick.proof.errors import Malformed
from tallystick.proof.fabric import keys
from tallystick.proof.fabric.certificates import Certificate
from tallystick.proof.fabric.der import (
    BOOLEAN,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    UTC_TIME,
    Der,
)
from tallystick.proof.fabric.pem import first_block

_PEM: Final = b"-----BEGIN X509 CRL"
_AUTHORITY_KEY: Final = b"\x55\x1d\x23"


@dataclass(frozen=True)
class RevocationList:
    """A list. ``authority`` is the key identifier that it names: None where it has no place for one."""

    signed: bytes
    algorithm: keys.Algorithm
    signature: bytes
    authority: bytes | None
    serials: frozenset[int]

    def is_of(self, authority: Certificate) -> bool:
        """Whether it names that authority and is signed by it."""
        return authority.extensions.key_identifier == self.authority and keys.issued(
            self.algorithm, authority.key, self.signature, self.signed, listed=True
        )


def read_list(data: bytes) -> RevocationList:
    """A list in PEM or DER (Go's ParseCRL). Raises `Malformed`."""
    outer = Der(first_block(data) if data.startswith(_PEM) else data)
    whole = outer.inside()
    if outer.rest:
        raise Malformed("revocation list: with more behind it")
    signed = whole.element(SEQUENCE)
    algorithm = keys.Algorithm.read(whole.inside())
    signature = whole.aligned()
    if algorithm.is_ecdsa:
        signature = keys.canonical(signature)
    body = Der(signed).inside()
    body.optional(INTEGER)
    body.read(SEQUENCE)
    body.read(SEQUENCE)
    body.time()
    if body.peek(UTC_TIME) or body.peek(GENERALIZED_TIME):
        body.time()
    serials = set()
    entries = Der(body.optional(SEQUENCE) or b"")
    while entries.rest:
        serials.add(entries.inside().integer())
    extensions = body.inside(0xA0) if body.peek(0xA0) else Der(b"")
    return RevocationList(signed, algorithm, signature, _authority(extensions), frozenset(serials))


def _authority(extensions: Der) -> bytes | None:
    listed = extensions.inside() if extensions.rest else extensions
    while listed.rest:
        each = listed.inside()
        name = each.identifier()
        each.optional(BOOLEAN)
        content = each.read(OCTET_STRING)
        if name == _AUTHORITY_KEY:
            return _key_identifier(content)
    return None


def _key_identifier(content: bytes) -> bytes | None:
    try:
        return Der(content).inside().optional(0x80) or b""
    except Malformed:
        return None
