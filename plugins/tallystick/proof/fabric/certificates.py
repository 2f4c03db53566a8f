"""A certificate as Go's crypto/x509 reads it, in so far as Fabric looks at what it says.

`cryptography` reads more strictly in one place and less so in another, and by its version: who judged by it
would count other signatures than peers do. Source: parser.go in crypto/x509 of Go 1.26.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from tallystick.proof.errors import Malformed
from tallystick.proof.fabric import keys
from tallystick.proof.fabric.der import BIT_STRING, BOOLEAN, OCTET_STRING, SEQUENCE, SET, Der, encode
from tallystick.proof.fabric.extensions import Extensions

#: Fabric CA's extension, as `membership.ATTRIBUTES_OID`.
ATTRIBUTES: Final = bytes.fromhex("2a03040506070801")
COMMON_NAME, UNIT = b"\x55\x04\x03", b"\x55\x04\x0b"

_UTF8, _NUMERIC, _PRINTABLE, _T61, _IA5, _BMP = 0x0C, 0x12, 0x13, 0x14, 0x16, 0x1E
_IS_NUMERIC: Final = frozenset(b"0123456789 ")
_IS_PRINTABLE: Final = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'()+,-./ :=?*&"
)


@dataclass(frozen=True, eq=False)
class Certificate:
    """What stands in a certificate. ``raw`` is all of it; times are seconds since the epoch.

    ``names`` are the subject's attributes, by the content of their identifiers.
    """

    raw: bytes
    signed: bytes
    version: int
    serial: int
    algorithm: keys.Algorithm
    issuer: bytes
    subject: bytes
    names: tuple[tuple[bytes, str], ...]
    not_before: int
    not_after: int
    public_key: bytes
    key: keys.PublicKey
    extensions: Extensions
    signature: bytes
    _outer: bytes = field(repr=False)

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The subject's organisational units, in their order, as often as they stand there."""
        return tuple(value for name, value in self.names if name == UNIT)

    @property
    def is_authority(self) -> bool:
        """Whether it says that it is an authority's."""
        return self.extensions.is_authority is True

    def issued_by(self, authority: Certificate) -> bool:
        """Whether that authority signed this, and may have (Go's CheckSignatureFrom)."""
        theirs = authority.extensions
        if theirs.is_authority is False or (theirs.is_authority is None and authority.version == 3):
            return False
        return theirs.may_certify and keys.issued(
            self.algorithm, authority.key, self.signature, self.signed, listed=False
        )

    def with_low_s(self, authority: Certificate) -> Certificate:
        """The same with the lower S in its signature (msp/cert.go). Raises `Malformed`."""
        signature = keys.low_s(authority.key, self.signature)
        if signature == self.signature:
            return self
        parts = self.signed, self._outer, encode(BIT_STRING, b"\0", signature)
        return read_certificate(encode(SEQUENCE, *parts))


def read_certificate(data: bytes) -> Certificate:
    """A certificate from its DER. Raises `Malformed`, also for one with a key that Fabric does not import."""
    outer = Der(data)
    whole = outer.inside()
    if outer.rest:
        raise Malformed("certificate: with more behind it")
    signed = whole.element(SEQUENCE)
    body = Der(signed).inside()
    version = body.inside(0xA0) if body.peek(0xA0) else None
    number = version.integer() if version else 0
    if not 0 <= number <= 2 or (version and version.rest):
        raise Malformed("certificate: of an unknown version")
    serial = body.integer()
    inner, algorithm = body.read(SEQUENCE), whole.read(SEQUENCE)
    if serial < 0 or inner != algorithm:
        raise Malformed("certificate: a negative serial number, or signed by two algorithms")
    issuer = body.element(SEQUENCE)
    _names(issuer)
    validity = body.inside()
    not_before, not_after = validity.time(), validity.time()
    subject, public_key = body.element(SEQUENCE), body.element(SEQUENCE)
    info = Der(public_key).inside()
    kind = keys.Algorithm.read(info.inside())
    key = keys.read_key(kind, info.aligned())
    signed_by = keys.Algorithm.read(Der(algorithm))
    return Certificate(
        data,
        signed,
        number + 1,
        serial,
        signed_by,
        issuer,
        subject,
        _names(subject),
        not_before,
        not_after,
        public_key,
        key,
        _extensions(body, number + 1),
        whole.aligned(),
        encode(SEQUENCE, encode(0x06, signed_by.identifier), signed_by.parameters),
    )


def _extensions(body: Der, version: int) -> Extensions:
    if version == 1:
        return Extensions()
    body.optional(0x81)
    body.optional(0x82)
    found: dict[bytes, tuple[bool, bytes]] = {}
    if version == 3 and body.peek(0xA3):
        listed = body.inside(0xA3).inside()
        while listed.rest:
            each = listed.inside()
            name = each.identifier()
            critical = each.boolean() if each.peek(BOOLEAN) else False
            if name in found:
                raise Malformed("certificate: an extension twice")
            found[name] = critical, each.read(OCTET_STRING)
    return Extensions.read(found)


def _names(name: bytes) -> tuple[tuple[bytes, str], ...]:
    found = []
    sets = Der(name).inside()
    while sets.rest:
        attributes = sets.inside(SET)
        while attributes.rest:
            attribute = attributes.inside()
            kind = attribute.identifier()
            tag, content, _ = attribute.any()
            found.append((kind, _text(tag, content)))
    return tuple(found)


def _text(tag: int, content: bytes) -> str:
    try:
        if tag == _UTF8:
            return content.decode()
        if tag == _T61:
            return content.decode("latin-1")
        if tag == _BMP:
            return _bmp(content)
        if tag == _IA5 or (tag == _PRINTABLE and _IS_PRINTABLE.issuperset(content)):
            return content.decode("ascii")
        if tag == _NUMERIC and _IS_NUMERIC.issuperset(content):
            return content.decode("ascii")
    except UnicodeDecodeError:
        raise Malformed("certificate: a name that is no text") from None
    raise Malformed("certificate: a name that is no text")


def _bmp(content: bytes) -> str:
    content = content.removesuffix(b"\0\0") if len(content) % 2 == 0 else content
    text = content.decode("utf-16-be")
    if any(point >= 0xFFFE or 0xFDD0 <= point <= 0xFDEF for point in map(ord, text)):
        raise Malformed("certificate: a name that is no text")
    return text
