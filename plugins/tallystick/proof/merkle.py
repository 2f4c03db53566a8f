"""RFC 6962 Merkle trees over SHA-256: heads, inclusion, consistency, and where a store keeps the hashes.

A log's hashes are stored in the sequential layout of Go's tlog: each leaf hash is followed by the parents
that it completes, so that storing is appending and no stored hash ever changes. `Frontier` makes them, the
two provers read them, the two verifiers need nothing but the proof. Sections are RFC 9162's, which gives the
verifiers that RFC 6962 leaves out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final

from tallystick.proof.errors import Malformed, NotProven

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = sha256().digest()

Read = Callable[[Sequence[int]], Sequence[bytes]]
"""Fetches stored hashes by their stored indices, in the order asked, in one call."""

_NODE: Final = b"\x01"


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data), RFC 9162 section 2.1.1."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right), RFC 9162 section 2.1.1."""
    return sha256(_NODE + left + right).digest()


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The head of a tree over these leaf hashes; of no leaves, `EMPTY_ROOT`."""
    frontier = Frontier()
    frontier.extend(leaf_hashes)
    return frontier.root()


def stored_index(level: int, n: int) -> int:
    """Where the ``n``-th hash of ``level`` (0 = leaves) stands among the stored hashes."""
    leaf = ((n + 1) << level) - 1  # the leaf that completes it
    return 2 * leaf - leaf.bit_count() + level


def stored_count(size: int) -> int:
    """How many hashes are stored for a tree of ``size`` leaves."""
    return 2 * size - size.bit_count()


class Frontier:
    """A tree's right edge: the roots of its perfect subtrees, largest first. All that appending needs."""

    __slots__ = ("_peaks", "_size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """One peak of 32 bytes for each 1 in the binary ``size``, else `Malformed`."""
        if size < 0 or len(peaks) != size.bit_count() or any(len(peak) != HASH_SIZE for peak in peaks):
            raise Malformed("tree frontier: the peaks do not fit the size")
        self._size = size
        self._peaks = list(peaks)

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._size

    def root(self) -> bytes:
        """The tree's head."""
        return _fold_peaks(self._peaks) if self._peaks else EMPTY_ROOT

    def append(self, leaf_hash: bytes) -> list[bytes]:
        """Add a leaf; returns the new stored hashes: the leaf's, then the parents that it completes."""
        return self._add((leaf_hash,))

    def extend(self, leaf_hashes: Iterable[bytes]) -> bytes:
        """Add leaves; returns the new stored hashes, concatenated, in stored order."""
        return b"".join(self._add(leaf_hashes))

    def to_bytes(self) -> bytes:
        """The size as 8 big-endian bytes, then the peaks."""
        return self._size.to_bytes(8, "big") + b"".join(self._peaks)

    @classmethod
    def from_bytes(cls, data: bytes) -> Frontier:
        """What `to_bytes` gave, or `Malformed`."""
        if len(data) % HASH_SIZE != 8:
            raise Malformed("tree frontier: cut short")
        peaks = [data[start : start + HASH_SIZE] for start in range(8, len(data), HASH_SIZE)]
        return cls(int.from_bytes(data[:8], "big"), peaks)

    def _add(self, leaf_hashes: Iterable[bytes]) -> list[bytes]:
        # The ledger's hot loop: one call for a batch, everything it touches local.
        size, peaks, new, hash_of = self._size, self._peaks, list[bytes](), sha256
        store, push, pop = new.append, peaks.append, peaks.pop
        try:
            for node in leaf_hashes:
                if len(node) != HASH_SIZE:
                    raise Malformed("a leaf hash that is not 32 bytes")
                store(node)
                completed = size
                while completed & 1:
                    node = hash_of(_NODE + pop() + node).digest()
                    store(node)
                    completed >>= 1
                push(node)
                size += 1
        finally:
            self._size = size  # also when the iterable fails midway: peaks and size stay in step
        return new


def inclusion_proof(index: int, size: int, read: Read) -> list[bytes]:
    """The audit path of leaf ``index`` in the tree of ``size`` leaves, leaf to root (RFC 9162, 2.1.3.1).

    Raises `Malformed` if the index is not in the tree.
    """
    if not 0 <= index < size:
        raise Malformed("inclusion proof: the index is not in the tree")
    ranges: list[tuple[int, int]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return _range_roots(ranges[::-1], read)


def consistency_proof(old: int, new: int, read: Read) -> list[bytes]:
    """The proof that the tree of ``new`` leaves extends that of ``old`` (RFC 9162 section 2.1.4.1).

    Empty from size 0, which every tree extends, and between equal sizes. Raises `Malformed` if old > new.
    """
    if not 0 <= old <= new:
        raise Malformed("consistency proof: the old size is larger than the new")
    if old in (0, new):
        return []
    ranges: list[tuple[int, int]] = []
    start, end = 0, new
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:  # else the old tree is itself a subtree, and its root is known
        ranges.append((start, end))
    return _range_roots(ranges[::-1], read)


def verify_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Raise `NotProven` unless ``leaf_hash`` is leaf ``index`` of the tree of ``size`` leaves under ``root``.

    RFC 9162 section 2.1.3.2.
    """
    _check_hashes((leaf_hash, root, *proof))
    if not 0 <= index < size:
        raise NotProven("inclusion proof: the index is not in the tree")
    position, last, node = index, size - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            raise NotProven("inclusion proof: too many hashes")
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise NotProven("inclusion proof: too few hashes")
    if node != root:
        raise NotProven("inclusion proof: it does not lead to the root")


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Raise `NotProven` unless the new tree extends the old one (RFC 9162 section 2.1.4.2).

    From size 0 and between equal sizes the proof is empty. A proof does not bind the sizes: both heads must
    come from signatures.
    """
    _check_hashes((old_root, new_root, *proof))
    if not 0 <= old_size <= new_size:
        raise NotProven("consistency proof: the new tree is smaller than the old")
    if (old_size == 0 and old_root != EMPTY_ROOT) or (new_size == 0 and new_root != EMPTY_ROOT):
        raise NotProven("consistency proof: a root of size 0 that is not the empty tree's")
    if old_size in (0, new_size):
        if proof:
            raise NotProven("consistency proof: too many hashes")
        if old_size == new_size and old_root != new_root:
            raise NotProven("consistency proof: two roots for one size")
        return
    _replay_consistency(old_size, new_size, old_root, new_root, list(proof))


def _replay_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: list[bytes]
) -> None:
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    hashes = proof if position else [old_root, *proof]
    if not hashes:
        raise NotProven("consistency proof: too few hashes")
    old_node = new_node = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise NotProven("consistency proof: too many hashes")
        if position & 1 or position == last:
            old_node, new_node = node_hash(sibling, old_node), node_hash(sibling, new_node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new_node = node_hash(new_node, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise NotProven("consistency proof: too few hashes")
    if old_node != old_root:
        raise NotProven("consistency proof: it does not lead to the old root")
    if new_node != new_root:
        raise NotProven("consistency proof: it does not lead to the new root")


def _check_hashes(hashes: Iterable[bytes]) -> None:
    if any(len(item) != HASH_SIZE for item in hashes):
        raise NotProven("a hash that is not 32 bytes")


def _split(width: int) -> int:
    """The largest power of two below ``width`` (RFC 9162 section 2.1.1, k)."""
    return 1 << ((width - 1).bit_length() - 1)


def _range_roots(ranges: list[tuple[int, int]], read: Read) -> list[bytes]:
    """The heads of the leaf ranges, each of which starts where a subtree of its width may start."""
    counts: list[int] = []
    wanted: list[int] = []
    for start, end in ranges:
        counts.append((end - start).bit_count())
        while start < end:
            level = (end - start).bit_length() - 1
            wanted.append(stored_index(level, start >> level))
            start += 1 << level
    stored = list(read(wanted)) if wanted else []
    if len(stored) != len(wanted) or any(len(item) != HASH_SIZE for item in stored):
        raise Malformed("stored tree: a hash that was asked for is missing")
    roots: list[bytes] = []
    for count in counts:
        roots.append(_fold_peaks(stored[:count]))
        stored = stored[count:]
    return roots


def _fold_peaks(peaks: Sequence[bytes]) -> bytes:
    node = peaks[-1]
    for peak in reversed(peaks[:-1]):
        node = node_hash(peak, node)
    return node
