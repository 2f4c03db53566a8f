"""Public keys and signatures as Go's crypto/x509 and Fabric's BCCSP take them.

Sources: parsePublicKey, getSignatureAlgorithmFromAI and checkSignature in crypto/x509 of Go 1.26;
bccsp/utils/ecdsa.go of fabric-lib-go 1.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tallystick.proof.errors import Malformed
from tallystick.proof.fabric.der import OID, SEQUENCE, Der

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

_NULL: Final = b"\x05\x00"
_EC, _RSA, _ED25519 = (bytes.fromhex(each) for each in ("2a8648ce3d0201", "2a864886f70d010101", "2b6570"))
#: Each curve with half of its order: a signature's S above it does not count.
_CURVES: Final[dict[bytes, tuple[ec.EllipticCurve, int]]] = {
    bytes.fromhex(oid): (curve, int(order, 16) >> 1)
    for oid, curve, order in (
        ("2b81040021", ec.SECP224R1(), "F" * 28 + "16A2E0B8F03E13DD29455C5C2A3D"),
        (
            "2a8648ce3d030107",
            ec.SECP256R1(),
            "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551",
        ),
        ("2b81040022", ec.SECP384R1(), "F" * 48 + "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973"),
        (
            "2b81040023",
            ec.SECP521R1(),
            "1" + "F" * 65 + "A51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409",
        ),
    )
}
_HALF_ORDERS: Final = {curve.name: half for curve, half in _CURVES.values()}
_SHA2: Final[tuple[hashes.HashAlgorithm, ...]] = (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())
_ECDSA: Final = {bytes.fromhex(f"2a8648ce3d0403{n:02x}"): sha for n, sha in enumerate(_SHA2, 2)}
_ECDSA_SHA1: Final = bytes.fromhex("2a8648ce3d0401")
_PKCS1: Final = {bytes.fromhex(f"2a864886f70d0101{n:02x}"): sha for n, sha in enumerate(_SHA2, 11)}
_PKCS1_SHA1: Final = (bytes.fromhex("2a864886f70d010105"), bytes.fromhex("2b0e03021d"))
_PSS, _MGF1 = bytes.fromhex("2a864886f70d01010a"), bytes.fromhex("2a864886f70d010108")
_PLAIN: Final = {bytes.fromhex(f"6086480165030402{n:02x}"): sha for n, sha in enumerate(_SHA2, 1)}
_SMALLEST_RSA: Final = 1024


@dataclass(frozen=True, slots=True)
class Algorithm:
    """An AlgorithmIdentifier: its identifier's content and its parameters, whole; none for none."""

    identifier: bytes
    parameters: bytes

    @classmethod
    def read(cls, der: Der) -> Algorithm:
        """Of what stands inside its SEQUENCE. Raises `Malformed`."""
        return cls(der.identifier(), der.any()[2] if der.rest else b"")

    @property
    def is_ecdsa(self) -> bool:
        """Whether signatures by it are ECDSA."""
        return self.identifier in _ECDSA or self.identifier == _ECDSA_SHA1


def read_key(algorithm: Algorithm, data: bytes) -> PublicKey:
    """A public key of a kind that Fabric imports. Raises `Malformed` for any other."""
    try:
        if algorithm.identifier == _EC:
            curve, _ = _CURVES[Der(algorithm.parameters).identifier()]
            if data[:1] == b"\x04":
                return ec.EllipticCurvePublicKey.from_encoded_point(curve, data)
        if algorithm.identifier == _ED25519 and not algorithm.parameters:
            return ed25519.Ed25519PublicKey.from_public_bytes(data)
        if algorithm.identifier == _RSA and algorithm.parameters == _NULL:
            numbers = Der(data).inside()
            modulus, exponent = numbers.integer(), numbers.integer()
            if modulus > 0 and exponent > 0:
                return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except (KeyError, ValueError, UnsupportedAlgorithm):
        raise Malformed("certificate: a key that cannot be read") from None
    raise Malformed("certificate: a key of a kind that Fabric does not take")


def read_ecdsa(signature: bytes) -> tuple[int, int]:
    """R and S. As for Go's asn1.Unmarshal, what follows them is nobody's. Raises `Malformed`."""
    pair = Der(signature).inside()
    r, s = pair.integer(), pair.integer()
    if r <= 0 or s <= 0:
        raise Malformed("signature: not of two positive numbers")
    return r, s


def canonical(signature: bytes) -> bytes:
    """An ECDSA signature written anew. Raises `Malformed`."""
    return encode_dss_signature(*read_ecdsa(signature))


def low_s(key: PublicKey, signature: bytes) -> bytes:
    """An ECDSA signature written anew, with the lower of its two S. Raises `Malformed`."""
    r, s = read_ecdsa(signature)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Malformed("signature: not by a key for ECDSA")
    half = _HALF_ORDERS[key.curve.name]
    s = s if s <= half else 2 * half + 1 - s
    if s <= 0:
        raise Malformed("signature: not below the order")
    return encode_dss_signature(r, s)


def signed(key: PublicKey, digest: hashes.HashAlgorithm | None, signature: bytes, data: bytes) -> bool:
    """Whether that is a member's signature over ``data``, for Fabric: ECDSA has a low S, RSA is none.

    ``digest`` is the MSP's, which Ed25519 does without; with None no other signature counts.
    """
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
            return True
        if not isinstance(key, ec.EllipticCurvePublicKey) or digest is None:
            return False
        r, s = read_ecdsa(signature)
        if s > _HALF_ORDERS[key.curve.name]:
            return False
        key.verify(encode_dss_signature(r, s), data, ec.ECDSA(digest))
    except (Malformed, ValueError, InvalidSignature):
        return False
    return True


#: Go still takes it for a list of revocations, and a peer with it: not to would be to count who is revoked.
_SHA1: Final = hashes.SHA1()  # noqa: S303


def issued(algorithm: Algorithm, key: PublicKey, signature: bytes, data: bytes, *, listed: bool) -> bool:
    """Whether an authority's key signed ``data``. SHA-1 will do for what is ``listed`` alone: revocations."""
    identifier, parameters = algorithm.identifier, algorithm.parameters
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            sha = _SHA1 if identifier == _ECDSA_SHA1 and listed else _ECDSA[identifier]
            key.verify(signature, data, ec.ECDSA(sha))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            if identifier != _ED25519 or parameters:
                return False
            key.verify(signature, data)
        elif key.key_size < _SMALLEST_RSA:
            return False
        elif identifier == _PSS:
            sha = _pss(parameters)
            key.verify(signature, data, padding.PSS(padding.MGF1(sha), sha.digest_size), sha)
        else:
            sha = _SHA1 if identifier in _PKCS1_SHA1 and listed else _PKCS1[identifier]
            key.verify(signature, data, padding.PKCS1v15(), sha)
    except (Malformed, KeyError, ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _pss(parameters: bytes) -> hashes.HashAlgorithm:
    """The one hash of RSASSA-PSS parameters, with a salt as long as it is; Go knows no others."""
    inside = Der(parameters).inside()
    sha, mask = Der(inside.read(0xA0)).inside(), Der(inside.read(0xA1)).inside()
    salt = Der(inside.read(0xA2)).integer()
    hashed, generator = Algorithm.read(sha), mask.read(OID)
    masked = Algorithm.read(Der(mask.read(SEQUENCE)))
    trailer = Der(inside.read(0xA3)).integer() if inside.peek(0xA3) else 1
    if generator != _MGF1 or masked.identifier != hashed.identifier or trailer != 1:
        raise Malformed("signature: RSASSA-PSS of a kind that is not taken")
    if {hashed.parameters, masked.parameters} - {b"", _NULL} or salt != _PLAIN[hashed.identifier].digest_size:
        raise Malformed("signature: RSASSA-PSS of a kind that is not taken")
    return _PLAIN[hashed.identifier]
