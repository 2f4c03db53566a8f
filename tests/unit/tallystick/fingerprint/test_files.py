"""Digests of files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tallystick.errors import InvalidInput
from tallystick.fingerprint.files import file_digest


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "f").write_bytes(content)
    assert file_digest(tmp_path / "f") == hashlib.sha256(content).hexdigest()


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
