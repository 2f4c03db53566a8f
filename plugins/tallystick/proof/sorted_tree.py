"""Sets of entries as RFC 6962 trees over the sorted entries, so that absence can be proven too.

An entry is 64 bytes: an id of 32 and a row leaf of 32. Several entries may share an id; absence is that of
an id. Entries stand in strictly ascending byte order. A proof relies on that order, which whoever makes or
recomputes the root with `sorted_root` or `SortedTree` checks. Format: docs/formats/sorted-tree.md.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.merkle import (
    EMPTY_ROOT,
    HASH_SIZE,
    Frontier,
    inclusion_proof,
    leaf_hash,
    verify_inclusion,
)

ID_SIZE: Final = 32
ENTRY_SIZE: Final = 64


@dataclass(frozen=True)
class Place:
    """``entry`` is number ``index`` of the tree, by the audit path ``hashes``."""

    index: int
    entry: bytes
    hashes: tuple[bytes, ...]


@dataclass(frozen=True)
class Absence:
    """The entries on both sides of where the id would stand; None beyond the tree's edge."""

    left: Place | None
    right: Place | None


def sorted_root(entries: Iterable[bytes]) -> tuple[int, bytes]:
    """Size and root of the tree over ``entries``, which come strictly ascending. Streams, and keeps nothing.

    Raises `Malformed` on an entry that is not 64 bytes, out of order, or a duplicate.
    """
    frontier = Frontier()
    for entry in _ascending(entries):
        frontier.append(leaf_hash(entry))
    return frontier.size, frontier.root()


class SortedTree:
    """A tree kept in memory (about 200 bytes an entry) to make proofs from."""

    def __init__(self, entries: Iterable[bytes]) -> None:
        """Takes the entries in any order. Raises `Malformed` on a duplicate, or one that is not 64 bytes."""
        self._entries = list(_ascending(sorted(entries)))
        frontier = Frontier()
        self._stored = frontier.extend(leaf_hash(entry) for entry in self._entries)
        self.size: Final = frontier.size
        self.root: Final = frontier.root()

    def prove_presence(self, entry: bytes) -> Place:
        """Where ``entry`` stands. Raises `NotProven` if it is not in the set."""
        index = bisect_left(self._entries, entry)
        if index == self.size or self._entries[index] != entry:
            raise NotProven("sorted tree: the entry is not in the set")
        return self._place(index)

    def prove_absence(self, id: bytes) -> Absence:
        """The neighbours of where ``id`` (32 bytes) would stand. Raises `NotProven` if an entry has it."""
        if len(id) != ID_SIZE:
            raise Malformed("sorted tree: an id that is not 32 bytes")
        index = bisect_left(self._entries, id)
        if index < self.size and self._entries[index].startswith(id):
            raise NotProven("sorted tree: the id is in the set")
        return Absence(
            self._place(index - 1) if index > 0 else None,
            self._place(index) if index < self.size else None,
        )

    def _place(self, index: int) -> Place:
        return Place(index, self._entries[index], tuple(inclusion_proof(index, self.size, self._read)))

    def _read(self, indices: Sequence[int]) -> list[bytes]:
        return [self._stored[i * HASH_SIZE : (i + 1) * HASH_SIZE] for i in indices]


def verify_presence(entry: bytes, place: Place, size: int, root: bytes) -> None:
    """Raise `NotProven` unless ``entry`` is in the set whose tree has ``size`` entries under ``root``."""
    if place.entry != entry:
        raise NotProven("sorted tree: the proof is of another entry")
    _verify_place(place, size, root)


def verify_absence(id: bytes, absence: Absence, size: int, root: bytes) -> None:
    """Raise `NotProven` unless no entry of the set (``size``, ``root``) has this ``id`` of 32 bytes."""
    if len(id) != ID_SIZE:
        raise Malformed("sorted tree: an id that is not 32 bytes")
    left, right = absence.left, absence.right
    if left is None and right is None and (size != 0 or root != EMPTY_ROOT):
        raise NotProven("sorted tree: no neighbours, yet the set is not empty")
    if left is not None:
        _verify_place(left, size, root)
        if left.entry[:ID_SIZE] >= id:
            raise NotProven("sorted tree: the left neighbour's id is not below the id")
    if right is not None:
        _verify_place(right, size, root)
        if right.entry[:ID_SIZE] <= id:
            raise NotProven("sorted tree: the right neighbour's id is not above the id")
    left_index = left.index if left else -1
    right_index = right.index if right else size
    if right_index != left_index + 1:
        raise NotProven("sorted tree: the neighbours are not adjacent")


def _verify_place(place: Place, size: int, root: bytes) -> None:
    if len(place.entry) != ENTRY_SIZE:
        raise NotProven("sorted tree: an entry that is not 64 bytes")
    verify_inclusion(place.index, size, leaf_hash(place.entry), place.hashes, root)


def _ascending(entries: Iterable[bytes]) -> Iterator[bytes]:
    previous = b""
    for entry in entries:
        if len(entry) != ENTRY_SIZE:
            raise Malformed("sorted tree: an entry that is not 64 bytes")
        if entry <= previous:
            raise Malformed("sorted tree: an entry out of order, or twice")
        previous = entry
        yield entry
