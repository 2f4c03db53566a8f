"""A folder's manifest: made by going through its files in as many threads as there are cores, and read.

docs/formats/fingerprint.md, "Files and folders", is normative.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, Final

from chaincode import canonical
from tallystick.errors import InvalidInput, NotAsRecorded

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


Take = Callable[[Path], tuple[str, int]]
"""Goes through one file, and may keep a copy: its SHA-256 as 64 hex digits, and its size in bytes."""


def make_manifest(folder: Path, take: Take) -> bytes:
    """The manifest of all files under ``folder``, each given to ``take`` in one of several threads.

    Raises `InvalidInput` for what is no folder, for links and for names that are not UTF-8, and whatever
    ``take`` raises.
    """
    names = sorted(_file_names(folder), key=lambda name: name.encode())
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        taken = list(pool.map(take, [folder / name for name in names]))
    files = [
        {"path": name, "sha256": digest, "size": size}
        for name, (digest, size) in zip(names, taken, strict=True)
    ]
    return canonical.encode({"files": files, "v": 1})


def _file_names(folder: Path) -> Iterator[str]:
    """The files under ``folder`` as relative paths with slashes."""

    def fail(error: OSError) -> None:
        raise InvalidInput(f"{error.filename} cannot be read: {error.strerror}") from error

    for directory, subdirectories, files in os.walk(folder, onerror=fail):
        for name in [*subdirectories, *files]:
            path = Path(directory, name)
            if path.is_symlink():
                raise InvalidInput(
                    f"{path} is a link, which cannot be stored", hint="Put the file in its place."
                )
        for name in files:
            relative = Path(directory, name).relative_to(folder).as_posix()
            if not _is_utf8(relative):
                raise InvalidInput(f"a name in {directory} is not UTF-8", hint="Rename it and try again.")
            yield relative


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_manifest(data: bytes, digest: str) -> list[tuple[str, str]]:
    """The (path, digest) pairs of the manifest whose SHA-256 is ``digest``. Raises `NotAsRecorded`."""
    try:
        document: Any = canonical.decode(data)
        if document.keys() != {"files", "v"} or document["v"] != 1:
            raise ValueError
        files = [(item["path"], item["sha256"]) for item in document["files"]]
        if not all(_inside(path) and _DIGEST.fullmatch(content) for path, content in files):
            raise ValueError
        if len({path for path, _ in files}) != len(files):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NotAsRecorded(f"object {digest[:12]} is not the manifest of a folder") from None
    return files


def _inside(path: str) -> bool:
    """Whether the relative ``path`` is in plain form and cannot lead out of a folder."""
    parts = PurePosixPath(path).parts
    return (
        bool(parts) and "\0" not in path and path == "/".join(parts) and ".." not in parts and parts[0] != "/"
    )
