"""The contract package: the files it is made of and its digest (docs/formats/contract-package.md)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chaincode import canonical


def manifest(root: Path) -> dict[str, bytes]:
    """The package's files by their POSIX path below ``root``: every ``*.py``, in order of path."""
    paths = sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def digest_of(files: Mapping[str, bytes]) -> str:
    """SHA-256 of the canonical JSON ``{path: SHA-256 of the file}``."""
    return canonical.digest(canonical.encode({path: canonical.digest(data) for path, data in files.items()}))
