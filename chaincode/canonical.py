"""The one JSON encoding: RFC 8785, restricted so that the standard library gives the same bytes.

Allowed are null, booleans, strings, integers within +-(2^53 - 1), lists, and objects whose keys are
ASCII. A key that starts with ``$`` stands only in the two tagged values ``{"$float": "0.1"}`` and
``{"$int": "9007199254740993"}``, which carry what JSON numbers cannot. See docs/formats/canonical.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, Final

MAX_INTEGER: Final = 2**53 - 1
MAX_DEPTH: Final = 32

_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), check_circular=False
)
_TOO_BIG: Final = 'an integer beyond 2^53 - 1; carry it as {"$int": "..."}'


def _refuse_number(text: str) -> Any:
    raise NotCanonical("a number that is not an integer")


def _integer(text: str) -> int:
    value = int(text)
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise NotCanonical(_TOO_BIG)
    return value


_DECODER: Final = json.JSONDecoder(
    parse_int=_integer, parse_float=_refuse_number, parse_constant=_refuse_number
)
_TAGS: Final = {
    "$float": re.compile(r"NaN|-?Infinity|-?(0|[1-9][0-9]*)(\.[0-9]+)?(e[+-]?[0-9]+)?"),
    "$int": re.compile(r"-?[1-9][0-9]*"),
}
#: No value holds a lone surrogate, so this stands between two values of `encode_each` and nowhere else.
_SEAM: Final = "\ud800"
#: ASCII that stands in JSON as it is.
_PLAIN_TEXT: Final = re.compile(r"[ !#-\[\]-~]*")


class NotCanonical(ValueError):
    """The value has no canonical form, or the bytes are not one. Names the place, never the value."""


class CanonicalBytes(bytes):
    """What `encode` made in this process: canonical by construction, so that `decode` need not ask again."""

    __slots__ = ()


def encode(value: Any) -> CanonicalBytes:
    """The canonical bytes of ``value``. Raises `NotCanonical`, naming the place that has none."""
    check(value)
    try:
        return CanonicalBytes(_ENCODER.encode(value).encode())
    except UnicodeEncodeError:
        raise NotCanonical("a string holds a lone surrogate") from None


def encode_each(values: Sequence[Any]) -> list[bytes]:
    """`encode` of each of ``values``, in one go."""
    _check_all(values)
    return encode_each_decoded(values)


def encode_text(text: str) -> bytes:
    """`encode` of a string, at once where it stands in JSON as it is."""
    return b'"%b"' % text.encode() if _PLAIN_TEXT.fullmatch(text) else encode(text)


def encode_decoded(value: Any) -> bytes:
    """The canonical bytes of what `decode` gave, or of a part of it: it is in the model already."""
    return _ENCODER.encode(value).encode()


def encode_each_decoded(values: Sequence[Any]) -> list[bytes]:
    """`encode_decoded` of each of ``values``, in one go."""
    if not values:
        return []
    joined: list[Any] = [_SEAM] * (2 * len(values) - 1)
    joined[::2] = values
    texts = _ENCODER.encode(joined)[1:-1].split(f',"{_SEAM}",')
    try:
        encoded = [text.encode() for text in texts]
    except UnicodeEncodeError:
        raise NotCanonical("a string holds a lone surrogate") from None
    if len(encoded) != len(values):
        raise NotCanonical("a string holds a lone surrogate")
    return encoded


def decode(data: bytes) -> Any:
    """The value of canonical bytes. Raises `NotCanonical` for any others, duplicate keys included."""
    try:
        value = _DECODER.decode(data.decode())
        if type(data) is CanonicalBytes:
            return value
        if not _is_plain(value, data):
            check(value)
        again = _ENCODER.encode(value).encode()
    except NotCanonical:
        raise
    except (ValueError, RecursionError):
        raise NotCanonical("not JSON") from None
    if again != data:
        raise NotCanonical("JSON, but not in canonical form")
    return value


def digest(data: bytes) -> str:
    """SHA-256 of ``data`` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def check(value: Any) -> None:
    """Raise `NotCanonical` where ``value`` leaves the restricted data model."""
    _check_all([value])


def _check_all(values: Sequence[Any]) -> None:
    try:
        _check(values, 0)
    except _Misfit as misfit:
        raise NotCanonical("".join(["value", *reversed(misfit.path[:-1])]) + ": " + misfit.reason) from None


class _Misfit(Exception):
    """A value outside the model; ``path`` grows from the inside out, so that the hot path builds none."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.path: list[str] = []


def _check(container: Any, depth: int) -> None:
    place: Any = None
    named = type(container) is dict
    try:
        if depth > MAX_DEPTH:
            raise _Misfit(f"nested deeper than {MAX_DEPTH}")
        for place, value in container.items() if named else enumerate(container):
            if named:
                if type(place) is not str or not place.isascii():
                    place = None
                    raise _Misfit("a key that is not an ASCII string")
                if place[:1] == "$":
                    _check_tag(container)
            kind = type(value)
            if kind is str or kind is bool or value is None:
                continue
            if kind is int:
                if not -MAX_INTEGER <= value <= MAX_INTEGER:
                    raise _Misfit(_TOO_BIG)
            elif kind is dict or kind is list or kind is tuple:
                _check(value, depth + 1)
            else:
                raise _Misfit(f"{kind.__name__} has no canonical form")
    except _Misfit as misfit:
        if place is not None:
            misfit.path.append(f".{place}" if named else f"[{place}]")
        raise


def _check_tag(value: dict[str, Any]) -> None:
    (key, *more), (text, *_) = list(value), list(value.values())
    if more or key not in _TAGS or type(text) is not str or not _TAGS[key].fullmatch(text):
        raise _Misfit("a key that starts with $ but is no tagged value")
    if key == "$int" and len(text) < 18 and -MAX_INTEGER <= int(text) <= MAX_INTEGER:
        raise _Misfit("a tagged integer that is small enough to stand as it is")


def _is_plain(value: Any, data: bytes) -> bool:
    """Whether what was parsed of ``data`` needs no `check`: its types and integers are right already, so
    that only a foreign key, a tag or its depth could take it out of the model."""
    brackets = data.count(b"[") + data.count(b"{")
    return data.isascii() and b'"$' not in data and (brackets <= MAX_DEPTH or not _is_deep(value))


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if type(outer) is dict or type(outer) is list
            for inner in (outer.values() if type(outer) is dict else outer)
        ]
        if not level:
            return False
    return True
