"""Who signs: a member's certificate and key, from an MSP directory or from PEM."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from fabric_protos.msp import identities_pb2

from tallystick.ledger.fabric.errors import ConfigurationError

_ECDSA: Final = ec.ECDSA(hashes.SHA256())
#: The order of P-256's base point (FIPS 186-4, D.1.2.3).
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
#: The bytes that a profile, a certificate or a key may have.
MOST: Final = 1 << 20


class Signer(Protocol):
    """What the client needs of an identity. ``serialised`` is an msp.SerializedIdentity."""

    @property
    def serialised(self) -> bytes: ...

    def sign(self, data: bytes) -> bytes: ...


@dataclass(frozen=True, eq=False)
class Member:
    """A `Signer` whose key is in memory."""

    msp_id: str
    certificate_pem: bytes = field(repr=False)
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @cached_property
    def serialised(self) -> bytes:
        """What a transaction names as its creator: the one spelling that our contracts read.

        A file may hold more: what the certificate says as text, or those who issued it.
        """
        plain = x509.load_pem_x509_certificate(self.certificate_pem).public_bytes(Encoding.PEM)
        identity = identities_pb2.SerializedIdentity(mspid=self.msp_id, id_bytes=plain)
        return bytes(identity.SerializeToString())

    def sign(self, data: bytes) -> bytes:
        """An ECDSA signature over ``data``: DER, P-256, SHA-256, low-S (Fabric refuses the other half)."""
        signature = self.key.sign(data, _ECDSA)
        r, s = decode_dss_signature(signature)
        return signature if s <= _ORDER // 2 else encode_dss_signature(r, _ORDER - s)

    @classmethod
    def from_pem(cls, msp_id: str, certificate_pem: bytes, key_pem: bytes) -> Member:
        """Raises `ConfigurationError` for PEM that cannot be read, or does not belong together."""
        return cls(msp_id, certificate_pem, _pair(certificate_pem, key_pem, "the identity"))

    @classmethod
    def from_msp(cls, directory: Path, msp_id: str) -> Member:
        """The identity in an MSP directory: the one file in signcerts/ and the one in keystore/.

        Raises `ConfigurationError` for files that are missing, several, or that cannot be used, and for
        a key that others may read.
        """
        certificate_pem = read_file(_only(directory / "signcerts"))
        key_pem = read_file(_only(directory / "keystore"), private=True)
        return cls(msp_id, certificate_pem, _pair(certificate_pem, key_pem, str(directory)))


def read_file(path: Path, *, private: bool = False) -> bytes:
    """The bytes of a regular file, or of one that a link leads to, at most `MOST`.

    Raises `ConfigurationError`; with ``private`` also for a file open to others.
    """
    try:
        with open(path, "rb", opener=_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigurationError(f"{path} cannot be read: it is not a regular file")
            if private and mode & 0o077:
                raise ConfigurationError(
                    f"{path} can be read by others", hint=f"Close it first: chmod 600 {path}"
                )
            data = file.read(MOST + 1)
    except FileNotFoundError:
        raise ConfigurationError(f"{path} is missing") from None
    except IsADirectoryError:
        raise ConfigurationError(f"{path} cannot be read: it is not a regular file") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError:  # a NUL, or half of a surrogate pair
        raise ConfigurationError(f"{str(path)!a} cannot be read: no file has such a name") from None
    if len(data) > MOST:
        raise ConfigurationError(f"{path} cannot be read: it is longer than {MOST:,} bytes")
    return data


def _at_once(path: str, flags: int) -> int:
    # Opening a pipe would wait for a writer before it could be refused.
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def check_pair(certificate_pem: bytes, key_pem: bytes, where: str) -> None:
    """Raise `ConfigurationError` unless the key, of any kind, belongs to the certificate."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        key = load_pem_private_key(key_pem, None)
        belongs = key.public_key() == certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(f"{where}: a certificate or key is not PEM without a password") from error
    if not belongs:
        raise ConfigurationError(f"{where}: the key does not belong to the certificate")


def _pair(certificate_pem: bytes, key_pem: bytes, where: str) -> ec.EllipticCurvePrivateKey:
    check_pair(certificate_pem, key_pem, where)
    key = load_pem_private_key(key_pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigurationError(f"{where}: the key is not of the curve P-256")
    return key


def _only(directory: Path) -> Path:
    try:
        files = [path for path in directory.iterdir() if not path.name.startswith(".") and path.is_file()]
    except FileNotFoundError:
        raise ConfigurationError(
            f"{directory} is missing", hint="Name an MSP directory: one with signcerts/ and keystore/."
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{directory} cannot be read: {error.strerror}") from error
    if len(files) != 1:
        raise ConfigurationError(f"{directory} holds {len(files)} files where one is expected")
    return files[0]
