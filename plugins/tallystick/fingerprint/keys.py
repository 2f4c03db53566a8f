"""The secrets behind a table's fingerprint: dataset keys on disk, and what is derived from them.

Whoever holds a dataset's key can recompute its roots, open every salt and recognise every pseudonym;
once the key is erased, what was recorded under it means nothing any more. docs/formats/fingerprint.md,
"Keys", is normative.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from chaincode.canonical import NotCanonical, decode, encode
from tallystick.errors import CouldNotCheck, InvalidInput, Missing
from tallystick.files import cannot_write, private_directory, read_private, remove, write_atomic

SCHEME: Final = "tallystick-table-v1"
KEY_SIZE: Final = 32
NONCE_SIZE: Final = 32
SALT_SIZE: Final = 16

_INFO: Final = b"tallystick/table/v1"
_KEY_ID: Final = re.compile(r"[0-9a-f]{16}")
_HEX_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class DatasetKey:
    """32 random bytes under a random id of 16 hex digits. Only the id is ever recorded."""

    key_id: str
    name: str
    secret: bytes = field(repr=False)

    def table_key(self, nonce: bytes | None = None) -> TableKey:
        """The key of one table; without a recorded ``nonce`` (32 bytes), of a new one."""
        nonce = secrets.token_bytes(NONCE_SIZE) if nonce is None else nonce
        if len(nonce) != NONCE_SIZE:
            raise InvalidInput(f"a table's nonce has {NONCE_SIZE} bytes, this one has {len(nonce)}")
        return TableKey(self.key_id, nonce, HKDF(SHA256(), KEY_SIZE, nonce, _INFO).derive(self.secret))


class TableKey:
    """What one table's leaves, pseudonyms and sealed digests are made with. ``nonce`` is recorded."""

    __slots__ = ("_pseudonym", "_salts", "_seal", "key_id", "nonce")

    def __init__(self, key_id: str, nonce: bytes, secret: bytes) -> None:
        self.key_id = key_id
        self.nonce = nonce
        self._salts = _subkey(secret, b"salts")
        self._seal = _subkey(secret, b"seal")
        self._pseudonym = _subkey(secret, b"pseudonym")

    def __repr__(self) -> str:
        return f"TableKey(key_id={self.key_id!r}, nonce={self.nonce.hex()!r})"

    def salts(self, first: int, count: int) -> bytes:
        """The salts of rows ``first`` to ``first + count - 1``, 16 bytes each: blocks of AES-256-CTR."""
        counter = modes.CTR(first.to_bytes(16, "big"))
        return Cipher(algorithms.AES(self._salts), counter).encryptor().update(bytes(SALT_SIZE * count))

    def pseudonym(self, subject: bytes) -> bytes:
        """32 bytes that stand for a subject, whose encoded cell is given, within this table only."""
        return hmac.digest(self._pseudonym, subject, "sha256")

    def seal(self, data: bytes) -> str:
        """What may be recorded of bytes that derive from the table's rows: 64 hex digits."""
        return self.seal_digest(hashlib.sha256(data).hexdigest())

    def seal_digest(self, digest: str) -> str:
        """As `seal`, from the SHA-256 (64 hex digits) of the bytes. Else raises `InvalidInput`."""
        if not _HEX_DIGEST.fullmatch(digest):
            raise InvalidInput("a digest to be sealed is 64 lower-case hex digits")
        return hmac.new(self._seal, bytes.fromhex(digest), "sha256").hexdigest()


class Keyring:
    """Dataset keys in a directory of mode 0700, one file of mode 0600 a key."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def create(self, name: str) -> DatasetKey:
        """A new key, durable when this returns. ``name`` is a label for whoever reads the directory."""
        key = DatasetKey(secrets.token_hex(8), name, secrets.token_bytes(KEY_SIZE))
        content = encode({"v": 1, "id": key.key_id, "name": name, "key": key.secret.hex()})
        private_directory(self.directory)
        write_atomic(self._path(key.key_id), content)
        return key

    def load(self, key_id: str) -> DatasetKey:
        """The key. Raises `Missing` where it is erased or not here, and `CouldNotCheck` where its file is
        damaged or not for this user alone."""
        path = self._path(key_id)
        try:
            content = read_private(path)
        except FileNotFoundError:
            raise self._absent(key_id) from None
        try:
            return _parse(decode(content), key_id)
        except (NotCanonical, KeyError, TypeError, ValueError):
            raise CouldNotCheck(
                f"the key file {path.name} is damaged", hint="Put it back from a backup, if you have one."
            ) from None

    def erase(self, key_id: str) -> None:
        """Overwrite and delete the key. Copies elsewhere (backups, snapshots) are not reached.

        Raises `Missing` when it is absent already, and `CouldNotCheck` when it cannot be changed.
        """
        path = self._path(key_id)
        try:
            with path.open("r+b") as file:
                file.write(secrets.token_bytes(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
        except FileNotFoundError:
            raise self._absent(key_id) from None
        except OSError as error:
            raise cannot_write(path, error) from error
        remove(path)

    def _path(self, key_id: str) -> Path:
        if not _KEY_ID.fullmatch(key_id):
            raise InvalidInput("a key id is 16 lower-case hex digits")
        return self.directory / f"{key_id}.key"

    def _absent(self, key_id: str) -> Missing:
        return Missing(
            f"the key {key_id} is erased or not here",
            hint="If it was erased, what was recorded under it can no longer be checked, by design.",
        )


def _parse(value: Any, key_id: str) -> DatasetKey:
    secret = bytes.fromhex(value["key"])
    if value["v"] != 1 or value["id"] != key_id or len(secret) != KEY_SIZE:
        raise ValueError("not the key of this id")
    return DatasetKey(key_id, value["name"], secret)


def _subkey(secret: bytes, purpose: bytes) -> bytes:
    return HKDFExpand(SHA256(), KEY_SIZE, _INFO + b"/" + purpose).derive(secret)
