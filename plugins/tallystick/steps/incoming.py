"""Folders below HOME/incoming for files that the store copies; what killed tasks left there is removed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tallystick.files import private_directory

_STALE_SECONDS: Final = 3600


@contextmanager
def incoming_folder(home: Path) -> Iterator[Path]:
    """A new folder below ``home``/incoming, removed at the end.

    Folders in which nothing was written for an hour are removed first: they hold data in the clear that
    nobody will come back for. Raises `CouldNotCheck` where the home cannot be written.
    """
    incoming = private_directory(home / "incoming")
    for left in incoming.iterdir():
        if time.time() - _last_written(left) > _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)  # another ingest may be removing it too
    with TemporaryDirectory(dir=incoming) as folder:
        yield Path(folder)


def _last_written(folder: Path) -> float:
    """Seconds since the epoch; now, for what is going away at this moment."""
    try:
        return max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
    except FileNotFoundError:
        return time.time()
