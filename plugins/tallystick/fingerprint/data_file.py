"""What a data file is, told before anything parses it; on the standard library alone.

Only plain files are opened: a pipe would be waited for without end. docs/formats/fingerprint.md, "Sources",
is normative.
"""

from __future__ import annotations

import csv
import errno
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path
from typing import Final, Literal

from tallystick.errors import InvalidInput
from tallystick.files import open_regular

MAX_LINE: Final = 8 << 20
"""Longest row of a CSV in bytes, line breaks within quotes included."""

FileKind = Literal["parquet", "arrow", "arrow-stream", "csv"]

_KINDS: Final[tuple[tuple[bytes, FileKind], ...]] = (
    (b"PAR1", "parquet"),
    (b"ARROW1", "arrow"),
    (b"\xff\xff\xff\xff", "arrow-stream"),
)
_SUFFIXES: Final[dict[str, FileKind]] = {
    ".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow",
}  # fmt: skip
_PACKED: Final = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip (or a spreadsheet)", b"BZh": "bzip2"}


def open_plain(path: Path) -> BufferedReader:
    """The file opened for reading; the name is taken literally, links are followed.

    Raises `InvalidInput`, at once, for a directory, a pipe, a device, and what cannot be read.
    """
    try:
        return open_regular(path)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in (errno.ENXIO, errno.EINVAL):
            raise _not_plain(path) from None
        reason = getattr(error, "strerror", None) or "no such name"
        raise InvalidInput(f"{path}: {reason}", hint="Give the path of a CSV or Parquet file.") from None


def file_kind(path: Path) -> FileKind:
    """What the file is by its first bytes, else by its suffix (stored objects have none), else a CSV.

    Raises `InvalidInput` for a file that is empty or packed, and as `open_plain` does.
    """
    with open_plain(path) as file:
        head = file.read(512)
    if not head.strip():
        raise InvalidInput(f"{path}: the file is empty", hint="A CSV needs a header line and rows.")
    for magic, packer in _PACKED.items():
        if head.startswith(magic):
            raise InvalidInput(f"{path}: packed with {packer}", hint="Unpack it first.")
    for magic, kind in _KINDS:
        if head.startswith(magic):
            return kind
    return _SUFFIXES.get(path.suffix.lower(), "csv")


def csv_names(path: Path, delimiter: str = ",") -> list[str]:
    """The column names in a CSV's first line, without a byte order mark.

    Raises `InvalidInput` for a line that is too long or no CSV in UTF-8, and as `check_header` does.
    """
    with open_plain(path) as file:
        raw = file.readline(MAX_LINE + 1)
    if len(raw) > MAX_LINE:
        raise line_too_long(path, 1)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(f"{path}:1  the header is not UTF-8", hint="Save the file as UTF-8.") from None
    if "\0" in text:
        raise InvalidInput(f"{path}: binary data", hint="Give a CSV in UTF-8, or a Parquet file.")
    try:
        names = next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        raise InvalidInput(
            f"{path}:1  the header cannot be read",
            hint="Put the names on one line; a quote within a name is doubled.",
        ) from None
    if not text.endswith("\n"):
        raise InvalidInput(f"{path}: no rows below the header", hint="Is the file cut off?")
    check_header(path, names)
    return names


def check_header(path: Path, names: Sequence[str]) -> None:
    """Raise `InvalidInput` for a name that is missing, there twice, or has a line break or control character.

    Said by position: where a header is missing, the "names" are the values of a row.
    """
    seen: dict[str, int] = {}
    for position, name in enumerate(names, start=1):
        if not name:
            raise InvalidInput(f"{path}:1  column {position} has no name", hint="Give it one.")
        if any(ord(char) < 32 or ord(char) == 127 for char in name):
            raise InvalidInput(
                f"{path}:1  the name of column {position} has a line break or another control character",
                hint="Rename it.",
            )
        if name in seen:
            raise InvalidInput(
                f"{path}:1  columns {seen[name]} and {position} have the same name: it stands twice",
                hint="Rename one of them.",
            )
        seen[name] = position


def line_too_long(path: Path, line: int) -> InvalidInput:
    """What to raise for a row beyond `MAX_LINE` at or after ``line``."""
    return InvalidInput(
        f"{path}: a row at or after line {line:,} is longer than {MAX_LINE >> 20} MiB",
        hint="A quote may be missing its partner, or this is no CSV.",
    )


def _not_plain(path: Path) -> InvalidInput:
    return InvalidInput(
        f"{path} is not a plain file", hint="Give a CSV or Parquet file, no directory, pipe or device."
    )
