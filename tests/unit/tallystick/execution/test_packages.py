"""A contract package is its files' digest; a kept one runs again, a changed one does not."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

import chaincode.catalogue
from chaincode.errors import Refusal
from chaincode.fabric.package import digest_of, manifest
from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.execution import packages


def test_the_current_package_is_the_running_one(tmp_path):
    assert packages.load(packages.current_digest(), None) is chaincode.catalogue.invoke


def test_any_changed_file_changes_the_digest(tmp_path):
    files = manifest(Path(chaincode.__file__).parent)
    assert digest_of(files) == packages.current_digest()
    for name, data in files.items():
        assert digest_of({**files, name: data + b"\n"}) != packages.current_digest()
        assert digest_of({k: v for k, v in files.items() if k != name}) != packages.current_digest()


def _keep_changed(tmp_path: Path, old: str, new: str) -> str:
    """Keep a package in which errors.py reads ``new`` for ``old``; returns its digest."""
    kept = tmp_path / packages.keep_current(tmp_path)
    (kept / "chaincode" / "catalogue.py").chmod(0o600)
    path = kept / "chaincode" / "catalogue.py"
    path.write_text(path.read_text().replace(old, new))
    digest = digest_of(manifest(kept / "chaincode"))
    kept.rename(tmp_path / digest)
    return digest


def test_a_kept_package_of_another_digest_runs_and_leaves_the_current_one_alone(tmp_path):
    digest = _keep_changed(tmp_path, '"UNKNOWN_CONTRACT"', '"OLD_UNKNOWN_CONTRACT"')
    old = packages.load(digest, tmp_path)
    with pytest.raises(Refusal) as refused:
        asyncio.run(old(None, "nothing", "x", b"{}"))
    assert refused.value.code == "OLD_UNKNOWN_CONTRACT"
    with pytest.raises(Refusal) as refused:
        asyncio.run(chaincode.catalogue.invoke(None, "nothing", "x", b"{}"))
    assert refused.value.code == "UNKNOWN_CONTRACT"


def test_a_package_that_was_changed_or_is_not_kept_cannot_be_checked(tmp_path):
    digest = _keep_changed(tmp_path, '"UNKNOWN_CONTRACT"', '"OLD_UNKNOWN_CONTRACT"')
    for missing in ("0" * 64, digest[:-1] + "0"):
        with pytest.raises(CouldNotCheck, match="not at hand"):
            packages.load(missing, tmp_path)
    path = tmp_path / digest / "chaincode" / "errors.py"
    path.chmod(0o600)
    path.write_text(path.read_text() + "#")
    with pytest.raises(CouldNotCheck, match="not at hand"):
        packages.load(digest, tmp_path)


def test_a_kept_package_imports_only_itself(tmp_path):
    digest = _keep_changed(tmp_path, '"UNKNOWN_TRANSACTION"', '"OLD_UNKNOWN_TRANSACTION"')
    packages.load(digest, tmp_path)
    loaded = {name: module for name, module in sys.modules.items() if name.startswith(f"chaincode_{digest}")}
    assert len(loaded) > 10
    for module in loaded.values():
        for value in vars(module).values():
            home = getattr(value, "__module__", None) or getattr(value, "__name__", "")
            assert not str(home).startswith("chaincode."), (module.__name__, value)


@pytest.mark.parametrize(
    "planted", ["__pycache__/catalogue.cpython-311.pyc", "catalogue.so", "catalogue.pyc", "json.py"]
)
def test_files_beside_the_digested_ones_do_not_run(tmp_path, planted):
    """A stale or poisoned compiled file under a digest that matches must not be what an auditor runs."""
    digest = _keep_changed(tmp_path, '"UNKNOWN_CONTRACT"', f'"PLANTED_{len(planted)}"')
    path = tmp_path / digest / "chaincode" / planted
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"raise SystemExit")
    if planted.endswith(".py"):  # another source file is part of the package, and so another package
        with pytest.raises(CouldNotCheck):
            packages.load(digest, tmp_path)
        return
    with pytest.raises(Refusal) as refused:
        asyncio.run(packages.load(digest, tmp_path)(None, "nothing", "x", b"{}"))
    assert refused.value.code == f"PLANTED_{len(planted)}"


def test_files_that_changed_since_are_not_kept_as_what_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "_CURRENT", "0" * 64)
    with pytest.raises(InvalidInput, match="changed while"):
        packages.keep_current(tmp_path)
