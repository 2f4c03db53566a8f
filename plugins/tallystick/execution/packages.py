"""The contract package: its digest, and a copy kept of it.

A package is the Python files of chaincode/ and is named by the digest of their manifest, so that a
block can be run again under exactly the law that was in force (docs/formats/contract-package.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import chaincode
from chaincode import canonical
from chaincode.fabric.package import digest_of, manifest
from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.files import private_directory, read_small, write_atomic

_NAME: Final = "chaincode"
_ROOT: Final = Path(chaincode.__file__).parent


# At import, when the contracts are imported too: files that change later are not what this process runs.
_CURRENT: Final = digest_of(manifest(_ROOT))


def current_digest() -> str:
    """The digest of the contracts this process runs."""
    return _CURRENT


def keep_current(directory: Path) -> str:
    """Copy the current package below ``directory``/<digest>/chaincode; returns the digest.

    Raises `InvalidInput` where the files on disk are no longer those that this process runs.
    """
    files = manifest(_ROOT)
    if digest_of(files) != _CURRENT:
        raise InvalidInput("the contracts were changed while this ran", hint="Start again.")
    destination = directory / _CURRENT / _NAME
    for name, data in files.items():
        path = destination / name
        if not path.exists():
            private_directory(path.parent)
            write_atomic(path, data, mode=0o400)
    return _CURRENT


def kept(digest: str, directory: Path | None) -> dict[str, bytes]:
    """The files of the package ``digest`` as `keep_current` put them below ``directory``.

    They are the very bytes that were digested. Raises `CouldNotCheck` where the package is not at hand
    or its copy was changed.
    """
    root = directory / digest / _NAME if directory else None
    try:
        files = manifest(root, read_small) if root is not None and root.is_dir() else {}
        found = digest_of(files)
    except (OSError, canonical.NotCanonical):
        found = ""
    if found != digest:
        raise CouldNotCheck("it is not at hand, or not trusted (tally verify --packages DIR)")
    return files
