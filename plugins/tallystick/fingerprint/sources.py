"""Opens a table, whatever holds it, as a stream of Arrow record batches under a settled schema.

Files are told apart by their first bytes, because the store's objects have no suffix. What is wrong with a
table comes out as `InvalidInput` without a data value. docs/formats/fingerprint.md, "Sources", is normative.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import pyarrow as pa

from tallystick.errors import InvalidInput
from tallystick.fingerprint.columns import Schema, settle_schema
from tallystick.fingerprint.csv_source import csv_rows_guess, open_csv
from tallystick.fingerprint.data_file import file_kind

if TYPE_CHECKING:
    import pandas as pd

CHUNK: Final = 65536
"""Rows that are hashed together; a power of two, so that a chunk is a whole subtree."""

TableSource: TypeAlias = (
    "Source | Path | str | pa.Table | pa.RecordBatchReader | pd.DataFrame | Iterable[pa.RecordBatch]"
)


@dataclass(frozen=True)
class Source:
    """An opened table. ``columns`` are names and logical types; ``rows_guess`` is 0 if unknown."""

    columns: list[tuple[str, str]]
    chunks: Iterator[pa.Table]
    rows_guess: int


def open_source(source: TableSource, schema: Schema | None = None) -> Source:
    """Open ``source`` as chunks of `CHUNK` rows, the last one of fewer.

    A CSV needs ``schema``; with it, any table must have exactly these columns with types that can be read as
    declared. Raises `InvalidInput` here or while the chunks are read.
    """
    if isinstance(source, Source):
        return source
    with _refused("the table"):
        found, batches, guess = _open(source, schema)
    return stream(found, batches, guess, schema)


def stream(
    found: pa.Schema, batches: Iterator[pa.RecordBatch], rows_guess: int, schema: Schema | None = None
) -> Source:
    """A source of record batches that have the Arrow schema ``found``. Raises as `open_source` does."""
    columns = settle_schema([(field.name, field.type) for field in found], schema)
    return Source(columns, _chunks(batches), rows_guess)


def open_parquet(
    path: Path, columns: list[str] | None = None
) -> tuple[pa.Schema, Iterator[pa.RecordBatch], int]:
    """The schema, batches (of ``columns`` only, where named) and row count of a Parquet file.

    Raises `InvalidInput`, here or while the batches are read.
    """
    import pyarrow.parquet

    what = str(path)
    with _refused(what, "It is a damaged Parquet file, or none: fetch or write it again."):
        # Opened here: given a name, Arrow may take it for an address.
        parquet = pyarrow.parquet.ParquetFile(pa.OSFile(what))
        batches = parquet.iter_batches(CHUNK, columns=columns)
        return parquet.schema_arrow, _guarded(batches, what), parquet.metadata.num_rows


def _open(source: TableSource, schema: Schema | None) -> tuple[pa.Schema, Iterator[pa.RecordBatch], int]:
    if isinstance(source, (str, Path)):
        return _open_file(Path(source), schema)
    if isinstance(source, pa.Table):
        return source.schema, iter(source.to_batches(CHUNK)), source.num_rows
    if isinstance(source, pa.RecordBatchReader):
        return source.schema, _guarded(source, "the stream"), 0
    if hasattr(source, "columns") and hasattr(source, "index"):
        table = _from_pandas(cast("pd.DataFrame", source))
        return table.schema, iter(table.to_batches(CHUNK)), table.num_rows
    batches = iter(cast("Iterable[pa.RecordBatch]", source))
    first = next(batches, None)
    if first is None:
        raise InvalidInput("the table has no rows")
    if not isinstance(first, pa.RecordBatch):
        raise InvalidInput(
            f"a {type(first).__name__} is no table", hint="Pass a file, an Arrow table or a DataFrame."
        )
    return first.schema, _same_schema(first, batches), 0


def _open_file(path: Path, schema: Schema | None) -> tuple[pa.Schema, Iterator[pa.RecordBatch], int]:
    import pyarrow.ipc

    kind, what = file_kind(path), str(path)
    if kind == "parquet":
        return open_parquet(path)
    if kind == "arrow":
        with _refused(what, "It is no Arrow file, or a damaged one."):
            reader = pyarrow.ipc.open_file(pa.memory_map(what))
            arrow = (reader.get_batch(number) for number in range(reader.num_record_batches))
            return reader.schema, _guarded(arrow, what), 0
    if kind == "arrow-stream":
        with _refused(what, "It is no Arrow stream, or a damaged one."):
            batches = pyarrow.ipc.open_stream(pa.memory_map(what))
            return batches.schema, _guarded(batches, what), 0
    if schema is None:
        raise InvalidInput(
            f"{path} is a CSV, whose types must be declared", hint="Pass a schema: column to type."
        )
    found, rows = open_csv(path, schema)
    return found, rows, csv_rows_guess(path)


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    import pandas as pd

    index = frame.index
    if index.names != [None] or not pd.api.types.is_integer_dtype(index.dtype):
        raise InvalidInput(
            "the DataFrame has an index that is more than row numbers, and an index is not fingerprinted",
            hint="Make it a column with reset_index(), or drop it.",
        )
    for name in frame.columns:
        if not isinstance(name, str):
            raise InvalidInput("a column of the DataFrame has a name that is not text", hint="Rename it.")
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise InvalidInput(f"column {twice} is there twice", hint="Rename one of them.")
    arrays = {}
    for name in frame.columns:
        with _refused(
            f"column {name}", "Its values are of several types, or of one that has no equal in Arrow."
        ):
            arrays[name] = pa.array(frame[name], from_pandas=True)
    return pa.table(arrays)


def _same_schema(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    for batch in rest:
        if not batch.schema.equals(first.schema):
            raise InvalidInput("a batch of the stream has another schema than the first one")
        yield batch


def _guarded(batches: Iterable[pa.RecordBatch], what: str) -> Iterator[pa.RecordBatch]:
    iterator = iter(batches)
    while True:
        with _refused(what, "The file is damaged: its beginning could be read, but not all of it."):
            batch = next(iterator, None)
        if batch is None:
            return
        yield batch


@contextmanager
def _refused(what: str, hint: str = "") -> Iterator[None]:
    # Arrow's messages may quote values, so nothing of them is shown or chained.
    try:
        yield
    except (pa.ArrowException, OSError, TypeError, ValueError):
        raise InvalidInput(f"{what} cannot be read as a table", hint=hint) from None


def _chunks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    pending: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        while batch.num_rows:
            part = batch.slice(0, CHUNK - count)
            batch = batch.slice(part.num_rows)
            pending.append(part)
            count += part.num_rows
            if count == CHUNK:
                yield pa.Table.from_batches(pending)
                pending, count = [], 0
    if pending:
        yield pa.Table.from_batches(pending)
