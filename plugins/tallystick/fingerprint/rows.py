"""A row as bytes and back, and its leaf, on the standard library alone.

docs/formats/fingerprint.md, "Cells", "Rows" and "Leaves", is normative. The fast path in lanes.py gives the
same leaves; a proof of a row is checked with what is here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tallystick.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TAGS: Final = {
    "null": 0x00,
    "int": ord("i"),
    "float": ord("f"),
    "bool": ord("b"),
    "date": ord("d"),
    "timestamp": ord("t"),
    "nanoseconds": ord("n"),
    "string": ord("s"),
    "decimal": ord("m"),
}

Value = int | float | bool | str | None
"""A decoded cell; dates and timestamps as ISO 8601 text, decimals as their text."""

_NAMES: Final = {tag: name for name, tag in TAGS.items()}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NULL: Final = b"\x00"


@dataclass(frozen=True)
class FixedCells:
    """A column of n rows whose payloads have eight bytes: ``values``, n x int64. A tag of 0 is null."""

    tags: npt.NDArray[np.uint8]
    values: npt.NDArray[np.int64]


@dataclass(frozen=True)
class TextCells:
    """A column of n rows whose payloads are texts: row i's is ``data[offsets[i]:offsets[i + 1]]`` (uint8)."""

    tags: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    data: npt.NDArray[np.uint8]


Cells = FixedCells | TextCells


def encode_cells(cells: Cells) -> list[bytes]:
    """Each row's cell of a column: the tag and, unless it is null, the payload."""
    if isinstance(cells, FixedCells):
        return _encode_fixed(cells)
    return _encode_text(cells)


def encode_rows(columns: Sequence[Cells]) -> list[bytes]:
    """Each row: its cells, in the order of the columns."""
    return [b"".join(row) for row in zip(*map(encode_cells, columns), strict=True)]


def row_leaf(row: bytes, salt: bytes, subject: bytes | None = None) -> bytes:
    """The row's leaf of 32 bytes; ``subject`` is its id where the policy names one."""
    if subject is None:
        return sha256(b"\x00" + salt + row).digest()
    return sha256(b"\x00" + subject + sha256(salt + row).digest()).digest()


def decode_row(row: bytes, columns: Sequence[tuple[str, str]]) -> dict[str, Value]:
    """The values by column. Raises `InvalidInput` for bytes that no row of this schema encodes to."""
    values: dict[str, Value] = {}
    position = 0
    for name, kind in columns:
        if position >= len(row):
            raise InvalidInput("the row has fewer cells than its schema has columns")
        tag = _NAMES.get(row[position], "unknown")
        position += 1
        if tag == "null":
            values[name] = None
            continue
        if tag != kind and (tag, kind) != ("nanoseconds", "timestamp"):
            raise InvalidInput(f"the cell of column {name} is no {kind}")
        length = 8
        if tag in ("string", "decimal"):
            length = int.from_bytes(row[position : position + 4], "big")
            position += 4
        payload = row[position : position + length]
        position += length
        if position > len(row):
            raise InvalidInput(f"the cell of column {name} is cut short")
        values[name] = _value(tag, payload)
    if position != len(row):
        raise InvalidInput("the row goes on after its last column")
    return values


def _encode_fixed(cells: FixedCells) -> list[bytes]:
    packed = cells.values.astype(">i8").tobytes()
    return [
        bytes((tag,)) + packed[8 * row : 8 * row + 8] if tag else _NULL
        for row, tag in enumerate(cells.tags.tolist())
    ]


def _encode_text(cells: TextCells) -> list[bytes]:
    ends = cells.offsets.tolist()
    base = ends[0]
    text = cells.data[base : ends[-1]].tobytes()
    return [
        struct.pack(">BI", tag, end - start) + text[start - base : end - base] if tag else _NULL
        for tag, start, end in zip(cells.tags.tolist(), ends, ends[1:], strict=False)
    ]


def _value(tag: str, payload: bytes) -> Value:
    if tag in ("string", "decimal"):
        try:
            return payload.decode()
        except UnicodeDecodeError:
            raise InvalidInput("a text of the row is not UTF-8") from None
    if tag == "float":
        return float(struct.unpack(">d", payload)[0])
    number = int.from_bytes(payload, "big", signed=True)
    if tag == "bool":
        return number != 0
    if tag == "int":
        return number
    try:
        if tag == "date":
            return (date(1970, 1, 1) + timedelta(days=number)).isoformat()
        if tag == "timestamp":
            return (_EPOCH + timedelta(microseconds=number)).isoformat().replace("+00:00", "Z")
        seconds, rest = divmod(number, 10**9)
        return (_EPOCH + timedelta(seconds=seconds)).isoformat().replace("+00:00", f".{rest:09}Z")
    except OverflowError:  # beyond the year 9999
        return f"1970-01-01 + {number} {'days' if tag == 'date' else 'microseconds'}"
