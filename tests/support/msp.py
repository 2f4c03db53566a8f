"""Organisations of Fabric with authorities made for a test, as usual ones are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fabric_protos.msp import identities_pb2, msp_config_pb2

from tallystick.proof.fabric.identities import Organisation

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Authority:
    """An organisation's authority, or one below another."""

    def __init__(self, name: str, above: Authority | None = None) -> None:
        self.name, self.above = name, above
        self.key = ec.generate_private_key(ec.SECP256R1())
        issuer = above or self
        self.certificate = (
            x509.CertificateBuilder(_name(issuer.name), _name(name), self.key.public_key(), 1)
            .not_valid_before(NOW)
            .not_valid_after(NOW + timedelta(days=365))
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
            .sign(issuer.key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str, *units: str, serial: int = 7, critical: bool = False) -> tuple[Any, bytes]:
        """A key and its certificate (PEM)."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder(_name(self.name), _name(name, *units), key.public_key(), serial)
            .not_valid_before(NOW)
            .not_valid_after(NOW + timedelta(days=30))
        )
        if critical:
            unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"")
            builder = builder.add_extension(unknown, critical=True)
        return key, builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def crl(self, *serials: int, names_authority: bool = True) -> bytes:
        revoked = [x509.RevokedCertificateBuilder(serial, NOW).build() for serial in serials]
        builder = x509.CertificateRevocationListBuilder(_name(self.name), NOW, NOW, [], revoked)
        if names_authority:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
            builder = builder.add_extension(identifier, False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _name(common: str, *units: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common),
            *(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units),
        ]
    )


def organisation(authority: Authority, name: str = "AMSP", nodes: bool = True, **fields: Any) -> Organisation:
    config = msp_config_pb2.FabricMSPConfig(name=name, root_certs=[authority.pem], **fields)
    if nodes:
        config.fabric_node_ous.enable = True
        for role in ("client", "peer", "admin", "orderer"):
            unit = getattr(config.fabric_node_ous, f"{role}_ou_identifier")
            unit.organizational_unit_identifier = role
            unit.certificate = authority.pem
    return Organisation(msp_config_pb2.MSPConfig(config=config.SerializeToString()).SerializeToString())


def identity(pem: bytes, name: str = "AMSP") -> bytes:
    return bytes(identities_pb2.SerializedIdentity(mspid=name, id_bytes=pem).SerializeToString())
