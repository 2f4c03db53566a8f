"""A deadline for a test: what hangs fails, and says where."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail what takes longer; for the main thread alone, as pytest runs tests."""

    def late(_number: int, _frame: FrameType | None) -> NoReturn:
        raise AssertionError(f"this took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
