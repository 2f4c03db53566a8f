"""The contract package: its digest, a copy kept of it, and loading one that is no longer current.

A package is the Python files of chaincode/ and is named by the digest of their manifest, so that a
block can be run again under exactly the law that was in force (docs/formats/contract-package.md).
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import chaincode
from chaincode import canonical
from chaincode.catalogue import invoke
from chaincode.errors import Refusal
from tallystick.errors import CouldNotCheck
from tallystick.execution.simulate import Invoke
from tallystick.files import private_directory, write_atomic

_ROOT = Path(chaincode.__file__).parent


def manifest(root: Path) -> dict[str, bytes]:
    """The package's files by their POSIX path below ``root``: every ``*.py``, in order of path."""
    paths = sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def digest_of(files: dict[str, bytes]) -> str:
    """SHA-256 of the canonical JSON ``{path: SHA-256 of the file}``."""
    return canonical.digest(canonical.encode({path: canonical.digest(data) for path, data in files.items()}))


@functools.cache
def current_digest() -> str:
    """The digest of the contracts this process runs."""
    return digest_of(manifest(_ROOT))


def keep_current(directory: Path) -> str:
    """Copy the current package below ``directory``/<digest>/chaincode; returns the digest."""
    digest = current_digest()
    destination = directory / digest / "chaincode"
    for name, data in manifest(_ROOT).items():
        path = destination / name
        if not path.exists():
            private_directory(path.parent)
            write_atomic(path, data, mode=0o400)
    return digest


def load(digest: str, directory: Path | None) -> Invoke:
    """The way into the package ``digest``: the running one, or a kept copy whose files still match.

    Raises `CouldNotCheck` where the package is not at hand or its copy was changed.
    """
    if digest == current_digest():
        return invoke
    kept = directory / digest / "chaincode" if directory else None
    if kept is None or not kept.is_dir() or digest_of(manifest(kept)) != digest:
        raise CouldNotCheck(
            f"the contract package {digest[:12]} is not at hand, so its blocks cannot be run again",
            hint="put the package into the directory `packages` of the home, or verify where it is kept",
        )
    return _load_kept(kept)


def _load_kept(kept: Path) -> Invoke:
    with _without_current_package(kept.parent):
        loaded: Invoke = importlib.import_module("chaincode.catalogue").invoke
        # Hosts recognise a refusal by its class, which must be the one class that this process has.
        return _translating(loaded, importlib.import_module("chaincode.errors").Refusal)


def _translating(loaded: Invoke, kept_refusal: type[Exception]) -> Invoke:
    async def invoke_kept(context, contract, transaction, request):  # type: ignore[no-untyped-def]
        try:
            return await loaded(context, contract, transaction, request)
        except kept_refusal as refusal:
            raise Refusal(refusal.code, **refusal.facts) from refusal  # type: ignore[attr-defined]

    return invoke_kept


@contextlib.contextmanager
def _without_current_package(path: Path) -> Iterator[None]:
    current = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "chaincode"}
    for name in current:
        del sys.modules[name]
    sys.path.insert(0, str(path))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(path))
        for name in [name for name in sys.modules if name.split(".")[0] == "chaincode"]:
            del sys.modules[name]
        sys.modules.update(current)
