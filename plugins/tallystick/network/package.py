"""The chaincode package that the organisations install: the digest of the contracts, and nothing else.

Every byte of it follows from that digest, so that each organisation makes the same package by itself
and knows its id: the contracts themselves run in each organisation's own server.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
import zlib
from typing import Final

from tallystick.network.layout import CHAINCODE

_LABEL_DIGITS: Final = 12
_STORED_MOST: Final = 0xFFFF


def package(digest: str) -> bytes:
    """The package (tar, gzip) of the contracts with ``digest``."""
    law = json.dumps({"chaincode": f"sha256:{digest}"}).encode()
    metadata = json.dumps({"type": "ccaas", "label": _label(digest)}).encode()
    return _archive({"metadata.json": metadata, "code.tar.gz": _archive({"law.json": law})})


def package_id(digest: str) -> str:
    """The id under which peers know that package: its label and its SHA-256."""
    return f"{_label(digest)}:{hashlib.sha256(package(digest)).hexdigest()}"


def _label(digest: str) -> str:
    return f"{CHAINCODE}_{digest[:_LABEL_DIGITS]}"


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return _stored(buffer.getvalue())


def _stored(data: bytes) -> bytes:
    """``data`` as gzip (RFC 1952) without compression: what a compressor makes differs by its version."""
    blocks = []
    for first in range(0, len(data), _STORED_MOST):
        part = data[first : first + _STORED_MOST]
        last = first + _STORED_MOST >= len(data)
        blocks.append(struct.pack("<BHH", last, len(part), len(part) ^ _STORED_MOST) + part)
    header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    return header + b"".join(blocks) + struct.pack("<II", zlib.crc32(data), len(data))
