"""Peers that are measured and never shipped: an environment of their own under .cache/."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent
CACHE = _HERE.parent / ".cache"


def peer_python() -> Path:
    """The Python of an environment with what benchmarks/requirements.lock pins, made when it is missing."""
    lock = _HERE / "requirements.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    place = CACHE / f"peers-{digest}"
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--require-hashes", "-r", lock], check=True)
        (place / "complete").touch()
    return python
