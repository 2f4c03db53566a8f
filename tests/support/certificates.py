"""Certificates for tests: authorities, members and revocation lists, right unless told otherwise."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tallystick.proof.membership import ATTRIBUTES_OID, Member, Membership, Msp, serialise_identity

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=100)
DURING = int((START + timedelta(days=50)).timestamp() * 1000)
KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "other", "member")}
ATTRS = {"hf.EnrollmentID": "pipeline", "hf.Type": "client", "tallystick.roles": "admin,pipeline"}
NOT_CA = x509.BasicConstraints(ca=False, path_length=None)
CA = x509.BasicConstraints(ca=True, path_length=None)
ECDSA = ec.ECDSA(hashes.SHA256())


def usage(*, sign: bool = False, certificates: bool = False, crls: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(sign, False, False, False, False, certificates, crls, False, False)


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def certificate(
    subject: str,
    key: Any,
    issuer: str,
    issuer_key: Any,
    extensions: list[tuple[x509.ExtensionType, bool]],
    start: datetime = START,
    end: datetime = END,
    algorithm: Any = None,
    serial: int = 7,
) -> bytes:
    builder = x509.CertificateBuilder(name(issuer), name(subject), key.public_key(), serial, start, end)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, algorithm or hashes.SHA256()).public_bytes(Encoding.PEM)


def root(subject: str = "ca", key: Any = KEYS["root"], **change: Any) -> bytes:
    extensions = change.pop("extensions", [(CA, True), (usage(certificates=True, crls=True), True)])
    return certificate(subject, key, subject, change.pop("issuer_key", key), extensions, **change)


def raw_attributes(data: bytes, critical: bool = False) -> tuple[x509.ExtensionType, bool]:
    return x509.UnrecognizedExtension(ATTRIBUTES_OID, data), critical


def attributes(attrs: object, critical: bool = False) -> tuple[x509.ExtensionType, bool]:
    return raw_attributes(json.dumps({"attrs": attrs}).encode(), critical)


def member(extensions: list[tuple[x509.ExtensionType, bool]] | None = None, **change: Any) -> bytes:
    if extensions is None:
        extensions = [(NOT_CA, True), (usage(sign=True), True), attributes(ATTRS)]
    key, issuer_key = change.pop("key", KEYS["member"]), change.pop("issuer_key", KEYS["root"])
    issuer = change.pop("issuer", "ca")
    return certificate(change.pop("subject", "someone"), key, issuer, issuer_key, extensions, **change)


def crl(*serials: int, issuer: str = "ca", key: Any = KEYS["root"], **change: Any) -> bytes:
    entries = [x509.RevokedCertificateBuilder(serial, END).build() for serial in serials]
    builder = x509.CertificateRevocationListBuilder(name(issuer), START, END, revoked_certificates=entries)
    if extension := change.get("critical"):
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, change.get("algorithm", hashes.SHA256())).public_bytes(Encoding.PEM)


def judge(pem: bytes, at_ms: int = DURING, msp_id: str = "OperatorMSP", **msp: Any) -> Member:
    roots, crls = msp.get("roots", (root(),)), msp.get("crls", ())
    return Membership([Msp("OperatorMSP", roots, crls)]).judge(serialise_identity(msp_id, pem), at_ms)
