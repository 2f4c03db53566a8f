"""Folders as the store keeps them: the names of their files, and the manifest that lists them.

A manifest is canonical JSON ``{"files": [{"path", "sha256", "size"}, ...], "v": 1}``, sorted by the UTF-8
bytes of the path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from chaincode import canonical
from tallystick.errors import InvalidInput, NotAsRecorded

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def make_manifest(files: Sequence[Mapping[str, Any]]) -> bytes:
    """The manifest of ``files``, each {path, sha256, size}."""
    return canonical.encode({"files": list(files), "v": 1})


def file_names(folder: Path) -> Iterator[str]:
    """The files under ``folder`` as relative paths with slashes. Raises `InvalidInput` for links and for
    names that are not UTF-8."""

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
