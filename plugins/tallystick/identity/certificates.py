"""The parts that certificates are made of, and reading them from files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.files import read_small

#: A revocation list names every certificate that was ever revoked.
_MOST_BYTES: Final = 16 << 20
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(name: str, what: str) -> None:
    """Raise `InvalidInput` unless ``name`` can be that of ``what`` ("a role")."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"not a name for {what}",
            hint="Use at most 64 letters, digits, dots, hyphens and underscores, a letter or digit first.",
        )


def subject(msp_id: str, common_name: str, unit: str | None = None) -> x509.Name:
    """The name of a member or an authority of ``msp_id``."""
    units = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit)] if unit else []
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, msp_id),
            *units,
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def key_usage(*, authority: bool) -> x509.KeyUsage:
    """What an authority's key is for, or a signer's."""
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


def load_certificate(pem: bytes, path: Path) -> x509.Certificate:
    """The certificate that ``pem``, read from ``path``, spells. Raises `InvalidInput`."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except (ValueError, x509.InvalidVersion):
        raise InvalidInput(f"{path} is not a certificate in PEM") from None


def load_revocations(pem: bytes, path: Path) -> x509.CertificateRevocationList:
    """The revocation list that ``pem``, read from ``path``, spells. Raises `InvalidInput`."""
    try:
        return x509.load_pem_x509_crl(pem)
    except (ValueError, x509.InvalidVersion):
        raise InvalidInput(f"{path} is not a revocation list") from None


def read(path: Path) -> bytes:
    """A file that is no secret. Raises `InvalidInput` where it is missing, else `CouldNotCheck`."""
    try:
        return read_small(path, _MOST_BYTES)
    except FileNotFoundError:
        raise InvalidInput(f"{path} is missing", hint="Make the keys with: tally init") from None
    except OSError as error:
        raise CouldNotCheck(f"{path} cannot be read: {error.strerror}") from error
