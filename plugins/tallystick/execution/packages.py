"""The contract package: its digest, a copy kept of it, and running one that is no longer current.

A package is the Python files of chaincode/ and is named by the digest of their manifest, so that a
block can be run again under exactly the law that was in force (docs/formats/contract-package.md).
"""

from __future__ import annotations

import builtins
import importlib
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import chaincode
from chaincode.catalogue import invoke
from chaincode.context import Context
from chaincode.errors import Refusal
from chaincode.fabric.package import digest_of, manifest
from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.execution.simulate import Invoke
from tallystick.files import private_directory, write_atomic

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


def load(digest: str, directory: Path | None) -> Invoke:
    """The way into the package ``digest``: the running one, or a kept copy whose files still match.

    What runs of a kept copy is the very bytes that were digested: no compiled or other file beside
    them. Raises `CouldNotCheck` where the package is not at hand or its copy was changed.
    """
    if digest == current_digest():
        return invoke
    kept = directory / digest / _NAME if directory else None
    files = manifest(kept) if kept is not None and kept.is_dir() else {}
    if digest_of(files) != digest:
        raise CouldNotCheck(
            f"the contract package {digest[:12]} is not at hand, so its blocks cannot be run again",
            hint="put the package into the directory `packages` of the home, or verify where it is kept",
        )
    return _translating(*_imported(f"{_NAME}_{digest}", files))


def _translating(loaded: Invoke, kept_refusal: type[Any]) -> Invoke:
    # Hosts recognise a refusal by its class, which must be the one class that this process has.
    async def invoke_kept(context: Context, contract: str, transaction: str, request: bytes) -> bytes:
        try:
            return await loaded(context, contract, transaction, request)
        except kept_refusal as refusal:
            raise Refusal(refusal.code, **refusal.facts) from refusal

    return invoke_kept


_LOADING: Final = threading.Lock()


def _imported(root: str, files: Mapping[str, bytes]) -> tuple[Invoke, type[Any]]:
    """The kept package's `invoke` and `Refusal`, imported under the name ``root`` beside the running one."""
    with _LOADING:
        if root not in sys.modules:
            sys.meta_path.append(_Finder(root, files))
        catalogue = importlib.import_module(f"{root}.catalogue")
        return catalogue.invoke, importlib.import_module(f"{root}.errors").Refusal


class _Finder(MetaPathFinder):
    """Finds the modules of one kept package, in memory."""

    def __init__(self, root: str, files: Mapping[str, bytes]) -> None:
        self._root = root
        self._files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root, *parts = fullname.split(".")
        if root != self._root:
            return None
        for file, is_package in (("/".join([*parts, "__init__.py"]), True), ("/".join(parts) + ".py", False)):
            if file in self._files:
                loader = _Source(self._root, file, self._files[file])
                return spec_from_loader(fullname, loader, is_package=is_package)
        return None


class _Source(Loader):
    """Runs one file of a kept package; its imports of `chaincode` lead to the same package."""

    def __init__(self, root: str, file: str, source: bytes) -> None:
        self._root = root
        self._file = file
        self._source = source

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._import}
        exec(compile(self._source, f"{self._root}/{self._file}", "exec"), module.__dict__)  # noqa: S102

    def _import(self, name: str, *rest: Any) -> ModuleType:
        if name == _NAME or name.startswith(_NAME + "."):
            name = self._root + name[len(_NAME) :]
        return builtins.__import__(name, *rest)
