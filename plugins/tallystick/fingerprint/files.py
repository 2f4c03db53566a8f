"""Digests of files as they lie. Folders go by their manifest: tallystick/folders.py."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from tallystick.errors import InvalidInput
from tallystick.files import open_regular

_BUFFER: Final = 1 << 20


def file_digest(path: Path) -> str:
    """SHA-256 of a regular file as 64 hex digits, what `sha256sum` prints.

    Raises `InvalidInput` when ``path`` is not a file that can be read.
    """
    sha256, buffer = hashlib.sha256(), bytearray(_BUFFER)
    view = memoryview(buffer)
    try:
        with open_regular(path) as file:
            while count := file.readinto(buffer):
                sha256.update(view[:count])
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    return sha256.hexdigest()
