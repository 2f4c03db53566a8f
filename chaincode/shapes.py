"""Strict shapes of requests: what is not named is refused, and a refusal names the field only."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from chaincode.canonical import MAX_INTEGER
from chaincode.errors import Refusal

Shape = Callable[[Any, str], None]

_ABSENT: Final = object()


def malformed(field: str, reason: str) -> Refusal:
    """The refusal of a request whose ``field`` (its path from ``request`` on) breaks its shape."""
    return Refusal("MALFORMED", field=field, reason=reason)


def text(pattern: str) -> Shape:
    """A string that matches the whole ``pattern``."""
    compiled = re.compile(pattern)

    def check(value: Any, field: str) -> None:
        if type(value) is not str or not compiled.fullmatch(value):
            raise malformed(field, "not of the form this field has")

    return check


def prose(limit: int) -> Shape:
    """Free text of 1 to ``limit`` characters, for people."""

    def check(value: Any, field: str) -> None:
        if type(value) is not str or not 0 < len(value) <= limit:
            raise malformed(field, f"not text of 1 to {limit} characters")

    return check


def integer(low: int = 0, high: int = MAX_INTEGER) -> Shape:
    """An integer from ``low`` to ``high``, both included."""

    def check(value: Any, field: str) -> None:
        if type(value) is not int or not low <= value <= high:
            raise malformed(field, f"not an integer from {low} to {high}")

    return check


def boolean(value: Any, field: str) -> None:
    """True or false."""
    if type(value) is not bool:
        raise malformed(field, "neither true nor false")


def one_of(*choices: str) -> Shape:
    """One of the named strings."""

    def check(value: Any, field: str) -> None:
        if type(value) is not str or value not in choices:
            raise malformed(field, "not one of " + ", ".join(choices))

    return check


def nullable(shape: Shape) -> Shape:
    """The shape, or null."""

    def check(value: Any, field: str) -> None:
        if value is not None:
            shape(value, field)

    return check


def optional(shape: Shape) -> Shape:
    """A field of an object that may be left out."""

    def check(value: Any, field: str) -> None:
        if value is not _ABSENT:
            shape(value, field)

    check.optional = True  # type: ignore[attr-defined]
    return check


def items(shape: Shape, low: int = 0, high: int = 1000) -> Shape:
    """A list of ``low`` to ``high`` values of one shape."""

    def check(value: Any, field: str) -> None:
        if type(value) is not list or not low <= len(value) <= high:
            raise malformed(field, f"not a list of {low} to {high} items")
        for index, item in enumerate(value):
            shape(item, f"{field}[{index}]")

    return check


def mapping(keys: str, shape: Shape, low: int = 0, high: int = 200) -> Shape:
    """An object of ``low`` to ``high`` entries whose keys match the pattern ``keys``."""
    compiled = re.compile(keys)

    def check(value: Any, field: str) -> None:
        if type(value) is not dict or not low <= len(value) <= high:
            raise malformed(field, f"not an object of {low} to {high} entries")
        for key, item in value.items():
            if not compiled.fullmatch(key):
                raise malformed(field, "a key that is not of the form this field has")
            shape(item, f"{field}.{key}")

    return check


def fields(shapes: Mapping[str, Shape]) -> Shape:
    """An object with exactly these fields, but for the `optional` ones."""
    required = tuple(name for name, shape in shapes.items() if not hasattr(shape, "optional"))

    def check(value: Any, field: str) -> None:
        if type(value) is not dict:
            raise malformed(field, "not an object")
        for name in value:
            if name not in shapes:
                raise malformed(field, "a field that is not known")
        for name in required:
            if name not in value:
                raise malformed(f"{field}.{name}", "missing")
        for name, item in value.items():
            shapes[name](item, f"{field}.{name}")

    return check


NAME: Final = r"[a-z0-9][a-z0-9._-]{0,62}"
IDENTIFIER: Final = r"[A-Za-z0-9][A-Za-z0-9._:+~-]{0,127}"

name: Final = text(NAME)
identifier: Final = text(IDENTIFIER)
sha256: Final = text(r"[0-9a-f]{64}")
#: A digest set by algorithm, so that a second algorithm needs no new format. ``hmac-sha256`` is a
#: digest of what derives from rows, sealed under the table's key (ledger.md).
digests: Final = mapping(r"sha256|hmac-sha256", sha256, low=1, high=2)


def reference(record_id: str) -> Shape:
    """A reference to a record whose whole id matches the pattern ``record_id``, so of the right kind."""
    return fields({"id": text(record_id), "digest": digests})
