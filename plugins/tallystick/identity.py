"""Issuing and holding identities: certificate authorities, members' keys, the ledger's own key.

An organisation's directory, DIRECTORY/<msp id>/ (docs/formats/identity.md):

    ca/key.pem                         the authority's key; may be taken away from the machine
    cacerts/ca.pem   crls/crl.pem      what others need to judge its members
    users/<name>/signcerts/cert.pem    a member's certificate
    users/<name>/keystore/key.pem      and key

Keys are files for their owner alone (0600) and never appear in a message or a repr.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.files import cannot_write, private_directory, sync_directory, write_atomic
from tallystick.proof.membership import ATTRIBUTES_OID, P256_ORDER, Msp, serialise_identity

_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BACKDATED: Final = timedelta(minutes=5)
_AUTHORITY_YEARS: Final = timedelta(days=3653)
_MEMBER_YEAR: Final = timedelta(days=365)


@dataclass(frozen=True, eq=False)
class Identity:
    """A member that can sign: its MSP, its certificate (PEM) and its private key."""

    msp_id: str
    certificate_pem: bytes = field(repr=False)
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @cached_property
    def serialised(self) -> bytes:
        """What a transaction names as its creator: Fabric's SerializedIdentity."""
        return serialise_identity(self.msp_id, self.certificate_pem)

    def sign(self, data: bytes) -> bytes:
        """An ECDSA signature over ``data``: DER, P-256, SHA-256, low-S as Fabric demands."""
        signature = self.key.sign(data, _ECDSA)
        r, s = decode_dss_signature(signature)
        return signature if s <= P256_ORDER // 2 else encode_dss_signature(r, P256_ORDER - s)

    def save(self, directory: Path) -> None:
        """Write certificate and key in MSP layout. Raises `InvalidInput` if a key lies there already."""
        _write_new_key(private_directory(directory / "keystore") / "key.pem", self.key)
        write_atomic(private_directory(directory / "signcerts") / "cert.pem", self.certificate_pem, 0o644)

    @classmethod
    def load(cls, directory: Path, msp_id: str) -> Identity:
        """The identity in ``directory``. Raises `InvalidInput` for files that are missing, open to
        others, or do not belong together."""
        pem = _read(directory / "signcerts" / "cert.pem")
        key = _load_p256_key(directory / "keystore" / "key.pem")
        if _load_certificate(pem, directory / "signcerts" / "cert.pem").public_key() != key.public_key():
            raise InvalidInput(f"{directory}: the key does not belong to the certificate")
        return cls(msp_id, pem, key)


@dataclass(frozen=True, eq=False)
class Authority:
    """The certificate authority of one organisation, kept in that organisation's directory."""

    msp_id: str
    directory: Path
    certificate: x509.Certificate = field(repr=False)
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def create(cls, msp_id: str, directory: Path, *, not_before: datetime | None = None) -> Authority:
        """A new authority (P-256, self-signed, ten years) with an empty revocation list.

        Raises `InvalidInput` if ``directory`` holds one already, `CouldNotCheck` if it cannot be written.
        """
        _check_name(msp_id, "an MSP")
        key = ec.generate_private_key(ec.SECP256R1())
        start = not_before or datetime.now(UTC) - timedelta(hours=1)
        name = _subject(msp_id, f"ca.{msp_id.removesuffix('MSP').lower() or 'msp'}")
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + _AUTHORITY_YEARS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        authority = cls(msp_id, directory, certificate, key)
        for part in ("ca", "cacerts", "crls"):
            private_directory(directory / part)
        _write_new_key(directory / "ca" / "key.pem", key)
        write_atomic(directory / "cacerts" / "ca.pem", certificate.public_bytes(Encoding.PEM), 0o644)
        authority._write_revocations([], number=1)
        return authority

    @classmethod
    def load(cls, directory: Path) -> Authority:
        """The authority that `create` left in ``directory``. Raises `InvalidInput`."""
        path = directory / "cacerts" / "ca.pem"
        certificate = _load_certificate(_read(path), path)
        key = _load_p256_key(directory / "ca" / "key.pem")
        names = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        if certificate.public_key() != key.public_key() or len(names) != 1:
            raise InvalidInput(f"{directory}: the key does not belong to the authority's certificate")
        return cls(str(names[0].value), directory, certificate, key)

    def issue(
        self,
        enrolment_id: str,
        roles: Iterable[str],
        *,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        node_type: str = "client",
    ) -> Identity:
        """A member with a new key, valid for a year unless said otherwise.

        ``enrolment_id`` reaches the ledger: take a pseudonym. Raises `InvalidInput` for names that
        are none.
        """
        roles = tuple(roles)
        _check_name(enrolment_id, "an enrolment id")
        _check_name(node_type, "a type of node")
        for role in roles:
            _check_name(role, "a role")
        start = not_before or datetime.now(UTC) - _BACKDATED
        end = not_after or min(start + _MEMBER_YEAR, self.certificate.not_valid_after_utc)
        if end <= start:
            raise InvalidInput("a certificate cannot end before it starts")
        attributes = {
            "hf.EnrollmentID": enrolment_id,
            "hf.Type": node_type,
            "tallystick.roles": ",".join(roles),
        }
        extension = json.dumps({"attrs": attributes}, separators=(",", ":")).encode()
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            x509.CertificateBuilder(
                self.certificate.subject,
                _subject(self.msp_id, enrolment_id, node_type),
                key.public_key(),
                x509.random_serial_number(),
            )
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .add_extension(x509.UnrecognizedExtension(ATTRIBUTES_OID, extension), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return Identity(self.msp_id, certificate.public_bytes(Encoding.PEM), key)

    def revoke(self, revoked: Iterable[int | bytes]) -> bytes:
        """The new revocation list (PEM, also kept in crls/crl.pem): the old one and ``revoked``.

        ``revoked`` are serial numbers or certificates (PEM). It takes effect once a configuration
        transaction carries the list. Raises `InvalidInput` for a certificate of another authority.
        """
        serials = [self._serial(item) for item in revoked]
        with (self.directory / "ca" / "key.pem").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            path = self.directory / "crls" / "crl.pem"
            try:
                current = x509.load_pem_x509_crl(_read(path))
            except ValueError:
                raise InvalidInput(f"{path} is not a revocation list") from None
            entries = list(current)
            known = {entry.serial_number for entry in entries}
            now = datetime.now(UTC)
            for serial in dict.fromkeys(serials):
                if serial not in known:
                    entries.append(
                        x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
                    )
            number = current.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
            return self._write_revocations(entries, number + 1)

    def _serial(self, item: int | bytes) -> int:
        if isinstance(item, int):
            return item
        certificate = _load_certificate(item, Path("certificate"))
        if certificate.issuer != self.certificate.subject:
            raise InvalidInput(f"a certificate to be revoked was not issued by {self.msp_id}'s authority")
        return certificate.serial_number

    def _write_revocations(self, entries: Iterable[x509.RevokedCertificate], number: int) -> bytes:
        builder = x509.CertificateRevocationListBuilder(
            self.certificate.subject,
            max(datetime.now(UTC), self.certificate.not_valid_before_utc),
            self.certificate.not_valid_after_utc,
            revoked_certificates=list(entries),
        ).add_extension(x509.CRLNumber(number), critical=False)
        pem = builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)
        write_atomic(self.directory / "crls" / "crl.pem", pem, 0o644)
        return pem


def create_organisation(
    msp_directory: Path,
    msp_id: str,
    users: Mapping[str, tuple[str, ...]],
    *,
    not_before: datetime | None = None,
) -> Authority:
    """Make MSP_DIRECTORY/<msp_id> with its authority and ``users`` (enrolment id to roles), or nothing.

    Raises `InvalidInput` if the organisation is there already.
    """
    _check_name(msp_id, "an MSP")
    target = private_directory(msp_directory) / msp_id
    if target.exists():
        raise InvalidInput(f"{target} is there already", hint="Its keys are kept; choose another place.")
    building = Path(tempfile.mkdtemp(prefix=f".{msp_id}.", dir=msp_directory))
    try:
        authority = Authority.create(msp_id, building, not_before=not_before)
        for name, roles in users.items():
            identity = authority.issue(name, roles, not_before=not_before)
            identity.save(private_directory(building / "users" / name))
        building.rename(target)
        sync_directory(msp_directory)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return Authority.load(target)


def load_user(msp_directory: Path, msp_id: str, name: str) -> Identity:
    """A user that `create_organisation` made. Raises `InvalidInput`."""
    _check_name(msp_id, "an MSP")
    _check_name(name, "a user")
    return Identity.load(msp_directory / msp_id / "users" / name, msp_id)


def load_msp(directory: Path) -> Msp:
    """What others need of the organisation in ``directory``, which is named after its MSP.

    Raises `InvalidInput` if no root certificate lies there.
    """
    roots = tuple(_read(path) for path in sorted((directory / "cacerts").glob("*.pem")))
    if not roots:
        raise InvalidInput(f"{directory} has no cacerts/*.pem", hint="Make the keys with: tally init")
    return Msp(
        directory.name, roots, tuple(_read(path) for path in sorted((directory / "crls").glob("*.pem")))
    )


def generate_log_key(path: Path) -> ed25519.Ed25519PrivateKey:
    """A new key with which a ledger signs its checkpoints, kept at ``path``.

    Raises `InvalidInput` if a file lies there already.
    """
    key = ed25519.Ed25519PrivateKey.generate()
    private_directory(path.parent)
    _write_new_key(path, key)
    return key


def load_log_key(path: Path) -> ed25519.Ed25519PrivateKey:
    """The key that `generate_log_key` left. Raises `InvalidInput`."""
    key = _load_key(path)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise InvalidInput(f"{path} is not an Ed25519 key")
    return key


def _write_new_key(path: Path, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
    if path.exists():
        raise InvalidInput(
            f"{path} holds a key already", hint="Keys are never overwritten; choose another place."
        )
    write_atomic(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)


def _load_p256_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = _load_key(path)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInput(f"{path} is not a P-256 key")
    return key


def _load_key(path: Path) -> object:
    try:
        return load_pem_private_key(_read(path, private=True), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidInput(f"{path} is not a private key in plain PEM") from None


def _load_certificate(pem: bytes, path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise InvalidInput(f"{path} is not a certificate in PEM") from None


def _read(path: Path, *, private: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            if private and os.fstat(file.fileno()).st_mode & 0o077:
                raise InvalidInput(f"{path} can be read by others", hint=f"Close it first: chmod 600 {path}")
            return file.read()
    except FileNotFoundError:
        raise InvalidInput(f"{path} is missing", hint="Make the keys with: tally init") from None
    except OSError as error:
        raise CouldNotCheck(f"{path} cannot be read: {error.strerror}") from error


def _check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"not a name for {what}",
            hint="Use at most 64 letters, digits, dots, hyphens and underscores, a letter or digit first.",
        )


def _subject(msp_id: str, common_name: str, unit: str | None = None) -> x509.Name:
    units = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit)] if unit else []
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, msp_id),
            *units,
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
