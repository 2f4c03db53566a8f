"""The one JSON encoding: RFC 8785, restricted so that the standard library gives the same bytes.

Allowed are null, booleans, strings, integers within +-(2^53 - 1), lists, and objects whose keys are
ASCII. A key that starts with ``$`` stands only in the two tagged values ``{"$float": "0.1"}`` and
``{"$int": "9007199254740993"}``, which carry what JSON numbers cannot. See docs/formats/canonical.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Final

MAX_INTEGER: Final = 2**53 - 1
MAX_DEPTH: Final = 32

_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), check_circular=False
)
_TAGS: Final = {
    "$float": re.compile(r"NaN|-?Infinity|-?(0|[1-9][0-9]*)(\.[0-9]+)?(e[+-]?[0-9]+)?"),
    "$int": re.compile(r"-?[1-9][0-9]*"),
}


class NotCanonical(ValueError):
    """The value has no canonical form, or the bytes are not one. Names the place, never the value."""


def encode(value: Any) -> bytes:
    """The canonical bytes of ``value``. Raises `NotCanonical`, naming the path that has none."""
    check(value)
    try:
        return _ENCODER.encode(value).encode()
    except UnicodeEncodeError:
        raise NotCanonical("a string holds a lone surrogate") from None


def decode(data: bytes) -> Any:
    """The value of canonical bytes. Raises `NotCanonical` for any others, duplicate keys included."""
    try:
        value = json.loads(data)
        again = encode(value)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, NotCanonical) else "not JSON"
        raise NotCanonical(reason) from None
    if again != data:
        raise NotCanonical("JSON, but not in canonical form")
    return value


def digest(data: bytes) -> str:
    """SHA-256 of ``data`` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def check(value: Any, path: str = "value", depth: int = 0) -> None:
    """Raise `NotCanonical` where ``value`` leaves the restricted data model."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise NotCanonical(f'{path}: an integer beyond 2^53 - 1; carry it as {{"$int": "..."}}')
        return
    if depth == MAX_DEPTH:
        raise NotCanonical(f"{path}: nested deeper than {MAX_DEPTH}")
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                raise NotCanonical(f"{path}: a key that is not an ASCII string")
            if key[:1] == "$":
                _check_tag(value, path)
            check(item, f"{path}.{key}", depth + 1)
        return
    if kind is list or kind is tuple:
        for index, item in enumerate(value):
            check(item, f"{path}[{index}]", depth + 1)
        return
    raise NotCanonical(f"{path}: {kind.__name__} has no canonical form")


def _check_tag(value: dict[str, Any], path: str) -> None:
    (key, *more), (text, *_) = list(value), list(value.values())
    if more or key not in _TAGS or type(text) is not str or not _TAGS[key].fullmatch(text):
        raise NotCanonical(f"{path}: a key that starts with $ but is no tagged value")
