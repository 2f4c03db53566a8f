"""The proof that a row stands in a registered table: made with the key, checked without it.

It reveals the row and the row's own salt, and of all other rows nothing but hashes.
docs/formats/fingerprint.md, "Row proofs", is normative and numbers the verification steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from chaincode.canonical import NotCanonical, decode, encode
from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.fingerprint.keys import SALT_SIZE, SCHEME, TableKey
from tallystick.fingerprint.rows import Value, decode_row, row_leaf
from tallystick.proof import merkle
from tallystick.proof.errors import NotProven

MAX_PROOF: Final = 64 << 20

_FIELDS: Final = {"v", "scheme", "columns", "row", "salt", "subject", "index", "size", "hashes", "root"}


@dataclass(frozen=True)
class RowProof:
    """Row ``index`` (from 0) of the ``size`` rows under ``root``. ``row`` is the encoded row."""

    columns: tuple[tuple[str, str], ...]
    row: bytes
    salt: bytes
    subject: bytes | None
    index: int
    size: int
    hashes: tuple[bytes, ...]
    root: bytes

    def to_bytes(self) -> bytes:
        """The canonical JSON."""
        return encode(
            {
                "v": 1,
                "scheme": SCHEME,
                "columns": [{"name": name, "type": kind} for name, kind in self.columns],
                "row": self.row.hex(),
                "salt": self.salt.hex(),
                "subject": None if self.subject is None else self.subject.hex(),
                "index": self.index,
                "size": self.size,
                "hashes": [item.hex() for item in self.hashes],
                "root": self.root.hex(),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> RowProof:
        """What `to_bytes` gave. Raises `InvalidInput` for anything else."""
        if len(data) > MAX_PROOF:
            raise InvalidInput("the row proof is too long")
        try:
            return _parse(decode(data))
        except (NotCanonical, TypeError, ValueError, KeyError):
            raise InvalidInput("this is no row proof", hint="`tally prove-row` writes one.") from None

    def values(self) -> dict[str, Value]:
        """The row's values by column."""
        return decode_row(self.row, self.columns)


def prove_row(
    source: Any, key: TableKey, index: int, *, schema: Any = None, subject: str | None = None
) -> RowProof:
    """The proof of row ``index`` (from 0); the other arguments are `tables.fingerprint_table`'s.

    Raises `InvalidInput` when there is no such row, and as `fingerprint_table` does.
    """
    from tallystick.fingerprint.columns import to_cells
    from tallystick.fingerprint.rows import encode_rows
    from tallystick.fingerprint.sources import CHUNK, open_source
    from tallystick.fingerprint.tables import Chunk, chunk_root, map_chunks, split

    opened = open_source(source, schema)

    def keep(chunk: Chunk) -> tuple[int, bytes, Chunk | None]:
        here = chunk.first <= index < chunk.first + chunk.table.num_rows
        return chunk.table.num_rows, chunk_root(chunk), chunk if here else None

    rows, roots, found = 0, list[bytes](), None
    for count, root, chunk in map_chunks(opened, key, subject, keep):
        rows += count
        roots.append(root)
        found = chunk or found
    if found is None:
        raise InvalidInput(f"row {index} is not in the table of {rows} rows", hint="Rows count from 0.")
    at = index - found.first
    one = found.table.slice(at, 1)
    (row,) = encode_rows([to_cells(name, one.column(name), kind) for name, kind in opened.columns])
    path = _path(split(found.leaves), at) + _path(roots, index // CHUNK)
    who = None if found.subjects is None else split(found.subjects)[at]
    return RowProof(
        tuple(opened.columns), row, key.salts(index, 1), who, index, rows, tuple(path), merkle.root(roots)
    )


def verify_row(proof: bytes, *, root: str, rows: int, schema_digest: str) -> dict[str, Value]:
    """The row's values by column, proven to stand in the table whose record has these three.

    Raises `NotAsRecorded` when the proof does not show that, `InvalidInput` when it is no proof.
    """
    from tallystick.fingerprint.columns import schema_digest as digest_of

    claim = RowProof.from_bytes(proof)
    if claim.root.hex() != root or claim.size != rows:
        raise NotAsRecorded(
            "the row proof is of another table than the record", hint="Check which record it belongs to."
        )
    if digest_of(claim.columns) != schema_digest:
        raise NotAsRecorded("the row proof names other columns than the record")
    try:
        leaf = row_leaf(claim.row, claim.salt, claim.subject)
        merkle.verify_inclusion(claim.index, claim.size, leaf, claim.hashes, claim.root)
    except NotProven:
        raise NotAsRecorded("the row is not in the recorded table") from None
    return claim.values()


def _path(hashes: list[bytes], index: int) -> list[bytes]:
    stored = merkle.Frontier().extend(hashes)
    size = merkle.HASH_SIZE
    return merkle.inclusion_proof(
        index, len(hashes), lambda wanted: [stored[i * size : (i + 1) * size] for i in wanted]
    )


def _parse(value: dict[str, Any]) -> RowProof:
    if set(value) != _FIELDS or value["v"] != 1 or value["scheme"] != SCHEME:
        raise ValueError("not a row proof of this version")
    columns: list[tuple[str, str]] = []
    for column in value["columns"]:
        name, kind = column["name"], column["type"]
        if set(column) != {"name", "type"} or type(name) is not str or type(kind) is not str:
            raise ValueError("not a column")
        columns.append((name, kind))
    index, size = value["index"], value["size"]
    if type(index) is not int or type(size) is not int:
        raise ValueError("not a place in a tree")
    hashes = tuple(_hash(item) for item in value["hashes"])
    subject = None if value["subject"] is None else _hash(value["subject"])
    salt = bytes.fromhex(value["salt"])
    if len(salt) != SALT_SIZE:
        raise ValueError("not a salt")
    row, root = bytes.fromhex(value["row"]), _hash(value["root"])
    return RowProof(tuple(columns), row, salt, subject, index, size, hashes, root)


def _hash(text: str) -> bytes:
    data = bytes.fromhex(text)
    if len(data) != merkle.HASH_SIZE:
        raise ValueError("not a hash")
    return data
