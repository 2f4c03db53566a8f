"""Whole files or none."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from tallystick.errors import CouldNotCheck
from tallystick.files import (
    alone,
    check_database,
    open_regular,
    private_directory,
    read_private,
    read_small,
    write_atomic,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_with_its_mode_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    write_atomic(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", 0o600)
    write_atomic(path, b"public", 0o644)
    assert (path.read_bytes(), mode(path)) == (b"public", 0o644)
    assert list(tmp_path.iterdir()) == [path]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:3]))
    write_atomic(tmp_path / "file", b"ten bytes!")
    assert (tmp_path / "file").read_bytes() == b"ten bytes!"


@pytest.mark.parametrize("call", ["write", "fsync", "fchmod"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(CouldNotCheck, match="No space") as caught:
        write_atomic(path, b"new bytes")
    assert str(path) in caught.value.message
    assert "Free some space" in caught.value.hint
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(CouldNotCheck, match="nowhere"):
        write_atomic(tmp_path / "nowhere" / "file", b"")


def test_directories_are_made_and_kept_private(tmp_path: Path) -> None:
    path = private_directory(tmp_path / "a" / "b")
    assert (mode(path), mode(path.parent)) == (0o700, 0o700)
    path.chmod(0o755)
    assert mode(private_directory(path)) == 0o700
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CouldNotCheck, match="file"):
        private_directory(tmp_path / "file")


@pytest.mark.parametrize("name", ["lock", "."])
def test_one_at_a_time_holds_a_file_or_a_directory(tmp_path: Path, name: str) -> None:
    path, came = tmp_path / name, threading.Event()

    def come() -> None:
        with alone(path):
            came.set()

    other = threading.Thread(target=come)
    with alone(path):
        other.start()
        assert not came.wait(0.1)
    assert came.wait(10)
    other.join()
    assert [each.name for each in tmp_path.iterdir()] == ([] if name == "." else ["lock"])


def test_what_cannot_be_locked_is_named(tmp_path: Path) -> None:
    with pytest.raises(CouldNotCheck, match="missing"), alone(tmp_path / "missing" / "lock"):
        pass


def test_a_key_is_read_only_where_nobody_else_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key.pem"
    write_atomic(path, b"secret")
    assert read_private(path) == b"secret"
    for open_to_others in (0o640, 0o604, 0o660, 0o620):
        path.chmod(open_to_others)
        with pytest.raises(CouldNotCheck, match="others") as caught:
            read_private(path)
        assert f"chmod 600 {path}" in caught.value.hint
    path.chmod(0o600)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(CouldNotCheck, match="another user") as caught:
        read_private(path)
    assert f"chown {os.geteuid()} {path}" in caught.value.hint
    monkeypatch.undo()
    path.unlink()
    with pytest.raises(FileNotFoundError):
        read_private(path)


def test_a_read_only_file_system_is_said_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(CouldNotCheck, match="Read-only file system"):
        write_atomic(tmp_path / "file", b"bytes")


def test_a_small_file_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    (tmp_path / "link").symlink_to(path)
    assert read_small(path, 5) == read_small(tmp_path / "link", 5) == b"12345"
    with pytest.raises(OSError, match="longer than the 4 bytes"):
        read_small(path, 4)
    with pytest.raises(FileNotFoundError):
        read_small(tmp_path / "none")


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for path in (pipe, tmp_path, Path(os.devnull)):
        for read in (read_small, open_regular):
            with pytest.raises(OSError, match="not a regular file"):
                read(path)
    with pytest.raises(CouldNotCheck, match="cannot be read: not a regular file"):
        read_private(pipe)


@pytest.mark.parametrize("end", ["", "-journal", "-wal", "-shm"])
def test_a_database_is_of_regular_files(tmp_path: Path, end: str) -> None:
    path, link = tmp_path / "some.db", tmp_path / "link.db"
    link.symlink_to(path)
    check_database(path)
    path.touch()
    check_database(path)
    path.unlink()
    os.mkfifo(f"{path}{end}")
    for name in (path, link):
        with pytest.raises(OSError, match="not a regular file"):
            check_database(name)
