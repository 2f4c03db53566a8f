"""The store: objects by the SHA-256 of their content, read-only once written, checked at every opening.

    ROOT/<2 hex digits>/<62 hex digits>        the object, mode 0400
    ROOT/<2 hex digits>/<62 hex digits>.ref    what was too big to copy: canonical JSON {path, size}
    ROOT/sealed/<64 hex digits>                which object a keyed digest means, and whose it is (sealing.py)
    ROOT/data-docs/<64 hex digits>             the page of a validation result (steps/validation.py)
    ROOT/incoming/                             copies under way, of no meaning to a reader

Nothing under ROOT has a name before it is whole and on the disk, so a killed process leaves no half
object. A folder is an object too, the manifest of its files (folders.py).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from chaincode import canonical
from tallystick.errors import CouldNotCheck, InvalidInput, Missing, NotAsRecorded
from tallystick.files import (
    alone,
    cannot_write,
    open_regular,
    private_directory,
    publish,
    remove,
    write_all,
    write_atomic,
)
from tallystick.folders import make_manifest, read_manifest

Progress = Callable[[int], None]
"""Told how many more bytes are done."""

_CHUNK: Final = 1 << 18
_FICLONE: Final = 0x40049409
_MARGIN: Final = 256 << 20
_STALE_SECONDS: Final = 3600
_MAX_REFERENCE: Final = 16 << 10
_MAX_MANIFEST: Final = 256 << 20
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StoredObject:
    """What `Store.add_file` stored; ``referenced`` if only by its path, because it was too big to copy.
    ``written`` is the file that was written, for `Store.take_back`; None if the object was there before."""

    digest: str
    size: int
    referenced: bool = False
    written: tuple[int, int] | None = field(default=None, compare=False)


class Store:
    """The objects under ``root`` (0700). Files of more than ``copy_limit`` bytes are referred to, not copied.

    Digests are 64 lower-case hex digits; any other text is `InvalidInput`. Several processes may add
    and read at once. Nothing is made or changed before something is added.
    """

    def __init__(self, root: Path, copy_limit: int = 8 << 30) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._copy_limit = copy_limit
        self._note: Callable[[str], object] = str

    @property
    def root(self) -> Path:
        """The directory that holds everything."""
        return self._root

    def noting(self, note: Callable[[str], object]) -> Store:
        """This store, telling ``note`` the digest of each object before it has its name; what that raises
        keeps the object out."""
        noting = Store(self._root, self._copy_limit)
        noting._note = note
        return noting

    def add_file(
        self, path: Path, progress: Progress | None = None, *, may_refer: bool = True
    ) -> StoredObject:
        """Store the file at ``path``: cloned where the file system can, else copied, else referred to.

        The digest is that of the stored bytes, so a file that changes meanwhile does no harm. Without
        ``may_refer`` it is never only referred to: for a file that will not stay. Raises `InvalidInput`
        for what is not a readable file and `CouldNotCheck` when the store cannot be written.
        """
        with _open_source(path) as source:
            size = os.fstat(source.fileno()).st_size
            with self._receive() as incoming:
                if _clone(source.fileno(), incoming.fileno):
                    digest, size = _digest(incoming.fileno, progress)
                elif may_refer and (size > self._copy_limit or not self._has_room(size)):
                    return self._refer(path, source, progress)
                elif not self._has_room(size):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                else:
                    digest, size = _digest(source.fileno(), progress, incoming.fileno)
                written = self._publish(incoming, digest)
        return StoredObject(digest, size, written=written)

    def take_back(self, stored: StoredObject) -> bool:
        """Undo `add_file`; whether the object is gone now.

        It stays where it was there before, and where anybody added the same bytes since: it is theirs too.
        Raises `CouldNotCheck` if it cannot be removed.
        """
        place = self._place(stored.digest)
        path = _reference(place) if stored.referenced else place
        with alone(self._root):
            try:
                theirs = stored.written is None or _identity(path) != stored.written
            except FileNotFoundError:
                return False
            return not theirs and self.delete(stored.digest)

    def add_bytes(self, data: bytes) -> str:
        """Store ``data``; its digest. Raises `CouldNotCheck` when the store cannot be written."""
        digest = hashlib.sha256(data).hexdigest()
        with self._receive() as incoming:
            write_all(incoming.fileno, data)
            self._publish(incoming, digest)
        return digest

    def add_folder(self, path: Path) -> str:
        """Store a copy of every file under ``path``; the digest of their manifest, without empty directories.

        Raises `InvalidInput` for links and for names that are not UTF-8, and as `add_file` does.
        """

        def take(file: Path) -> tuple[str, int]:
            stored = self.add_file(file, may_refer=False)
            return stored.digest, stored.size

        return self.add_bytes(make_manifest(path, take))

    def open_folder(self, digest: str, destination: Path) -> None:
        """Write the folder of the manifest ``digest`` to ``destination``, which must be new or empty.

        Every byte written is checked. Raises as `open` does, `InvalidInput` for a ``destination`` that
        is not empty, and `NotAsRecorded` for a manifest that is none or whose names lead elsewhere.
        """
        files = read_manifest(self.read(digest, _MAX_MANIFEST), digest)
        if destination.is_symlink() or (destination.exists() and any(destination.iterdir())):
            raise InvalidInput(f"{destination} is not empty", hint="Name a new directory.")
        private_directory(destination)
        for name, content in files:
            target = destination / name
            private_directory(target.parent)
            self._write_out(content, target)

    def open(self, digest: str) -> BinaryIO:
        """The object, open for reading at its start, after its bytes were digested and found right.

        Raises `Missing` where it is not there, `CouldNotCheck` where it cannot be read and `NotAsRecorded`
        where it differs.
        """
        file = self._unchecked(digest)
        try:
            self._compare(digest, _digest(file.fileno())[0])
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def path(self, digest: str) -> Path:
        """Where the object lies, after its bytes were digested and found right; raises as `open` does.

        For libraries that open files themselves. Prefer `open`: it hands out the very bytes it checked.
        """
        with self.open(digest):
            return self.location(digest)

    def location(self, digest: str) -> Path:
        """Where the object lies; nothing is digested: for whoever has just had that done. Raises as `path`
        does where a reference cannot be read."""
        place = self._place(digest)
        if not self.is_referenced(digest):
            return place
        try:
            with open_regular(_reference(place), follow=False) as file:
                fields = canonical.decode(file.read(_MAX_REFERENCE))
            return Path(fields["path"])
        except OSError as error:
            raise CouldNotCheck(f"the reference to object {digest[:12]} cannot be read") from error
        except (canonical.NotCanonical, KeyError, TypeError):
            raise NotAsRecorded(f"the reference to object {digest[:12]} was changed") from None

    def read(self, digest: str, limit: int) -> bytes:
        """The object's bytes, checked. Raises as `open` does; `CouldNotCheck` beyond ``limit`` bytes."""
        with self._unchecked(digest) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise CouldNotCheck(f"object {digest[:12]} is larger than the {limit:,} bytes expected of it")
        self._compare(digest, hashlib.sha256(data).hexdigest())
        return data

    def verify(self, digest: str, progress: Progress | None = None) -> bool:
        """Whether the object is as recorded. Raises `Missing`, or `CouldNotCheck` if it is unreadable."""
        try:
            with self._unchecked(digest) as file:
                return _digest(file.fileno(), progress)[0] == digest
        except NotAsRecorded:
            return False

    def size(self, digest: str) -> int:
        """How many bytes the object has. Raises as `open` does, but digests nothing."""
        with self._unchecked(digest) as file:
            return os.fstat(file.fileno()).st_size

    def delete(self, digest: str) -> bool:
        """Forget the object, for an erasure; whether there was one.

        The bytes are not overwritten (no file system promises that), and a file that was only referred
        to stays where it is. Raises `CouldNotCheck` if it cannot be removed.
        """
        place = self._place(digest)
        return remove(place) | remove(_reference(place))

    def is_referenced(self, digest: str) -> bool:
        """Whether the store holds only a reference to this object."""
        place = self._place(digest)
        return not os.path.lexists(place) and os.path.lexists(_reference(place))

    def _place(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise InvalidInput("not a SHA-256 digest", hint="Give all 64 lower-case hex digits.")
        return self._root / digest[:2] / digest[2:]

    def _unchecked(self, digest: str) -> BinaryIO:
        location = self.location(digest)
        try:
            return open_regular(location, follow=False)
        except FileNotFoundError:
            where = f" (kept at {location})" if self.is_referenced(digest) else ""
            raise Missing(f"object {digest[:12]} is missing{where}") from None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EINVAL):
                raise NotAsRecorded(f"object {digest[:12]} is no longer a plain file") from None
            raise CouldNotCheck(f"object {digest[:12]} cannot be read: {error.strerror}") from error

    def _compare(self, digest: str, found: str) -> None:
        if found != digest:
            where = f" (kept at {self.location(digest)})" if self.is_referenced(digest) else ""
            raise NotAsRecorded(f"object {digest[:12]} was changed: its bytes now have another digest{where}")

    def _write_out(self, digest: str, target: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._unchecked(digest) as file:
            try:
                descriptor = os.open(target, flags, 0o600)
                try:
                    found, _ = _digest(file.fileno(), None, descriptor)
                finally:
                    os.close(descriptor)
            except OSError as error:
                raise cannot_write(target, error) from error
        if found != digest:
            target.unlink()
            self._compare(digest, found)

    def _refer(self, path: Path, source: BinaryIO, progress: Progress | None) -> StoredObject:
        digest, size = _digest(source.fileno(), progress)
        try:
            document = canonical.encode({"path": str(path.resolve()), "size": size})
        except canonical.NotCanonical:
            raise InvalidInput("a file's name is not UTF-8", hint="Rename it and try again.") from None
        place = self._place(digest)
        private_directory(place.parent)
        with alone(self._root):
            self._note(digest)
            new = not self.has(digest)
            write_atomic(_reference(place), document, 0o400)
            written = _identity(_reference(place)) if new else None
        return StoredObject(digest, size, referenced=True, written=written)

    def has(self, digest: str) -> bool:
        """Whether there is such an object, whatever its bytes are now."""
        place = self._place(digest)
        return os.path.lexists(place) or os.path.lexists(_reference(place))

    def _has_room(self, size: int) -> bool:
        space = os.statvfs(self._root)
        return space.f_bavail * space.f_frsize >= size + _MARGIN

    def _publish(self, incoming: _Incoming, digest: str) -> tuple[int, int] | None:
        """Give an object its name; what `StoredObject.written` says."""
        place = self._place(digest)
        private_directory(place.parent)
        os.fsync(incoming.fileno)  # the long part, before others have to wait
        with alone(self._root):
            self._note(digest)
            new = not self.has(digest)
            publish(incoming.fileno, incoming.path, place, 0o400)
            return _identity(place) if new else None

    @contextmanager
    def _receive(self) -> Iterator[_Incoming]:
        private_directory(self._root)
        private_directory(self._incoming)
        self._remove_stale()
        temporary = self._incoming / secrets.token_hex(16)
        try:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                yield _Incoming(temporary, descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise cannot_write(self._root, error) from error
        finally:
            temporary.unlink(missing_ok=True)

    def _remove_stale(self) -> None:
        """Remove what killed processes left: copies that nobody has written to for an hour."""
        for path in self._incoming.iterdir():
            try:
                if time.time() - path.lstat().st_mtime > _STALE_SECONDS:
                    path.unlink()
            except FileNotFoundError:
                continue


@dataclass(frozen=True)
class _Incoming:
    path: Path
    fileno: int


def _identity(path: Path) -> tuple[int, int]:
    """Tells a file from another that came to its place. Raises OSError."""
    found = path.lstat()
    return found.st_ino, found.st_mtime_ns


def _reference(place: Path) -> Path:
    return place.with_name(place.name + ".ref")


def _open_source(path: Path) -> BinaryIO:
    try:
        return open_regular(path.resolve(strict=True), follow=False)
    except FileNotFoundError:
        raise InvalidInput(f"{path} is missing") from None
    except (OSError, RuntimeError) as error:
        reason = "not a file" if getattr(error, "errno", None) == errno.EINVAL else "it cannot be read"
        raise InvalidInput(f"{path} cannot be stored: {reason}") from error


def _clone(source: int, destination: int) -> bool:
    try:
        fcntl.ioctl(destination, _FICLONE, source)
    except OSError:
        return False  # another file system, or one that cannot: a copy does as well
    return True


def _digest(descriptor: int, progress: Progress | None = None, copy_to: int | None = None) -> tuple[str, int]:
    """SHA-256 (hex) and size of what is left to read, copied to another descriptor on the way."""
    state, size = hashlib.sha256(), 0
    while chunk := os.read(descriptor, _CHUNK):
        state.update(chunk)
        if copy_to is not None:
            write_all(copy_to, chunk)
        size += len(chunk)
        if progress:
            progress(len(chunk))
    return state.hexdigest(), size
