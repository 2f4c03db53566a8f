"""Folders: the manifest names every file, and nothing in it leads elsewhere."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from chaincode import canonical
from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.fingerprint.files import file_digest
from tallystick.folders import make_manifest
from tallystick.store import Store, StoredObject

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "fingerprint.json").read_text())["folder"]


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


def take(path: Path) -> tuple[str, int]:
    return file_digest(path), path.stat().st_size


def make_vector(root: Path) -> Path:
    for path, content in {"b.txt": b"b", "a/z": b"", "a/é": b"e", "a.txt": b"a"}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def test_a_manifest_lists_files_in_the_order_of_their_paths(store: Store, tmp_path: Path) -> None:
    folder = make_vector(tmp_path / "folder")
    manifest = make_manifest(folder, take)
    assert manifest.decode() == VECTOR["manifest"]
    assert [each["path"] for each in canonical.decode(manifest)["files"]] == ["a.txt", "a/z", "a/é", "b.txt"]
    assert store.add_folder(folder) == hashlib.sha256(manifest).hexdigest() == VECTOR["digest"]


def test_one_byte_or_one_name_changes_the_manifest(tmp_path: Path) -> None:
    folder = make_vector(tmp_path / "folder")
    before = make_manifest(folder, take)
    (folder / "a/z").rename(folder / "a/y")
    renamed = make_manifest(folder, take)
    (folder / "a/y").rename(folder / "a/z")
    assert make_manifest(folder, take) == before != renamed
    (folder / "b.txt").write_bytes(b"c")
    assert make_manifest(folder, take) != before


def test_the_store_takes_the_files_of_a_folder_side_by_side(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of two comes to its end before the other has begun."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "one").write_bytes(b"1")
    (folder / "two").write_bytes(b"2")
    both, add_file = threading.Barrier(2, timeout=10), Store.add_file

    def meet(self: Store, path: Path, **options: bool) -> StoredObject:
        both.wait()
        return add_file(self, path, **options)

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(Store, "add_file", meet)
    assert contents_of(store, store.add_folder(folder)) == {"one": 1, "two": 1}


def contents_of(store: Store, digest: str) -> dict[str, int]:
    return {each["path"]: each["size"] for each in canonical.decode(store.read(digest, 1 << 20))["files"]}


@pytest.mark.parametrize("kind", ["link", "linked folder", "pipe", "escape"])
def test_a_folder_with_anything_but_files_is_refused(store: Store, tmp_path: Path, kind: str) -> None:
    folder = make_vector(tmp_path / "folder")
    if kind == "pipe":
        os.mkfifo(folder / "a/odd")
    else:
        (folder / "a/odd").symlink_to({"link": "z", "linked folder": "../a", "escape": "/etc"}[kind])
    with pytest.raises(InvalidInput, match="odd"):
        make_manifest(folder, take)
    with pytest.raises(InvalidInput, match="odd"):
        store.add_folder(folder)


def test_a_file_is_no_folder(store: Store, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(InvalidInput, match="Not a directory"):
        store.add_folder(tmp_path / "f")


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
