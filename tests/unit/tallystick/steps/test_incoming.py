"""Folders for files on their way in: what was left behind goes, what is being written stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tallystick.steps.incoming import incoming_folder


def _left(home: Path, name: str, folder_age: int, file_age: int) -> Path:
    folder = home / "incoming" / name
    folder.mkdir(parents=True)
    (folder / "data.csv").write_text("age\n40\n")
    for path, age in ((folder / "data.csv", file_age), (folder, folder_age)):
        os.utime(path, (time.time() - age, time.time() - age))
    return folder


def test_the_folder_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with incoming_folder(tmp_path) as folder:
        assert folder.parent == tmp_path / "incoming"
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "data.csv").write_text("age\n")
    assert not folder.exists()


def test_what_a_killed_task_left_is_removed_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    left = _left(tmp_path, "left", 4000, 4000)
    fresh = _left(tmp_path, "fresh", 10, 10)
    written = _left(tmp_path, "written", 4000, 10)  # an old folder whose file still grows
    with incoming_folder(tmp_path):
        assert not left.exists()
        assert fresh.exists()
        assert written.exists()
