"""The keys and certificates of a network: per organisation one authority for members, another for TLS."""

from __future__ import annotations

import ipaddress
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tallystick.files import private_directory, write_atomic
from tallystick.identity import Authority
from tallystick.network.layout import HOST, ORDERERS, ORGANISATIONS, Layout, Peer

_BACKDATED: Final = timedelta(minutes=5)
_ROLES: Final = {
    "ClientOUIdentifier": "client",
    "PeerOUIdentifier": "peer",
    "AdminOUIdentifier": "admin",
    "OrdererOUIdentifier": "orderer",
}
_DIAL_SECONDS: Final = 2


def make_certificates(layout: Layout) -> None:
    """Write every organisation's authorities, MSPs and users, and every process's own identity."""
    for organisation in (*ORGANISATIONS, ORDERERS):
        directory = layout.organisations / organisation.msp_id
        authority = Authority.create(organisation.msp_id, directory)
        tls = Authority.create(f"{organisation.msp_id.removesuffix('MSP')}TLS", directory / "tls")
        _write_msp(layout.msp(organisation.msp_id), authority, tls)
        for name, roles in organisation.users.items():
            user = layout.user(organisation.msp_id, name)
            _enrol(user, authority, tls, name, roles, "admin" if "admin" in roles else "client")
            _write_tls(user / "tls", tls, name)
        if organisation is ORDERERS:
            for orderer in layout.orderers:
                _write_node(layout, orderer.name, authority, tls, "orderer")
        for peer in layout.peers:
            if peer.organisation is organisation:
                _write_node(layout, peer.name, authority, tls, "peer")
                _write_tls(layout.node(peer.server) / "tls", tls, peer.server, named=layout.named)


def write_connection(layout: Layout, peer: Peer) -> Path:
    """The file that tells a peer where its chaincode server is and how to prove itself; its path.

    The server is pinned by its own certificate, so that no other of the organisation passes for it.
    """
    tls = layout.node(peer.name) / "tls"
    connection = {
        "address": f"{layout.host(peer.server)}:{peer.server_port}",
        "dial_timeout": f"{_DIAL_SECONDS}s",
        "tls_required": True,
        "client_auth_required": True,
        "client_key": (tls / "key.pem").read_text(),
        "client_cert": (tls / "cert.pem").read_text(),
        "root_cert": (layout.node(peer.server) / "tls" / "cert.pem").read_text(),
    }
    path = layout.node(peer.name) / "connection.json"
    write_atomic(path, json.dumps(connection).encode())
    return path


def issue_tls(authority: Authority, name: str, *, named: bool = False) -> tuple[bytes, bytes]:
    """A certificate for both sides of a TLS connection on this machine, and its key; PEM.

    Where it is ``named``, it is that of the host ``name`` too.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    start = datetime.now(UTC) - _BACKDATED
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))]
    if named:
        hosts.append(x509.DNSName(name))
    issuer = authority.certificate
    certificate = (
        x509.CertificateBuilder(
            issuer.subject,
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            key.public_key(),
            x509.random_serial_number(),
        )
        .not_valid_before(start)
        .not_valid_after(issuer.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
        )
        .sign(authority.key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), secret


def _write_node(layout: Layout, name: str, authority: Authority, tls: Authority, node_type: str) -> None:
    _enrol(layout.node(name) / "msp", authority, tls, name, (), node_type)
    _write_tls(layout.node(name) / "tls", tls, name, named=layout.named)


def _enrol(
    directory: Path, authority: Authority, tls: Authority, name: str, roles: tuple[str, ...], node_type: str
) -> None:
    authority.issue(name, roles, node_type=node_type).save(private_directory(directory))
    _write_msp(directory, authority, tls)


def _write_msp(directory: Path, authority: Authority, tls: Authority) -> None:
    for folder, issuer in (("cacerts", authority), ("tlscacerts", tls)):
        pem = issuer.certificate.public_bytes(Encoding.PEM)
        write_atomic(private_directory(directory / folder) / "ca.pem", pem, 0o644)
    units = {
        key: {"Certificate": "cacerts/ca.pem", "OrganizationalUnitIdentifier": unit}
        for key, unit in _ROLES.items()
    }
    text = yaml.safe_dump({"NodeOUs": {"Enable": True, **units}})
    write_atomic(directory / "config.yaml", text.encode(), 0o644)


def _write_tls(directory: Path, authority: Authority, name: str, *, named: bool = False) -> None:
    certificate, key = issue_tls(authority, name, named=named)
    write_atomic(private_directory(directory) / "cert.pem", certificate, 0o644)
    write_atomic(directory / "key.pem", key)
