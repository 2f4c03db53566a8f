"""How many bytes of a store's objects are read to be digested."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest


def count_digested(monkeypatch: pytest.MonkeyPatch, objects: Path) -> Counter[str]:
    """By the SHA-256 of each object below ``objects``, filled from now on as the store reads them."""
    read, counts = os.read, Counter[str]()

    def counting(descriptor: int, size: int) -> bytes:
        data = read(descriptor, size)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.parent.parent == objects.resolve():
            counts[path.parent.name + path.name] += len(data)
        return data

    monkeypatch.setattr(os, "read", counting)
    return counts
