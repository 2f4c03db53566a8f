"""The contract package: the files it is made of and its digest (docs/formats/contract-package.md).

It is the law: the contracts and all that they import. This folder is a host, as the embedded ledger is one,
and belongs to no package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from chaincode import canonical

_HOST: Final = "fabric"


def manifest(root: Path, read: Callable[[Path], bytes] = Path.read_bytes) -> dict[str, bytes]:
    """The package's files by their POSIX path below ``root``: every ``*.py`` of the law, in order of path.

    ``read`` reads a file that may be anything. Raises OSError.
    """
    paths = {path.relative_to(root): path for path in root.rglob("*.py") if "__pycache__" not in path.parts}
    law = (name for name in sorted(paths) if name.parts[0] != _HOST)
    return {name.as_posix(): read(paths[name]) for name in law}


def digest_of(files: Mapping[str, bytes]) -> str:
    """SHA-256 of the canonical JSON ``{path: SHA-256 of the file}``."""
    return canonical.digest(canonical.encode({path: canonical.digest(data) for path, data in files.items()}))
