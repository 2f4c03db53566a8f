"""Reads a data file as the policy declares it: one reader for every step.

A value that is not of its column's type becomes null and is counted (`unparsed`), so that a validation
can fail on it and say so. What breaks the table itself (a row of the wrong length, a missing column)
is `InvalidInput`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from tallystick.errors import InvalidInput
from tallystick.policy import Column, DatasetPolicy, check_columns
from tallystick.policy.columns import MAX_LINE, is_parquet

TYPES: Final[dict[str, pa.DataType]] = {
    "int": pa.int64(),
    "float": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}
_UNPARSED: Final = b"tallystick.unparsed"
_TRUE: Final = ["true", "True", "TRUE", "1"]
_FALSE: Final = ["false", "False", "FALSE", "0"]
_ZONE: Final = r"(Z|[-+]\d\d(:?\d\d)?)$"
# What could parse at all, so that the search for what cannot is left with few values.
_LIKELY: Final = {
    "int": r"^-?([0-9]+|0[xX][0-9A-Fa-f]+)$",
    "float": r"^[-+]?([0-9.]+([eE][-+]?[0-9]+)?|[iI][nN][fF]([iI][nN][iI][tT][yY])?|[nN][aA][nN])$",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "timestamp": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}",
}


def read_table(path: Path, policy: DatasetPolicy) -> pa.Table:
    """The CSV or Parquet file ``path`` as a table of the policy's columns, in the policy's order.

    Times are read as UTC where they name no zone. Raises `InvalidInput` (`PolicyError` where a column
    differs from the policy) for a file that is empty, damaged or has a row of the wrong length.
    """
    path = Path(path)
    check_columns(policy, path)
    try:
        table = _read_parquet(path, policy) if is_parquet(path) else _read_csv(path, policy)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or 'unreadable'}", hint="Fetch it again.") from None
    if table.num_rows == 0:
        raise InvalidInput(f"{path}: no rows below the header", hint="Is the file cut off?")
    return table


def unparsed(table: pa.Table) -> dict[str, int]:
    """How many values of each column were not of its type and stand as null in ``table``."""
    found: dict[str, int] = json.loads((table.schema.metadata or {}).get(_UNPARSED, b"{}"))
    return found


def check_keys(table: pa.Table, policy: DatasetPolicy, path: Path) -> None:
    """Raise `InvalidInput` if a column that tells rows apart (`DatasetPolicy.keys`) lacks a value."""
    for name in policy.keys:
        column = table[name]
        missing = pc.is_null(column, nan_is_null=True)
        if unparsed(table).get(name) or not pc.any(missing).as_py():
            continue
        row = pc.index(missing, True).as_py() + 1
        raise InvalidInput(
            f'{path}: column "{name}" tells rows apart, but has no value in data row {row:,}',
            hint="Leave such rows out, or choose another column in the policy.",
        )


def _read_csv(path: Path, policy: DatasetPolicy) -> pa.Table:
    # Quoted line breaks make pyarrow cut blocks slowly, so they are allowed for only where they can be.
    newlines = _holds_quote(path)
    try:
        # Times come with and without a zone, which pyarrow's reader does not take in one column.
        types = {c.name: TYPES["string" if c.type == "timestamp" else c.type] for c in policy.columns}
        table = _arrow_csv(path, policy, types, newlines)
    except pa.ArrowInvalid as error:
        if "conversion error" not in str(error):
            raise _structural(path, policy, error, newlines) from None
        strings = {column.name: pa.string() for column in policy.columns}
        try:
            table = _arrow_csv(path, policy, strings, newlines)
        except pa.ArrowInvalid as again:
            raise _structural(path, policy, again, newlines) from None
    return _converted(table, policy)


def _arrow_csv(
    path: Path, policy: DatasetPolicy, types: dict[str, pa.DataType], newlines: bool, **read: Any
) -> pa.Table:
    handler = read.pop("handler", None)
    return pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(block_size=MAX_LINE, **read),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=policy.format.delimiter,
            newlines_in_values=newlines,
            ignore_empty_lines=len(types) > 1,
            invalid_row_handler=handler,
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            null_values=policy.format.null,
            strings_can_be_null=True,
            true_values=_TRUE,
            false_values=_FALSE,
            timestamp_parsers=[pyarrow.csv.ISO8601],
        ),
    )


def _holds_quote(path: Path) -> bool:
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            if b'"' in chunk:
                return True
    return False


def _structural(path: Path, policy: DatasetPolicy, error: Exception, newlines: bool) -> InvalidInput:
    """What is wrong with the table itself; pyarrow's own text repeats the row, so it is not used."""
    text = str(error)
    if "straddling" in text:
        return InvalidInput(f"{path}: a line of more than 1 MiB", hint="Is a closing quote missing?")
    if "UTF8" in text or "UTF-8" in text:
        return InvalidInput(f"{path}: text that is not UTF-8", hint="Save the file as UTF-8.")
    bad: list[Any] = []

    def note(row: Any) -> str:
        bad.append(row)
        return "error"

    strings = {column.name: pa.string() for column in policy.columns}
    try:
        _arrow_csv(path, policy, strings, newlines, use_threads=False, handler=note)
    except pa.ArrowInvalid:
        if bad:
            row = bad[0]
            where = f"{path}:{row.number}" if row.number else f"{path}:"
            counts = f"{row.actual_columns} fields where the header has {row.expected_columns}"
            return InvalidInput(f"{where}  {counts}", hint="Is the file cut off, or a comma not quoted?")
    return InvalidInput(f"{path}: not a CSV that can be read", hint="Is the file cut off?")


def _read_parquet(path: Path, policy: DatasetPolicy) -> pa.Table:
    try:
        table = pyarrow.parquet.read_table(path, columns=[column.name for column in policy.columns])
    except (pa.ArrowException, OSError):
        raise InvalidInput(f"{path}: a damaged Parquet file", hint="Fetch or write it again.") from None
    return _converted(table, policy)


def _converted(table: pa.Table, policy: DatasetPolicy) -> pa.Table:
    bad: dict[str, int] = {}
    arrays = []
    for column in policy.columns:
        source = table[column.name]
        result = _column(source, column)
        arrays.append(result)
        if count := result.null_count - source.null_count:
            bad[column.name] = count
    fields = [pa.field(column.name, TYPES[column.type]) for column in policy.columns]
    metadata = {_UNPARSED: json.dumps(bad, sort_keys=True).encode()} if bad else None
    return pa.table(arrays, schema=pa.schema(fields, metadata=metadata))


def _column(source: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    wanted = TYPES[column.type]
    if source.type == wanted:
        return source
    if pa.types.is_dictionary(source.type):
        source = source.cast(source.type.value_type)
    chunks = [_array(chunk, column.type) for chunk in source.chunks]
    return pa.chunked_array(chunks, type=wanted)


def _array(array: pa.Array, kind: str) -> pa.Array:
    if not _is_text(array.type):
        return _cast(array, TYPES[kind]) if _kindred(array.type, kind) else pa.nulls(len(array), TYPES[kind])
    if kind == "string":
        return array.cast(pa.string())
    array = pc.utf8_trim(array.cast(pa.string()), " \t")
    if kind == "bool":
        true = pc.is_in(array, value_set=pa.array(_TRUE))
        known = pc.or_(true, pc.is_in(array, value_set=pa.array(_FALSE)))
        return pc.if_else(known, true, pa.scalar(None, pa.bool_()))
    if kind == "timestamp":
        return _timestamps(array)
    return _cast(_only(array, _LIKELY[kind]), TYPES[kind])


def _timestamps(array: pa.Array) -> pa.Array:
    zoned = pc.match_substring_regex(array, _ZONE)
    likely = _only(array, _LIKELY["timestamp"])
    with_zone = pc.if_else(zoned, likely, pa.scalar(None, pa.string()))
    without = pc.if_else(zoned, pa.scalar(None, pa.string()), likely)
    naive = _cast(without, pa.timestamp("us"))
    return pc.coalesce(_cast(with_zone, TYPES["timestamp"]), pc.assume_timezone(naive, "UTC"))


def _only(array: pa.Array, pattern: str) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(array, pattern), array, pa.scalar(None, array.type))


def _cast(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """``array`` as ``wanted``, null where that cannot be: halves are tried until the culprits stand alone."""
    try:
        return array.cast(wanted)
    except pa.ArrowInvalid:
        if len(array) == 1:
            return pa.nulls(1, wanted)
        middle = len(array) // 2
        return pa.concat_arrays([_cast(array[:middle], wanted), _cast(array[middle:], wanted)])


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _kindred(kind: pa.DataType, wanted: str) -> bool:
    """Whether a Parquet column of type ``kind`` can be what the policy declares at all."""
    if wanted in ("int", "float"):
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
    if wanted in ("date", "timestamp"):
        return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))
    return bool(pa.types.is_boolean(kind) if wanted == "bool" else False)
