"""Folders in the store: the manifest names every file, and nothing in it leads elsewhere."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from chaincode import canonical
from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "objects")


def place(tmp_path: Path, digest: str) -> Path:
    return tmp_path / "objects" / digest[:2] / digest[2:]


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)


def make_folder(path: Path) -> Path:
    for name, data in {
        "MLmodel": b"flavour",
        "data/model.skops": b"a model\n" * 40_000,
        "data/ünï.txt": b"",
        "data.txt": b"x",
    }.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_folder_comes_back_whole(store: Store, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model")
    digest = store.add_folder(folder)
    assert store.add_folder(make_folder(tmp_path / "same")) == digest
    store.open_folder(digest, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(folder)
    (folder / "MLmodel").write_bytes(b"other")
    assert store.add_folder(folder) != digest
    with pytest.raises(InvalidInput, match="not empty"):
        store.open_folder(digest, tmp_path / "out")


def test_a_folder_with_a_changed_file_is_not_opened(store: Store, tmp_path: Path) -> None:
    digest = store.add_folder(make_folder(tmp_path / "model"))
    changed = hashlib.sha256(b"flavour").hexdigest()
    overwrite(place(tmp_path, changed), b"flavoUr")
    with pytest.raises(NotAsRecorded, match=changed[:12]):
        store.open_folder(digest, tmp_path / "out")
    assert not (tmp_path / "out/MLmodel").exists()


@pytest.mark.parametrize(
    "name", ["../up", "/etc/cron.d/x", "a/../../up", "", ".", "/", "a//b", "./a", "a/", "a\0b", "..", "//a"]
)
def test_a_manifest_cannot_lead_out_of_the_folder(store: Store, tmp_path: Path, name: str) -> None:
    content = store.add_bytes(b"x")
    files = [{"path": name, "sha256": content, "size": 1}]
    digest = store.add_bytes(canonical.encode({"files": files, "v": 1}))
    with pytest.raises(NotAsRecorded, match="manifest"):
        store.open_folder(digest, tmp_path / "out")
    assert not (tmp_path / "up").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"files":[],"v":2}',
        b'{"files":[{}],"v":1}',
        b'{"files":3,"v":1}',
        b'{"files":[{"path":1,"sha256":"","size":0}],"v":1}',
        b'{"files": [], "v": 1}',
    ],
)
def test_other_objects_are_no_manifest(store: Store, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(NotAsRecorded, match="manifest"):
        store.open_folder(store.add_bytes(data), tmp_path / "out")


def test_links_and_odd_names_in_a_folder_are_refused(store: Store, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model")
    (folder / "link").symlink_to("/etc")
    with pytest.raises(InvalidInput, match="link"):
        store.add_folder(folder)
    (folder / "link").unlink()
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).write_bytes(b"")
    with pytest.raises(InvalidInput, match="UTF-8"):
        store.add_folder(folder)
    with pytest.raises(InvalidInput, match="nowhere"):
        store.add_folder(tmp_path / "nowhere")
