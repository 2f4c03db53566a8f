"""A member that can sign, kept in a directory of its own and renewed there."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from tallystick.errors import InvalidInput
from tallystick.files import cannot_write, private_directory, sync_directory, write_atomic
from tallystick.identity.certificates import load_certificate, read
from tallystick.identity.keys import load_p256_key, write_key, write_new_key
from tallystick.proof.membership import P256_ORDER, serialise_identity

_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_CERTIFICATE: Final = Path("signcerts", "cert.pem")
_KEY: Final = Path("keystore", "key.pem")
#: Where a renewal keeps the new key until the new certificate is there.
_NEXT_KEY: Final = Path("keystore", "next.pem")


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
        private_directory((directory / _KEY).parent)
        write_new_key(directory / _KEY, self.key)
        private_directory((directory / _CERTIFICATE).parent)
        write_atomic(directory / _CERTIFICATE, self.certificate_pem, 0o644)

    def replace(self, directory: Path) -> None:
        """Take the place of the identity in ``directory``: its certificate is kept, its key deleted.

        The new certificate's file is the one step that decides: a process that is killed leaves the old
        identity or the new one, and `complete_renewal` does the rest.
        """
        former = read(directory / _CERTIFICATE)
        serial = load_certificate(former, directory / _CERTIFICATE).serial_number
        write_atomic(private_directory(directory / "former") / f"{serial:x}.pem", former, 0o644)
        write_key(directory / _NEXT_KEY, self.key)
        write_atomic(directory / _CERTIFICATE, self.certificate_pem, 0o644)
        complete_renewal(directory, self.msp_id)

    @classmethod
    def load(cls, directory: Path, msp_id: str) -> Identity:
        """The identity in ``directory``. Raises `InvalidInput` for files that are missing or do not belong
        together, `CouldNotCheck` for a key that is not its owner's alone."""
        # Again, because a renewal may come between the certificate and the key.
        found = _held(directory, msp_id, _KEY) or _held(directory, msp_id, _NEXT_KEY)
        found = found or _held(directory, msp_id, _KEY)
        if found is None:
            raise InvalidInput(f"{directory}: the key does not belong to the certificate")
        return found


def complete_renewal(directory: Path, msp_id: str) -> Identity | None:
    """Do what a killed `Identity.replace` left undone after its certificate was there.

    Returns the renewed identity, or None where nothing was left. Raises as `Identity.load`.
    """
    renewed = _held(directory, msp_id, _NEXT_KEY)
    if renewed is not None:
        try:
            (directory / _NEXT_KEY).replace(directory / _KEY)
            sync_directory((directory / _KEY).parent)
        except OSError as error:
            raise cannot_write(directory / _KEY, error) from error
    return renewed


def _held(directory: Path, msp_id: str, key_path: Path) -> Identity | None:
    """The identity of the certificate and the key at ``key_path``, if they belong together."""
    pem = read(directory / _CERTIFICATE)
    public = load_certificate(pem, directory / _CERTIFICATE).public_key()
    if key_path == _NEXT_KEY and not (directory / key_path).exists():
        return None
    key = load_p256_key(directory / key_path)
    return Identity(msp_id, pem, key) if key.public_key() == public else None
