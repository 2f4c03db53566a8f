"""Private keys as files: written once, read only where nobody else can, never shown."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tallystick.errors import InvalidInput
from tallystick.files import private_directory, read_private, write_atomic

_INIT = "Make the keys with: tally init"


def generate_log_key(path: Path) -> ed25519.Ed25519PrivateKey:
    """A new key with which a ledger signs its checkpoints, kept at ``path``.

    Raises `InvalidInput` if a file lies there already.
    """
    key = ed25519.Ed25519PrivateKey.generate()
    private_directory(path.parent)
    write_new_key(path, key)
    return key


def load_log_key(path: Path) -> ed25519.Ed25519PrivateKey:
    """The key that `generate_log_key` left. Raises `InvalidInput`, and `CouldNotCheck` where it is not
    its owner's alone."""
    key = _load_key(path, _INIT)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise InvalidInput(f"{path} is not an Ed25519 key")
    return key


def load_p256_key(path: Path, *, absent: str = _INIT) -> ec.EllipticCurvePrivateKey:
    """A member's or an authority's key, ``absent`` the hint where it is missing. Raises as `load_log_key`."""
    key = _load_key(path, absent)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInput(f"{path} is not a P-256 key")
    return key


def write_new_key(path: Path, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
    """Keep ``key`` at ``path``. Raises `InvalidInput` if a file lies there already."""
    if path.exists():
        raise InvalidInput(
            f"{path} holds a key already", hint="Keys are never overwritten; choose another place."
        )
    write_key(path, key)


def write_key(path: Path, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
    """Keep ``key`` at ``path`` in place of whatever lies there."""
    write_atomic(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)


def _load_key(path: Path, absent: str) -> object:
    try:
        return load_pem_private_key(read_private(path), password=None)
    except FileNotFoundError:
        raise InvalidInput(f"{path} is missing", hint=absent) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidInput(f"{path} is not a private key in plain PEM") from None
