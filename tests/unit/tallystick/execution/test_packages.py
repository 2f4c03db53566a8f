"""A contract package is its files' digest; a kept one is at hand only as long as it is those files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import chaincode
from chaincode.fabric.package import digest_of, manifest
from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.execution import packages


def test_any_changed_file_changes_the_digest(tmp_path):
    files = manifest(Path(chaincode.__file__).parent)
    assert digest_of(files) == packages.current_digest()
    for name, data in files.items():
        assert digest_of({**files, name: data + b"\n"}) != packages.current_digest()
        assert digest_of({k: v for k, v in files.items() if k != name}) != packages.current_digest()


def test_a_kept_package_is_its_files(tmp_path):
    digest = packages.keep_current(tmp_path)
    assert packages.kept(digest, tmp_path) == manifest(Path(chaincode.__file__).parent)


def test_a_change_of_the_door_to_fabric_alone_changes_no_law(tmp_path):
    root = shutil.copytree(Path(chaincode.__file__).parent, tmp_path / "chaincode")
    (root / "fabric" / "host.py").write_text("# another")
    (root / "fabric" / "new.py").write_text("")
    assert digest_of(manifest(root)) == packages.current_digest()
    (root / "charter" / "fabric").mkdir()
    (root / "charter" / "fabric" / "new.py").write_text("")
    assert digest_of(manifest(root)) != packages.current_digest()


@pytest.mark.parametrize(
    "planted", ["__pycache__/catalogue.cpython-311.pyc", "catalogue.so", "catalogue.pyc", "chaincode.pth"]
)
def test_files_beside_the_digested_ones_are_not_of_the_package(tmp_path, planted):
    """A stale or poisoned compiled file under a digest that matches must not be what an auditor runs."""
    digest = packages.keep_current(tmp_path)
    path = tmp_path / digest / "chaincode" / planted
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"raise SystemExit")
    assert packages.kept(digest, tmp_path) == packages.manifest(Path(chaincode.__file__).parent)


def _append(root: Path) -> None:
    path = root / "errors.py"
    path.chmod(0o600)
    path.write_text(path.read_text() + "#")


@pytest.mark.parametrize(
    "spoil",
    [
        _append,
        lambda root: (root / "json.py").write_bytes(b""),
        lambda root: (root / "ü.py").write_bytes(b""),
        lambda root: (root / "folder.py").mkdir(),
        lambda root: (root / "errors.py").unlink(),
    ],
)
def test_a_package_that_was_changed_is_not_at_hand(tmp_path, spoil):
    digest = packages.keep_current(tmp_path)
    spoil(tmp_path / digest / "chaincode")
    with pytest.raises(CouldNotCheck, match="not at hand"):
        packages.kept(digest, tmp_path)


@pytest.mark.parametrize("directory", [None, "."])
def test_a_package_that_is_not_kept_is_not_at_hand(tmp_path, directory):
    with pytest.raises(CouldNotCheck, match="not at hand"):
        packages.kept("0" * 64, directory and tmp_path / directory)


def test_files_that_changed_since_are_not_kept_as_what_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "_CURRENT", "0" * 64)
    with pytest.raises(InvalidInput, match="changed while"):
        packages.keep_current(tmp_path)
