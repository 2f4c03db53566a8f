"""Reads a data file as the policy declares it: one reader for every step, as a stream or as a whole.

A value that is not of its column's type becomes null and is counted (`unparsed`), so that a validation
can fail on it and say so. What breaks the table itself (a row of the wrong length, a missing column, a row
without its key) is `InvalidInput`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tallystick.errors import InvalidInput
from tallystick.fingerprint.columns import FALSE, TRUE, ZONED, is_text
from tallystick.fingerprint.csv_source import Dialect, csv_rows_guess, open_csv
from tallystick.fingerprint.data_file import file_kind
from tallystick.fingerprint.sources import Source, open_parquet, stream
from tallystick.policy import Column, DatasetPolicy, check_columns

TYPES: Final[dict[str, pa.DataType]] = {
    "int": pa.int64(),
    "float": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}
_UNPARSED: Final = b"tallystick.unparsed"
# What could parse at all, so that the search for what cannot is left with few values.
_LIKELY: Final = {
    "int": r"^-?([0-9]+|0[xX][0-9A-Fa-f]+)$",
    "float": r"^[-+]?([0-9.]+([eE][-+]?[0-9]+)?|[iI][nN][fF]([iI][nN][iI][tT][yY])?|[nN][aA][nN])$",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "timestamp": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}",
}


class Unparsed(NamedTuple):
    """How many values of a column were not of its type, and the first data row with one, from 1."""

    values: int
    row: int


class Rows:
    """The rows of a CSV or Parquet file as batches of the policy's columns, in its order; read once.

    ``rows_guess`` is about how many there are. Opening raises `InvalidInput` (`PolicyError` where a column
    differs from the policy); so does reading, for a file that is empty, damaged, has a row of the wrong
    length, or lacks a value in a column that tells rows apart (`DatasetPolicy.keys`).
    """

    def __init__(self, path: Path, policy: DatasetPolicy) -> None:
        check_columns(policy, path)
        self._path, self._policy = path, policy
        self._fields = [pa.field(column.name, TYPES[column.type]) for column in policy.columns]
        self._unparsed: dict[str, tuple[int, int]] = {}
        self._keyless: dict[str, int] = {}
        if file_kind(path) == "parquet":
            _, self._raw, self.rows_guess = open_parquet(path, [column.name for column in policy.columns])
        else:
            types = {column.name: column.type for column in policy.columns}
            dialect = Dialect(policy.format.delimiter, tuple(policy.format.null), quoted_null=True)
            _, self._raw = open_csv(path, types, dialect, lenient=True)
            self.rows_guess = csv_rows_guess(path)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        schema, rows = pa.schema(self._fields), 0
        for batch in self._raw:
            arrays = [
                self._column(batch.column(column.name), column, rows) for column in self._policy.columns
            ]
            rows += batch.num_rows
            yield pa.record_batch(arrays, schema=schema)
        if not rows:
            raise InvalidInput(f"{self._path}: no rows below the header", hint="Is the file cut off?")
        self._check_keys()

    def source(self) -> Source:
        """As what a fingerprint streams. Times are read as UTC where they name no zone."""
        return stream(pa.schema(self._fields), iter(self), self.rows_guess)

    def table(self, progress: Callable[[int], object] = lambda _: None) -> pa.Table:
        """All rows in memory, with what `unparsed` tells; ``progress`` is told of each batch's rows."""
        batches = []
        for batch in self:
            batches.append(batch)
            progress(batch.num_rows)
        table = pa.Table.from_batches(batches)
        counts = {_UNPARSED: json.dumps(self._unparsed, sort_keys=True).encode()} if self._unparsed else None
        return table.replace_schema_metadata(counts)

    def _column(self, source: pa.Array, column: Column, rows: int) -> pa.Array:
        result = _typed(source, column.type)
        if count := result.null_count - source.null_count:
            wrong = pc.index(pc.and_(pc.is_null(result), pc.is_valid(source)), True).as_py()
            before, first = self._unparsed.get(column.name, (0, rows + wrong + 1))
            self._unparsed[column.name] = before + count, first
        if column.name in self._policy.keys and column.name not in self._keyless:
            row = pc.index(pc.is_null(result, nan_is_null=True), True).as_py()
            if row >= 0:
                self._keyless[column.name] = rows + row + 1
        return result

    def _check_keys(self) -> None:
        # Where values were unparsed, the validation fails by them: that says more than that one is missing.
        for name in self._policy.keys:
            if name in self._keyless and name not in self._unparsed:
                raise InvalidInput(
                    f'{self._path}: column "{name}" tells rows apart, but has no value in data row '
                    f"{self._keyless[name]:,}",
                    hint="Leave such rows out, or choose another column in the policy.",
                )


def read_table(path: Path, policy: DatasetPolicy) -> pa.Table:
    """The CSV or Parquet file ``path`` as a table of the policy's columns. Raises as `Rows` does."""
    return Rows(Path(path), policy).table()


def unparsed(table: pa.Table) -> dict[str, Unparsed]:
    """The columns of ``table`` in which values were not of their type and stand as null."""
    found: dict[str, list[int]] = json.loads((table.schema.metadata or {}).get(_UNPARSED, b"{}"))
    return {name: Unparsed(*each) for name, each in found.items()}


def _typed(array: pa.Array, kind: str) -> pa.Array:
    """``array`` as the column type ``kind``; null where a value is not of it."""
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if array.type == TYPES[kind]:
        return array
    if not is_text(array.type):
        return _cast(array, TYPES[kind]) if _kindred(array.type, kind) else pa.nulls(len(array), TYPES[kind])
    if kind == "string":
        return array.cast(pa.string())
    array = pc.utf8_trim(array.cast(pa.string()), " \t")
    if kind == "bool":
        true = pc.is_in(array, value_set=pa.array(TRUE))
        known = pc.or_(true, pc.is_in(array, value_set=pa.array(FALSE)))
        return pc.if_else(known, true, pa.scalar(None, pa.bool_()))
    if kind == "timestamp":
        return _timestamps(array)
    return _cast(_only(array, _LIKELY[kind]), TYPES[kind])


def _timestamps(array: pa.Array) -> pa.Array:
    zoned = pc.match_substring_regex(array, ZONED)
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


def _kindred(kind: pa.DataType, wanted: str) -> bool:
    """Whether a Parquet column of type ``kind`` can be what the policy declares at all."""
    if wanted in ("int", "float"):
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
    if wanted in ("date", "timestamp"):
        return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))
    return bool(pa.types.is_boolean(kind) if wanted == "bool" else False)
