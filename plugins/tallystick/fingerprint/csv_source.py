"""Reads a CSV strictly, under declared types, as a stream of Arrow record batches.

RFC 4180 in UTF-8 with a header. An unquoted empty field is null, a quoted one an empty text. What is wrong
is named by line or column, never by value. docs/formats/fingerprint.md, "CSV", is normative.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv

from tallystick.errors import InvalidInput
from tallystick.fingerprint.columns import Schema, check_names

MAX_LINE: Final = 8 << 20
"""Longest row in bytes, line breaks within quotes included."""

_TYPES: Final = {
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.string(),  # read by columns.py, which takes both UTC offsets and none
    "decimal": pa.string(),  # of any precision
}
_BAD_COLUMN: Final = re.compile(r"In CSV column #(\d+)")
_TYPICAL_ROW: Final = 64  # bytes


def open_csv(path: Path, schema: Schema) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The columns as Arrow types, and the batches. Raises `InvalidInput`, here or while they are read."""
    wrong: list[Any] = []

    def remember(row: Any) -> str:
        wrong.append(row)
        return "error"

    names = _header(path)
    check_names(names, schema)
    try:
        reader = pyarrow.csv.open_csv(
            path,
            # One thread, because only then does Arrow count the rows that a message is to name.
            read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=MAX_LINE),
            parse_options=pyarrow.csv.ParseOptions(
                newlines_in_values=True,
                ignore_empty_lines=len(names) > 1,  # in one column, an empty line is a null
                invalid_row_handler=remember,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={name: _TYPES[schema[name]] for name in names},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["true", "True", "TRUE"],
                false_values=["false", "False", "FALSE"],
            ),
        )
    except pa.ArrowInvalid as error:
        raise _explained(path, names, schema, error, wrong, 0) from None
    return reader.schema, _batches(path, names, schema, reader, wrong)


def csv_rows_guess(path: Path) -> int:
    """About how many rows a file of this size has."""
    return path.stat().st_size // _TYPICAL_ROW


def _header(path: Path) -> list[str]:
    with path.open("rb") as file:
        raw = file.readline(MAX_LINE + 1)
    if len(raw) > MAX_LINE:
        raise _too_long(path, 1)
    try:
        line = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(f"{path}: the header is not UTF-8", hint="Save the file as UTF-8.") from None
    try:
        names = next(csv.reader([line], strict=True), [])
    except csv.Error:
        raise InvalidInput(
            f"{path}: the header cannot be read", hint="Put the columns' names on one line."
        ) from None
    if not raw.endswith(b"\n"):
        raise InvalidInput(f"{path} has no rows", hint="Check how the file was made.")
    return names


def _batches(
    path: Path, names: list[str], schema: Schema, reader: Any, wrong: list[Any]
) -> Iterator[pa.RecordBatch]:
    rows, last = 0, None
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            break
        except pa.ArrowInvalid as error:
            raise _explained(path, names, schema, error, wrong, rows) from None
        if batch.num_rows:
            rows, last = rows + batch.num_rows, batch
            yield batch
    if last is not None:
        _check_closed(path, last)


def _check_closed(path: Path, last: pa.RecordBatch) -> None:
    """Refuse a file that ends within quotes, which Arrow takes for a value up to the end."""
    column = last.column(last.num_columns - 1)
    value = column[-1].as_py()
    if not pa.types.is_string(column.type) or value is None:
        return
    tail = b'"' + value.encode().replace(b'"', b'""')
    with path.open("rb") as file:
        file.seek(-min(len(tail), path.stat().st_size), 2)
        if file.read() == tail:
            raise InvalidInput(
                f"{path} ends within quotes", hint="The file is cut short, or a quote is not closed."
            )


def _explained(
    path: Path, names: list[str], schema: Schema, error: Exception, wrong: list[Any], rows: int
) -> InvalidInput:
    message = str(error)
    if wrong:
        row = wrong[0]
        return InvalidInput(
            f"{path}: line {_line_of(path, row.number)} has {row.actual_columns} fields where the header has "
            f"{row.expected_columns}",
            hint="The file is cut short there, or a value with a comma or a quote is not quoted.",
        )
    if "straddling" in message or "block boundaries" in message:
        return _too_long(path, rows + 2)
    bad = _BAD_COLUMN.match(message)
    if bad:
        name = names[int(bad[1])]
        return InvalidInput(
            f"{path}: column {name} holds a value that is no {schema[name]}, in row {rows + 1} or later",
            hint="Correct the value, or declare another type.",
        )
    return InvalidInput(f"{path} cannot be read as a CSV")


def _line_of(path: Path, row: int) -> int:
    """The line on which ``row`` ends: the header is row 1, and rows may span lines or be blank."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file)
        try:
            for _ in range(row):
                while not next(reader):
                    continue
        except (csv.Error, StopIteration):
            return row
        return reader.line_num


def _too_long(path: Path, line: int) -> InvalidInput:
    return InvalidInput(
        f"{path}: a row at or after line {line} is longer than {MAX_LINE >> 20} MiB",
        hint="A quote may be missing its partner, or this is no CSV.",
    )
