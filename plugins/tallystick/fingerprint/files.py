"""Digests of files as they lie. Folders go by their manifest: tallystick/folders.py."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from tallystick.errors import InvalidInput

_BUFFER: Final = 1 << 20


def file_digest(path: Path) -> str:
    """SHA-256 of a regular file as 64 hex digits, what `sha256sum` prints.

    Raises `InvalidInput` when ``path`` is not a file that can be read.
    """
    sha256, buffer = hashlib.sha256(), bytearray(_BUFFER)
    view = memoryview(buffer)
    # Non-blocking, because opening a pipe would wait for a writer before it could be refused.
    flags = os.O_RDONLY | os.O_NONBLOCK
    try:
        with open(path, "rb", buffering=0, opener=lambda name, _: os.open(name, flags)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InvalidInput(f"{path} is not a regular file")
            while count := file.readinto(buffer):
                sha256.update(view[:count])
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    return sha256.hexdigest()
