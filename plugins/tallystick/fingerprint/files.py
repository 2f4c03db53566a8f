"""Digests of files as they lie: one file, or a folder by way of its manifest.

docs/formats/fingerprint.md, "Files and folders", is normative for the manifest.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from chaincode.canonical import NotCanonical, digest, encode
from tallystick.errors import InvalidInput

_BUFFER: Final = 1 << 20

Progress = Callable[[int], None]
"""Called now and then with how much is done so far, in bytes (files) or rows (tables)."""


@dataclass(frozen=True)
class Entry:
    """A file of a manifest: its path within the folder (POSIX), size in bytes, SHA-256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a folder holds, sorted by path. Empty folders, times and permissions are not part of it."""

    entries: tuple[Entry, ...]

    @cached_property
    def bytes(self) -> bytes:
        """The canonical JSON."""
        files = [{"path": entry.path, "size": entry.size, "sha256": entry.sha256} for entry in self.entries]
        try:
            return encode({"v": 1, "files": files})
        except NotCanonical:
            raise InvalidInput("a file's name in the folder is not UTF-8", hint="Rename it.") from None

    @property
    def digest(self) -> str:
        """SHA-256 of `bytes`, 64 hex digits."""
        return digest(self.bytes)


def file_digest(path: Path, progress: Progress | None = None) -> str:
    """SHA-256 of a regular file as 64 hex digits, what `sha256sum` prints.

    Raises `InvalidInput` when ``path`` is not a file that can be read.
    """
    return _digest_file(path, progress, follow=True).sha256


def folder_manifest(path: Path, progress: Progress | None = None) -> Manifest:
    """The manifest of all files below ``path``, hashed in as many threads as there are cores.

    Raises `InvalidInput` when it is not a folder, or holds a symbolic link or anything else that is
    neither a file nor a folder.
    """
    if not path.is_dir():
        raise InvalidInput(f"{path} is not a folder")
    files = sorted(_walk(path, ""))
    total = _Total(progress)

    def entry(relative: str) -> Entry:
        hashed = _digest_file(path / relative, total.reporter(), follow=False)
        return Entry(relative, hashed.size, hashed.sha256)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return Manifest(tuple(pool.map(entry, files)))


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    try:
        found = list(os.scandir(folder))
    except OSError as error:
        raise InvalidInput(f"{folder} cannot be read: {error.strerror}") from None
    for item in found:
        relative = prefix + item.name
        if item.is_symlink():
            raise InvalidInput(f"{item.path} is a symbolic link", hint="Put the file itself in its place.")
        if item.is_dir(follow_symlinks=False):
            yield from _walk(folder / item.name, relative + "/")
        elif item.is_file(follow_symlinks=False):
            yield relative
        else:
            raise InvalidInput(f"{item.path} is neither a file nor a folder", hint="Move it elsewhere.")


def _digest_file(path: Path, progress: Progress | None, *, follow: bool) -> Entry:
    sha256, size, buffer = hashlib.sha256(), 0, bytearray(_BUFFER)
    view = memoryview(buffer)
    # Non-blocking, because opening a pipe would wait for a writer before it could be refused.
    flags = os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        with open(path, "rb", buffering=0, opener=lambda name, _: os.open(name, flags)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InvalidInput(f"{path} is not a regular file")
            while count := file.readinto(buffer):
                sha256.update(view[:count])
                size += count
                if progress is not None:
                    progress(size)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    return Entry(path.name, size, sha256.hexdigest())


class _Total:
    """Adds up the progress of files that are hashed side by side."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._done = 0
        self._lock = threading.Lock()

    def reporter(self) -> Progress | None:
        """A progress function for one file, or None where nobody listens."""
        progress = self._progress
        if progress is None:
            return None
        last = 0

        def report(size: int) -> None:
            nonlocal last
            with self._lock:
                self._done += size - last
                last = size
                progress(self._done)

        return report
