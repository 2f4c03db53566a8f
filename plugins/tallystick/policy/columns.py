"""Holds a data file's columns against a policy's, before anything else reads the file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

from tallystick.errors import InvalidInput, PolicyError
from tallystick.policy.checks import nearest
from tallystick.policy.models import DatasetPolicy

MAX_LINE: Final = 1 << 20
PARQUET: Final = b"PAR1"
_PACKED: Final = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip (or a spreadsheet)", b"BZh": "bzip2"}


def check_columns(policy: DatasetPolicy, data: Path) -> None:
    """Compare the columns of the CSV or Parquet file ``data`` with the policy's.

    Raises `PolicyError` at the line of the first column that differs, with the others in its hint, and
    `InvalidInput` for a file that is empty, packed, not UTF-8, or has no usable first line.
    """
    present = column_names(data, policy.format.delimiter)
    declared = [column.name for column in policy.columns]
    missing = [name for name in declared if name not in present]
    if len(missing) * 2 > len(declared):
        # Without a header the "names" would be the first row's values, which no message may show.
        raise InvalidInput(
            f"{data}: {len(missing)} of the policy's {len(declared)} columns are not in the first line",
            hint="Has the file a header line, and is it the file that the policy is for?",
        )
    extra = [name for name in present if name not in declared]
    found = [
        (
            policy.line("columns", index, "name"),
            f'column "{name}" is not in the file{nearest(name, extra or present)}',
        )
        for index, name in enumerate(declared)
        if name in missing
    ]
    if len(extra) > len(missing):
        text = 'the file has columns that the policy does not declare: "{}"; class: excluded keeps one out'
        found.append((policy.line("columns"), text.format('", "'.join(extra[:5]))))
    if found:
        (line, text), *others = sorted(found)
        hint = "\n".join(f"{policy.file}:{at}  {more}" for at, more in others[:20])
        raise PolicyError(policy.file, line, text, hint=hint)


def is_parquet(data: Path) -> bool:
    """Whether the file says that it is Parquet (a stored object has no suffix to go by)."""
    with data.open("rb") as file:
        return file.read(4) == PARQUET


def column_names(data: Path, delimiter: str) -> list[str]:
    """The names in a CSV's first line or a Parquet file's schema. Raises `InvalidInput`."""
    try:
        with data.open("rb") as file:
            head = file.read(MAX_LINE)
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise InvalidInput(f"{data}: {reason}", hint="Give the path of a CSV or Parquet file.") from None
    if not head.strip():
        raise InvalidInput(f"{data}: the file is empty", hint="A CSV needs a header line and rows.")
    if head.startswith(PARQUET):
        return _parquet_names(data)
    for magic, kind in _PACKED.items():
        if head.startswith(magic):
            raise InvalidInput(f"{data}: packed with {kind}", hint="Unpack it first.")
    names = _first_line(data, head, delimiter)
    if len(set(names)) < len(names) or not all(names):
        raise InvalidInput(f"{data}:1  a column name is empty or stands twice", hint="Rename it.")
    return names


def _first_line(data: Path, head: bytes, delimiter: str) -> list[str]:
    end = head.find(b"\n")
    if end < 0 and len(head) == MAX_LINE:
        raise InvalidInput(f"{data}:1  a line of more than 1 MiB", hint="Is this a CSV file?")
    if b"\0" in head[:4096]:
        raise InvalidInput(f"{data}: binary data", hint="Give a CSV or Parquet file.")
    try:
        text = head[: end + 1 or len(head)].decode("utf-8-sig")
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        raise InvalidInput(f"{data}:1  the header is no UTF-8 CSV line", hint="Save it as UTF-8.") from None


def _parquet_names(data: Path) -> list[str]:
    import pyarrow
    import pyarrow.parquet

    try:
        return list(pyarrow.parquet.read_schema(data).names)
    except (pyarrow.ArrowException, OSError):
        raise InvalidInput(f"{data}: a damaged Parquet file", hint="Fetch or write it again.") from None
