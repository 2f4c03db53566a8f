"""A second implementation of docs/formats/fingerprint.md, written for reading, and a key to try both with."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tallystick.fingerprint.keys import DatasetKey, TableKey

SECRET, NONCE = bytes(range(32)), bytes(range(32, 64))


class Reference:
    """Rows are lists of Python values, already as the logical types want them (dates as days and so on)."""

    def __init__(self, secret: bytes = SECRET, nonce: bytes = NONCE) -> None:
        table_key = self._expand(hmac.digest(nonce, secret, "sha256"), b"tallystick/table/v1")
        self.salts_key = self._expand(table_key, b"tallystick/table/v1/salts")
        self.seal_key = self._expand(table_key, b"tallystick/table/v1/seal")
        self.pseudonym_key = self._expand(table_key, b"tallystick/table/v1/pseudonym")

    def cell(self, kind: str, value: Any) -> bytes:
        if value is None or value != value:
            return b"\x00"
        if kind == "float":
            return b"f" + struct.pack(">d", 0.0 if value == 0 else value)
        if kind in ("string", "decimal"):
            text = value.encode()
            return (b"s" if kind == "string" else b"m") + struct.pack(">I", len(text)) + text
        if kind == "timestamp":  # in nanoseconds here
            return (
                b"n" + struct.pack(">q", value) if value % 1000 else b"t" + struct.pack(">q", value // 1000)
            )
        return {"int": b"i", "bool": b"b", "date": b"d"}[kind] + struct.pack(">q", value)

    def row(self, kinds: Sequence[str], values: Sequence[Any]) -> bytes:
        return b"".join(self.cell(kind, value) for kind, value in zip(kinds, values, strict=True))

    def salt(self, index: int) -> bytes:
        block = Cipher(algorithms.AES(self.salts_key), modes.ECB()).encryptor()  # noqa: S305
        return block.update(index.to_bytes(16, "big"))

    def pseudonym(self, cell: bytes) -> bytes:
        return hmac.digest(self.pseudonym_key, cell, "sha256")

    def leaves(
        self, kinds: Sequence[str], rows: Sequence[Sequence[Any]], subject: int | None = None
    ) -> list[bytes]:
        result = []
        for index, values in enumerate(rows):
            salted = self.salt(index) + self.row(kinds, values)
            if subject is None:
                result.append(hashlib.sha256(b"\x00" + salted).digest())
            else:
                who = self.pseudonym(self.cell(kinds[subject], values[subject]))
                result.append(hashlib.sha256(b"\x00" + who + hashlib.sha256(salted).digest()).digest())
        return result

    def root(self, leaves: Sequence[bytes]) -> bytes:
        if len(leaves) == 1:
            return leaves[0]
        split = 1 << (len(leaves) - 1).bit_length() - 1
        return hashlib.sha256(b"\x01" + self.root(leaves[:split]) + self.root(leaves[split:])).digest()

    @staticmethod
    def _expand(key: bytes, info: bytes) -> bytes:
        return hmac.digest(key, info + b"\x01", "sha256")


@pytest.fixture(scope="session")
def reference() -> Reference:
    return Reference()


@pytest.fixture(scope="session")
def key() -> TableKey:
    return DatasetKey("00" * 8, "test", SECRET).table_key(NONCE)


@pytest.fixture(scope="session")
def vectors() -> Any:
    return json.loads((Path(__file__).parents[3] / "vectors" / "fingerprint.json").read_text())


@pytest.fixture(scope="session")
def pseudonym(key: TableKey) -> Callable[[str], bytes]:
    """The id of a subject's rows, as the format page makes it of the subject's text."""
    return lambda text: key.pseudonym(b"s" + len(text).to_bytes(4, "big") + text.encode())
