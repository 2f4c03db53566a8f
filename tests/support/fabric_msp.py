"""MSPs, certificates, lists and signatures, right and odd, made by their elements for fabric_msp_cases.py."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fabric_protos.msp import identities_pb2
from fabric_protos.msp import msp_config_pb2 as pb

from tallystick.proof.fabric.der import encode

DATA: Final = b"what is signed"
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Case = tuple[str, bytes, bytes, bytes, bool]
SHA = hashes.SHA256()


def seq(*parts: bytes) -> bytes:
    return encode(0x30, *parts)


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    content = b""
    for number in (40 * first + second, *rest):
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(number & 0x7F | 0x80)
        content += bytes(reversed(digits))
    return encode(6, content)


def integer(number: int) -> bytes:
    return encode(2, number.to_bytes(number.bit_length() // 8 + 1, signed=True))


def bits(content: bytes, unused: int = 0) -> bytes:
    return encode(3, bytes((unused,)), content)


def name(common: str, *units: str | bytes) -> bytes:
    """A subject; a unit in bytes is an element as it stands."""
    values = [each if isinstance(each, bytes) else encode(0x0C, each.encode()) for each in units]
    attributes = [
        (oid("2.5.4.3"), encode(0x0C, common.encode())),
        *((oid("2.5.4.11"), each) for each in values),
    ]
    return seq(*(encode(0x31, seq(*attribute)) for attribute in attributes))


def extension(dotted: str, content: bytes, critical: bool = False) -> bytes:
    return seq(oid(dotted), *([b"\x01\x01\xff"] if critical else []), encode(4, content))


def constraints(authority: bool, path: int | None = None) -> bytes:
    said = [b"\x01\x01\xff"] if authority else []
    return extension("2.5.29.19", seq(*said, *([integer(path)] if path is not None else [])), True)


def identifier(content: bytes) -> bytes:
    return extension("2.5.29.14", encode(4, content))


CERTIFIES = extension("2.5.29.15", bits(b"\x06", 1), True)
SIGNS = extension("2.5.29.15", bits(b"\x80", 7), True)
NOT_CA = constraints(False)
ECDSA, ED25519 = seq(oid("1.2.840.10045.4.3.2")), seq(oid("1.3.101.112"))
PKCS1 = seq(oid("1.2.840.113549.1.1.11"), b"\x05\x00")
_SHA256 = seq(oid("2.16.840.1.101.3.4.2.1"))
PSS = seq(
    oid("1.2.840.113549.1.1.10"),
    seq(
        encode(0xA0, _SHA256),
        encode(0xA1, seq(oid("1.2.840.113549.1.1.8"), _SHA256)),
        encode(0xA2, integer(32)),
    ),
)


def of_p256(signature: bytes, high: bool) -> bytes:
    r, s = utils.decode_dss_signature(signature)
    return utils.encode_dss_signature(r, max(s, P256_ORDER - s) if high else min(s, P256_ORDER - s))


def sign(key: Any, data: bytes, algorithm: bytes = ECDSA, high: bool = False) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(SHA), 32)
        return key.sign(data, pss if algorithm == PSS else padding.PKCS1v15(), SHA)
    signature = key.sign(data, ec.ECDSA(SHA))
    return of_p256(signature, high) if key.curve.name == "secp256r1" else signature


def public(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def own(key: Any, change: Callable[[bytes], bytes] = bytes) -> bytes:
    """A member's signature, low where that is defined."""
    signature = sign(key, DATA)
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name != "secp256r1":
        order = {"secp224r1": 224, "secp384r1": 384, "secp521r1": 521}[key.curve.name]
        while utils.decode_dss_signature(signature)[1] >> (order - 2):
            signature = sign(key, DATA)
    return change(signature)


def utc(text: str) -> bytes:
    return encode(0x17, text.encode())


def certificate(
    subject: bytes,
    key: Any,
    issuer: bytes,
    issuer_key: Any,
    *extensions: bytes,
    algorithm: bytes = ECDSA,
    serial: int = 7,
    times: tuple[bytes, bytes] = (utc("260102000000Z"), utc("280101000000Z")),
    high: bool = False,
    behind: bytes = b"",
    version: bytes = encode(0xA0, integer(2)),
    unused: int = 0,
    change: Callable[[bytes], bytes] = bytes,
) -> bytes:
    listed = [encode(0xA3, seq(*extensions))] if extensions else []
    body = (version, integer(serial), algorithm, issuer, seq(*times), subject, public(key), *listed)
    signed = change(seq(*body))
    signature = sign(issuer_key, signed, algorithm, high)
    while unused and signature[-1] & 1:
        signature = sign(issuer_key, signed, algorithm)
    return seq(signed, algorithm, bits(signature, unused), behind)


def pem(der: bytes, label: str = "CERTIFICATE") -> bytes:
    return (
        f"-----BEGIN {label}-----\n".encode() + base64.encodebytes(der) + f"-----END {label}-----\n".encode()
    )


class Makes:
    """An organisation with keys, and cases about it."""

    def __init__(self) -> None:
        self.root_key, self.key, self.middle_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        self.issuer, self.middle_name = name("ca"), name("middle")
        self.root = self.authority()
        self.middle = certificate(
            self.middle_name,
            self.middle_key,
            self.issuer,
            self.root_key,
            constraints(True),
            CERTIFIES,
            identifier(b"middle"),
            high=True,
        )
        self.cases: list[Case] = []

    def authority(self, key: Any = None, *more: bytes, **changes: Any) -> bytes:
        key = key or self.root_key
        parts = changes.pop("extensions", (constraints(True), CERTIFIES, identifier(b"root")))
        times = changes.pop("times", (utc("260101000000Z"), utc("300101000000Z")))
        subject = changes.pop("subject", self.issuer)
        return certificate(subject, key, subject, key, *parts, *more, times=times, **changes)

    def leaf(self, *more: bytes, units: tuple[str | bytes, ...] = ("peer",), **changes: Any) -> bytes:
        key, by = changes.pop("key", self.key), changes.pop("by", self.root_key)
        issuer, subject = changes.pop("issuer", self.issuer), changes.pop("subject", name("p", *units))
        parts = changes.pop("extensions", (NOT_CA, SIGNS))
        return certificate(subject, key, issuer, by, *parts, *more, **changes)

    def listed(
        self,
        *serials: int,
        key: Any = None,
        extensions: bytes | None = None,
        algorithm: bytes = ECDSA,
        behind: bytes = b"",
        high: bool = False,
    ) -> bytes:
        if extensions is None:
            extensions = extension("2.5.29.35", seq(encode(0x80, b"root")))
        entries = [seq(integer(each), utc("260101000000Z")) for each in serials]
        body = [integer(1), algorithm, self.issuer, utc("260101000000Z"), utc("260102000000Z")]
        body += [seq(*entries)] if entries else []
        signed = seq(*body, *([encode(0xA0, seq(extensions))] if extensions else []))
        return seq(signed, algorithm, bits(sign(key or self.root_key, signed, algorithm, high) + behind))

    def msp(
        self,
        *roots: bytes,
        middles: Any = (),
        lists: Any = (),
        admins: Any = (),
        units: Any = (),
        nodes: Any = True,
        family: str = "SHA2",
        chains: str = "SHA256",
    ) -> bytes:
        made = pb.FabricMSPConfig(
            name="Org",
            root_certs=[pem(each) for each in roots or (self.root,)],
            intermediate_certs=[pem(each) for each in middles],
            revocation_list=lists,
            admins=[pem(each) for each in admins],
        )
        made.crypto_config.signature_hash_family = family
        made.crypto_config.identity_identifier_hash_function = chains
        for unit, by in units:
            made.organizational_unit_identifiers.add(organizational_unit_identifier=unit, certificate=pem(by))
        if nodes:
            made.fabric_node_ous.enable = nodes is not None and nodes != "off"
            by = nodes if isinstance(nodes, dict) else {}
            for role in ("client", "peer", "admin", "orderer"):
                unit = getattr(made.fabric_node_ous, f"{role}_ou_identifier")
                unit.organizational_unit_identifier, unit.certificate = by.get(role, (role, b""))
        return bytes(pb.MSPConfig(config=made.SerializeToString()).SerializeToString())

    def case(self, what: str, *, msp: bytes | None = None, leaf: bytes | None = None, key: Any = None,
             signature: bytes | None = None, v3: bool = False) -> None:  # fmt: skip
        if leaf is None:
            leaf = self.leaf(key=key) if key else self.leaf()
        identity = identities_pb2.SerializedIdentity(mspid="Org", id_bytes=pem(leaf)).SerializeToString()
        signature = own(key or self.key) if signature is None else signature
        self.cases.append((what, msp or self.msp(), identity, signature, v3))
