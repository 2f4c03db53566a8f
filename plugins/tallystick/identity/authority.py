"""The certificate authority of one organisation: it issues and revokes its members' certificates."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tallystick.errors import InvalidInput
from tallystick.files import alone, private_directory, write_atomic
from tallystick.identity.certificates import (
    check_name,
    key_usage,
    load_certificate,
    load_revocations,
    read,
    subject,
)
from tallystick.identity.keys import load_p256_key, write_new_key
from tallystick.identity.member import Identity
from tallystick.proof.membership import ATTRIBUTES_OID

_BACKDATED: Final = timedelta(minutes=5)
_AUTHORITY_YEARS: Final = timedelta(days=3653)
_MEMBER_YEAR: Final = timedelta(days=365)


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
        check_name(msp_id, "an MSP")
        key = ec.generate_private_key(ec.SECP256R1())
        start = not_before or datetime.now(UTC) - timedelta(hours=1)
        name = subject(msp_id, f"ca.{msp_id.removesuffix('MSP').lower() or 'msp'}")
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + _AUTHORITY_YEARS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        authority = cls(msp_id, directory, certificate, key)
        for part in ("ca", "cacerts", "crls"):
            private_directory(directory / part)
        write_new_key(directory / "ca" / "key.pem", key)
        write_atomic(directory / "cacerts" / "ca.pem", certificate.public_bytes(Encoding.PEM), 0o644)
        authority._write_revocations([], number=1)
        return authority

    @classmethod
    def load(cls, directory: Path) -> Authority:
        """The authority that `create` left in ``directory``. Raises `InvalidInput`, and `CouldNotCheck`
        for a key that is not its owner's alone."""
        path = directory / "cacerts" / "ca.pem"
        certificate = load_certificate(read(path), path)
        key = load_p256_key(
            directory / "ca" / "key.pem",
            absent="Issuing and revoking need the authority's key: put it back, or do it where it is kept.",
        )
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
        """A member with a new key, valid for a year unless said otherwise, never longer than the authority.

        ``enrolment_id`` reaches the ledger: take a pseudonym. Raises `InvalidInput` for names that
        are none, and where the authority itself has ended.
        """
        roles = tuple(dict.fromkeys(roles))
        check_name(enrolment_id, "an enrolment id")
        check_name(node_type, "a type of node")
        for role in roles:
            check_name(role, "a role")
        start = not_before or datetime.now(UTC) - _BACKDATED
        ends = self.certificate.not_valid_after_utc
        if ends <= start:
            raise InvalidInput(
                f"the authority of {self.msp_id} ended on {ends:%Y-%m-%d}: it issues no more certificates",
                hint="What its members signed until then stays valid: docs/formats/identity.md#validity",
            )
        end = not_after or min(start + _MEMBER_YEAR, ends)
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
                subject(self.msp_id, enrolment_id, node_type),
                key.public_key(),
                x509.random_serial_number(),
            )
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(authority=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .add_extension(x509.UnrecognizedExtension(ATTRIBUTES_OID, extension), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return Identity(self.msp_id, certificate.public_bytes(Encoding.PEM), key)

    def revoke(self, revoked: Iterable[int | bytes]) -> bytes:
        """The revocation list (PEM, also kept in crls/crl.pem) with ``revoked`` on it; a new one only where
        one of them was not, or where the list is of before lists named their authority.

        ``revoked`` are serial numbers or certificates (PEM). It takes effect once a configuration
        transaction carries the list. Raises `InvalidInput` for a certificate of another authority.
        """
        serials = [self._serial(item) for item in revoked]
        with alone(self.directory / "crls"):
            path = self.directory / "crls" / "crl.pem"
            pem = read(path)
            current = load_revocations(pem, path)
            entries = list(current)
            known = {entry.serial_number for entry in entries}
            new = [serial for serial in dict.fromkeys(serials) if serial not in known]
            if not new and _names_authority(current):
                return pem
            now = datetime.now(UTC)
            entries += [
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
                for serial in new
            ]
            number = current.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
            return self._write_revocations(entries, number + 1)

    def _serial(self, item: int | bytes) -> int:
        if isinstance(item, int):
            return item
        certificate = load_certificate(item, Path("certificate"))
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
        # A Fabric MSP with a list that names no authority takes nobody for its member any more.
        named = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(named, critical=False)
        pem = builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)
        write_atomic(self.directory / "crls" / "crl.pem", pem, 0o644)
        return pem


def _names_authority(revocations: x509.CertificateRevocationList) -> bool:
    return any(isinstance(each.value, x509.AuthorityKeyIdentifier) for each in revocations.extensions)
