"""The file habits every room shares: whole files or none, durable once done, private and locked.

A write that cannot be done raises `CouldNotCheck` naming the file; what was there before stays.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Final

from tallystick.errors import CouldNotCheck

_SMALL: Final = 1 << 20
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
        with suppress(OSError):  # a read-only file system refuses even to remove what is not there
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


def read_private(path: Path) -> bytes:
    """The bytes of a file that holds a key: one of this user's own that nobody else may read or change.

    Raises `CouldNotCheck` for a file of another owner or mode, or one that cannot be read, and
    FileNotFoundError where there is none.
    """
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid():
                raise CouldNotCheck(
                    f"{path} belongs to another user, who therefore has the key",
                    hint=f"If it is to be yours: chown {os.geteuid()} {path} && chmod 600 {path}",
                )
            if status.st_mode & 0o077:
                raise CouldNotCheck(f"{path} can be read by others", hint=f"Close it first: chmod 600 {path}")
            return file.read(_SMALL)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CouldNotCheck(f"{path} cannot be read: {error.strerror}") from error


def read_small(path: Path, most: int = _SMALL) -> bytes:
    """The bytes of a regular file of at most ``most`` bytes. Raises OSError as `open_regular` does, and for
    a larger one."""
    with open_regular(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"longer than the {most:,} bytes expected of it", str(path))
    return data


def open_regular(path: Path, *, follow: bool = True) -> BufferedReader:
    """A regular file, opened for reading; without ``follow`` its last name must be no link.

    Raises OSError, at once: ELOOP for such a link, EINVAL for a pipe, a device and a directory.
    """
    # Non-blocking, because opening a pipe would wait for a writer before it could be refused.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = os.open(path, flags | (0 if follow else os.O_NOFOLLOW))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def check_database(path: Path) -> None:
    """See that SQLite finds regular files, or none, where it opens ``path`` and what it keeps beside it.

    It would wait for whoever writes to a pipe. Raises OSError. Looked at and not opened: closing a file gives
    up the locks that this process has on it.
    """
    real = os.path.realpath(path)  # beside which SQLite keeps the others
    for file in map(Path, (real, f"{real}-journal", f"{real}-wal", f"{real}-shm")):
        try:
            mode = file.stat().st_mode  # once: what SQLite keeps beside may go in between
        except (FileNotFoundError, NotADirectoryError):
            continue
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(file))


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold ``path`` while nobody else does, in this process or another; waits for whoever holds it.

    ``path`` is a directory that is there, or the file of a lock, made if it is missing and never removed.
    Not re-entrant. Raises `CouldNotCheck` where it cannot be locked.
    """
    kind = os.O_RDONLY | os.O_DIRECTORY if path.is_dir() else os.O_RDWR | os.O_CREAT
    try:
        descriptor = os.open(path, kind | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:  # a file system without locks
        raise cannot_write(path, error) from error


def remove(path: Path) -> bool:
    """Remove the file durably: after a crash it does not come back; whether there was one.

    Raises `CouldNotCheck` when it cannot be removed.
    """
    try:
        path.unlink()
        sync_directory(path.parent)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise cannot_write(path, error) from error
    return True


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
