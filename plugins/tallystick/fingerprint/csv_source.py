"""The one reader of CSVs: strict about the form, a stream of Arrow record batches under declared types.

RFC 4180 in UTF-8 with a header. What is wrong is named by line or column, never by value.
docs/formats/fingerprint.md, "CSV", is normative; a dataset policy says the `Dialect` and reads leniently.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv

from tallystick.errors import InvalidInput
from tallystick.fingerprint import data_file
from tallystick.fingerprint.columns import FALSE, TRUE, Schema, check_names

_TYPES: Final = {
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.string(),  # read by columns.py, which takes both UTC offsets and none
    "decimal": pa.string(),  # of any precision
}
_BAD_ROW: Final = re.compile(r"CSV parse error: Row #(\d+): Expected (\d+) columns, got (\d+)")
_BAD_COLUMN: Final = re.compile(r"In CSV column #(\d+)")
_TYPICAL_ROW: Final = 64  # bytes
_NO_TEXT: Final = 1024  # bytes that hold the longest number or date, or what spells a null


@dataclass(frozen=True)
class Dialect:
    """What a CSV says otherwise: its delimiter, and which fields are null (quoted ones too, or not)."""

    delimiter: str = ","
    null: tuple[str, ...] = ("",)
    quoted_null: bool = False


PLAIN: Final = Dialect()


@dataclass(frozen=True)
class _Csv:
    path: Path
    names: list[str]
    schema: Schema
    dialect: Dialect


def open_csv(
    path: Path, schema: Schema, dialect: Dialect = PLAIN, *, lenient: bool = False
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The columns as Arrow types, and the batches, in the file's order of columns.

    Where ``lenient``, all columns are text from the batch on in which a value is not of its type. Raises
    `InvalidInput`, here or while the batches are read.
    """
    names = data_file.csv_names(path, dialect.delimiter)
    check_names(names, schema)
    found = pa.schema([(name, _TYPES[schema[name]]) for name in names])
    return found, _batches(_Csv(path, names, schema, dialect), lenient)


def csv_rows_guess(path: Path) -> int:
    """About how many rows a file of this size has."""
    return path.stat().st_size // _TYPICAL_ROW


def _batches(file: _Csv, lenient: bool) -> Iterator[pa.RecordBatch]:
    rows, last = 0, None
    as_text = False
    while True:
        types = {name: pa.string() if as_text else _TYPES[file.schema[name]] for name in file.names}
        try:
            for batch in _rest(_reader(file, types), rows):
                rows, last = rows + batch.num_rows, batch
                yield batch
        except pa.ArrowInvalid as error:
            if lenient and not as_text and "conversion error" in str(error):
                as_text = True  # and go on behind the rows that were given already
                continue
            raise _explained(file, error, rows) from None
        if last is not None:
            _check_closed(file, last)
        return


def _reader(file: _Csv, types: dict[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    # Opened here: given a name, Arrow would unpack what ends in ".gz".
    with pa.OSFile(str(file.path)) as source:
        yield from pyarrow.csv.open_csv(
            source,
            # One thread, because only then does Arrow count the rows that its message names. And nothing of
            # Python goes in, such as a handler of wrong rows: Arrow's own thread may be the one to give it
            # back, which aborts the process when Python is ending.
            read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=data_file.MAX_LINE),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=file.dialect.delimiter,
                newlines_in_values=True,
                ignore_empty_lines=len(file.names) > 1,  # in one column, an empty line is a null
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types,
                null_values=list(file.dialect.null),
                strings_can_be_null=True,
                quoted_strings_can_be_null=file.dialect.quoted_null,
                true_values=TRUE,
                false_values=FALSE,
            ),
        )


def _rest(batches: Iterator[pa.RecordBatch], skipped: int) -> Iterator[pa.RecordBatch]:
    """The batches without their first ``skipped`` rows, and without empty ones."""
    for batch in batches:
        rest = batch.slice(min(skipped, batch.num_rows))
        skipped -= batch.num_rows - rest.num_rows
        if rest.num_rows:
            yield rest


def _check_closed(file: _Csv, last: pa.RecordBatch) -> None:
    """Refuse a file that ends within quotes, which Arrow takes for a value up to the end."""
    column = last.column(last.num_columns - 1)
    value = column[-1].as_py() if pa.types.is_string(column.type) else None
    with file.path.open("rb") as raw:
        # What is no text has neither delimiter nor quote in it, and is short.
        longest = _NO_TEXT if value is None else len(value.encode()) * 2 + 1
        raw.seek(-min(longest, file.path.stat().st_size), 2)
        tail = raw.read()
    if value is None:
        field = re.split(rb"[\r\n" + re.escape(file.dialect.delimiter.encode()) + rb"]", tail)[-1]
        opened = field.startswith(b'"') and (len(field) == 1 or not field.endswith(b'"'))
    else:
        opened = tail.endswith(b'"' + value.encode().replace(b'"', b'""'))
    if opened:
        raise InvalidInput(
            f"{file.path} ends within quotes", hint="The file is cut short, or a quote is not closed."
        )


def _explained(file: _Csv, error: Exception, rows: int) -> InvalidInput:
    message, path = str(error), file.path
    if wrong := _BAD_ROW.match(message):
        row, expected, found = map(int, wrong.groups())
        return InvalidInput(
            f"{path}:{_line_of(file, row)}  {found} fields where the header has {expected}",
            hint="The file is cut short there, or a value with a delimiter or a quote is not quoted.",
        )
    if "straddling" in message or "block boundaries" in message:
        return data_file.line_too_long(path, rows + 2)
    bad = _BAD_COLUMN.match(message)
    if bad:
        name = file.names[int(bad[1])]
        if "UTF8" in message:
            return InvalidInput(
                f"{path}: column {name} holds text that is not UTF-8, in row {rows + 1:,} or later",
                hint="Save the file as UTF-8.",
            )
        return InvalidInput(
            f"{path}: column {name} holds a value that is no {file.schema[name]}, in row {rows + 1:,} or "
            "later",
            hint="Correct the value, or declare another type.",
        )
    return InvalidInput(f"{path} cannot be read as a CSV", hint="Is the file cut off?")


def _line_of(file: _Csv, row: int) -> int:
    """The line on which ``row`` ends: the header is row 1, and rows may span lines or be blank."""
    with file.path.open(encoding="utf-8-sig", errors="replace", newline="") as raw:
        reader = csv.reader(raw, delimiter=file.dialect.delimiter)
        try:
            for _ in range(row):
                while not next(reader):
                    continue
        except (csv.Error, StopIteration):
            return row
        return reader.line_num
