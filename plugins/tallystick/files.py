"""The file habits every room shares: whole files or none, durable once done, private directories.

A write that cannot be done raises `CouldNotCheck` naming the file; what was there before stays.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path

from tallystick.errors import CouldNotCheck

_HINTS = {
    errno.ENOSPC: "The disk is full. Free some space and try again.",
    errno.EDQUOT: "The disk quota is used up. Free some space and try again.",
    errno.EROFS: "The file system is read-only. Choose another place.",
    errno.EACCES: "Check who owns the directory and its permissions.",
    errno.EPERM: "Check who owns the directory and its permissions.",
}


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace ``path`` by ``data`` durably: after a crash it holds the old bytes or the new ones.

    Raises `CouldNotCheck` when it cannot be written; the old file is then untouched.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            write_all(descriptor, data)
            publish(descriptor, temporary, path, mode)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of ``data``, however often the system takes only a part. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def publish(descriptor: int, temporary: Path, path: Path, mode: int) -> None:
    """Give the finished ``temporary`` its name and wait until both are on the disk. Raises OSError."""
    os.fchmod(descriptor, mode)
    os.fsync(descriptor)
    temporary.replace(path)
    sync_directory(path.parent)


def private_directory(path: Path) -> Path:
    """``path`` as a directory for its owner alone (0700), made if it is missing, with its parents.

    Raises `CouldNotCheck` when it cannot be made or made private.
    """
    try:
        if not path.is_dir():
            missing = [path, *(parent for parent in path.parents if not parent.exists())]
            for directory in reversed(missing):
                directory.mkdir(mode=0o700, exist_ok=True)
                sync_directory(directory.parent)
        if stat.S_IMODE(path.stat().st_mode) != 0o700:
            path.chmod(0o700)
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def sync_directory(path: Path) -> None:
    """Wait until the names in ``path`` are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot_write(path: Path, error: OSError) -> CouldNotCheck:
    """What to raise for ``error`` while writing ``path``."""
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return CouldNotCheck(f"{path} could not be written: {reason}", hint=_HINTS.get(error.errno or 0, ""))
