"""Digests of files and manifests of folders."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from chaincode.canonical import decode
from tallystick.errors import InvalidInput
from tallystick.fingerprint.files import file_digest, folder_manifest


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "f").write_bytes(content)
    assert file_digest(tmp_path / "f") == hashlib.sha256(content).hexdigest()


def test_progress_ends_at_the_size(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(2_500_000))
    told: list[int] = []
    file_digest(tmp_path / "f", told.append)
    assert told == sorted(told)
    assert told[-1] == 2_500_000


def test_a_link_to_a_file_is_followed_where_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("f")
    assert file_digest(tmp_path / "link") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("name", ["missing", "folder", "pipe"])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match=name):
        file_digest(tmp_path / name)


def make_folder(root: Path) -> None:
    for path, content in {"b.txt": b"b", "a/z": b"", "a/é": b"e", "a.txt": b"a"}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def test_a_manifest_lists_files_in_the_order_of_their_paths(tmp_path: Path, vectors: Any) -> None:
    make_folder(tmp_path)
    manifest = folder_manifest(tmp_path)
    assert [entry.path for entry in manifest.entries] == ["a.txt", "a/z", "a/é", "b.txt"]
    assert decode(manifest.bytes)["files"][3] == {
        "path": "b.txt",
        "size": 1,
        "sha256": hashlib.sha256(b"b").hexdigest(),
    }
    assert manifest.digest == hashlib.sha256(manifest.bytes).hexdigest() == vectors["folder"]["digest"]
    assert manifest.bytes.decode() == vectors["folder"]["manifest"]


def test_one_byte_or_one_name_changes_the_manifest(tmp_path: Path) -> None:
    make_folder(tmp_path)
    before = folder_manifest(tmp_path).digest
    (tmp_path / "a/z").rename(tmp_path / "a/y")
    renamed = folder_manifest(tmp_path).digest
    (tmp_path / "a/y").rename(tmp_path / "a/z")
    assert folder_manifest(tmp_path).digest == before != renamed
    (tmp_path / "b.txt").write_bytes(b"c")
    assert folder_manifest(tmp_path).digest != before


def test_progress_of_a_folder_ends_at_the_sum(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / str(number)).write_bytes(bytes(1_500_000))
    told: list[int] = []
    folder_manifest(tmp_path, told.append)
    assert told == sorted(told)
    assert told[-1] == 7_500_000


@pytest.mark.parametrize("kind", ["link", "linked folder", "pipe", "escape"])
def test_a_folder_with_anything_but_files_is_refused(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "folder"
    make_folder(folder)
    if kind == "pipe":
        os.mkfifo(folder / "a/odd")
    else:
        (folder / "a/odd").symlink_to({"link": "z", "linked folder": "../a", "escape": "/etc"}[kind])
    with pytest.raises(InvalidInput, match="odd"):
        folder_manifest(folder)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(InvalidInput, match="not a folder"):
        folder_manifest(tmp_path / "f")


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        _ = folder_manifest(tmp_path).digest
