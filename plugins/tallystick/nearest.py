"""What a person most likely meant by a word that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean "…"?`` for the known word that looks most like ``word``, or nothing."""
    close = closest(word, known)
    return f'; did you mean "{close}"?' if close else ""


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that looks most like ``word``, if any looks alike."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), None)
