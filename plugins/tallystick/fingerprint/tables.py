"""The format-independent fingerprint of a table: a Merkle root over its rows, under the table's key.

Equal content gives an equal root, whether it lies in a CSV, a Parquet file, Arrow or pandas. Streams: memory
does not grow with the table. docs/formats/fingerprint.md is normative.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tallystick.errors import InvalidInput
from tallystick.fingerprint.columns import Schema, schema_digest, to_cells
from tallystick.fingerprint.keys import SALT_SIZE, TableKey
from tallystick.fingerprint.rows import Cells, encode_cells, encode_rows, row_leaf
from tallystick.fingerprint.sources import Source, TableSource, open_source
from tallystick.proof import merkle

COMPILED_FROM: Final = 500_000
"""Rows from which on the compiled path pays for being loaded."""

_MOST_THREADS: Final = 8

Result = TypeVar("Result")


@dataclass(frozen=True)
class TableFingerprint:
    """What is recorded of a table. ``columns`` are names and logical types, in the table's order."""

    root: str
    rows: int
    schema_digest: str
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RowLeaves:
    """Every row's leaf and the id under which it enters a subset, both n x 32 uint8."""

    ids: npt.NDArray[np.uint8]
    leaves: npt.NDArray[np.uint8]

    @property
    def root(self) -> str:
        """The table's root, 64 hex digits."""
        return leaves_root(self.leaves.tobytes()).hex()


@dataclass(frozen=True)
class Chunk:
    """Up to `sources.CHUNK` rows on their way. ``leaves`` and ``subjects`` are 32 bytes a row."""

    first: int
    table: pa.Table
    leaves: bytes
    subjects: bytes | None
    compiled: bool


def fingerprint_table(
    source: TableSource,
    key: TableKey,
    *,
    schema: Schema | None = None,
    subject: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> TableFingerprint:
    """The fingerprint of a table: a path (CSV, Parquet, Arrow IPC), Arrow table or batches, or DataFrame.

    ``schema`` (column to logical type) is needed for a CSV and checked for all else; ``subject`` names the
    column that says whose row it is. ``progress`` is told the rows done. Raises `InvalidInput`.
    """
    opened = open_source(source, schema)
    roots: list[bytes] = []
    rows = 0
    for count, root in map_chunks(opened, key, subject, _count_and_root):
        roots.append(root)
        rows += count
        if progress is not None:
            progress(rows)
    if not rows:
        raise InvalidInput("the table has no rows", hint="Check how it was made.")
    # Chunks are perfect subtrees, but for the last, so their roots make the tree's upper part.
    return TableFingerprint(
        merkle.root(roots).hex(), rows, schema_digest(opened.columns), tuple(opened.columns)
    )


def row_leaves(
    source: TableSource, key: TableKey, *, schema: Schema | None = None, subject: str | None = None
) -> RowLeaves:
    """Leaf and id of every row (64 bytes a row in memory).

    The id is the subject's pseudonym or, where no subject is named, the row's index as 32 big-endian bytes.
    Raises as `fingerprint_table` does.
    """
    chunks = list(
        map_chunks(open_source(source, schema), key, subject, lambda chunk: (chunk.leaves, chunk.subjects))
    )
    leaves = _matrix(b"".join(leaves for leaves, _ in chunks))
    if subject is not None:
        return RowLeaves(_matrix(b"".join(subjects or b"" for _, subjects in chunks)), leaves)
    return RowLeaves(_index_ids(len(leaves)), leaves)


def leaves_root(leaves: bytes) -> bytes:
    """The RFC 6962 root over leaf hashes of 32 bytes, one after another."""
    if len(leaves) >= COMPILED_FROM * merkle.HASH_SIZE:
        from tallystick.fingerprint import lanes

        return lanes.root(lanes.from_bytes(leaves))
    return merkle.root(split(leaves))


def split(hashes: bytes) -> list[bytes]:
    """Hashes of 32 bytes, one after another, as a list."""
    return [hashes[at : at + merkle.HASH_SIZE] for at in range(0, len(hashes), merkle.HASH_SIZE)]


def chunk_root(chunk: Chunk) -> bytes:
    """The root of the subtree over a chunk's rows."""
    if not chunk.compiled:
        return merkle.root(split(chunk.leaves))
    from tallystick.fingerprint import lanes

    return lanes.root(lanes.from_bytes(chunk.leaves))


def map_chunks(
    source: Source, key: TableKey, subject: str | None, work: Callable[[Chunk], Result]
) -> Iterator[Result]:
    """``work`` on every chunk of a table, in order, a few chunks at a time side by side."""
    if subject is not None and subject not in dict(source.columns):
        raise InvalidInput(
            f"the subject column {subject} is missing", hint="Correct the policy or the table."
        )

    def hashed(first: int, table: pa.Table, compiled: bool) -> Result:
        return work(_hash_chunk(source.columns, key, subject, first, table, compiled))

    workers = min(os.cpu_count() or 1, _MOST_THREADS)
    under_way: deque[Future[Result]] = deque()
    first = 0
    with ThreadPoolExecutor(workers) as pool:
        for table in source.chunks:
            compiled = max(first, source.rows_guess) >= COMPILED_FROM
            under_way.append(pool.submit(hashed, first, table, compiled))
            first += table.num_rows
            if len(under_way) > workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _count_and_root(chunk: Chunk) -> tuple[int, bytes]:
    return chunk.table.num_rows, chunk_root(chunk)


def _hash_chunk(
    columns: list[tuple[str, str]],
    key: TableKey,
    subject: str | None,
    first: int,
    table: pa.Table,
    compiled: bool,
) -> Chunk:
    cells = {name: to_cells(name, table.column(name), kind) for name, kind in columns}
    salts = key.salts(first, table.num_rows)
    subjects = None if subject is None else _pseudonyms(key, subject, cells[subject], first)
    hash_rows = _compiled_leaves if compiled else _plain_leaves
    return Chunk(first, table, hash_rows(list(cells.values()), salts, subjects), subjects, compiled)


def _pseudonyms(key: TableKey, subject: str, cells: Cells, first: int) -> bytes:
    nameless = np.flatnonzero(cells.tags == 0)
    if len(nameless):
        raise InvalidInput(
            f"row {first + int(nameless[0])} (counting from 0) names no subject in column {subject}",
            hint="Every row needs one, or the policy must not name a subject.",
        )
    encoded = encode_cells(cells)
    pseudonyms = {value: key.pseudonym(value) for value in set(encoded)}
    return b"".join(pseudonyms[value] for value in encoded)


def _plain_leaves(columns: list[Cells], salts: bytes, subjects: bytes | None) -> bytes:
    leaves: list[bytes] = []
    ids: list[Any] = split(subjects) if subjects is not None else [None] * len(columns[0].tags)
    for index, (row, subject) in enumerate(zip(encode_rows(columns), ids, strict=True)):
        leaves.append(row_leaf(row, salts[index * SALT_SIZE : (index + 1) * SALT_SIZE], subject))
    return b"".join(leaves)


def _compiled_leaves(columns: list[Cells], salts: bytes, subjects: bytes | None) -> bytes:
    from tallystick.fingerprint import lanes

    return lanes.to_bytes(lanes.row_leaves(columns, salts, subjects))


def _matrix(hashes: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(hashes, np.uint8).reshape(-1, merkle.HASH_SIZE)


def _index_ids(count: int) -> npt.NDArray[np.uint8]:
    ids = np.zeros((count, 32), np.uint8)
    ids[:, 24:] = np.arange(count, dtype=">u8").view(np.uint8).reshape(-1, 8)
    return ids
