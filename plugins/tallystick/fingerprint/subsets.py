"""Which rows of a registered table a training used: the root over their ids and leaves.

The tree is proof.sorted_tree's, which can prove of a row, or a subject, that it was or was not among them; no
command does yet. docs/formats/fingerprint.md, "Subsets", is normative.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tallystick.errors import InvalidInput
from tallystick.fingerprint.tables import COMPILED_FROM, RowLeaves
from tallystick.proof.sorted_tree import ENTRY_SIZE, sorted_root

Indices = Sequence[int] | npt.NDArray[np.integer]


def subset_entries(rows: RowLeaves, indices: Indices) -> list[bytes]:
    """The entries (id || row leaf, 64 bytes) of the rows at ``indices``, sorted, as `SortedTree` takes them.

    Raises `InvalidInput` for an index twice or outside the table.
    """
    entries = _sorted_entries(rows, indices).tobytes()
    return [entries[at : at + ENTRY_SIZE] for at in range(0, len(entries), ENTRY_SIZE)]


def subset_root(rows: RowLeaves, indices: Indices) -> tuple[int, str]:
    """How many rows, and the root (64 hex digits) of the tree over `subset_entries`. Raises as it does."""
    if len(indices) < COMPILED_FROM:
        size, root = sorted_root(subset_entries(rows, indices))
        return size, root.hex()
    from tallystick.fingerprint import lanes

    entries = _sorted_entries(rows, indices)
    if (entries[1:] == entries[:-1]).all(axis=1).any():
        raise InvalidInput("two rows of the subset have the same id and leaf")
    halves = lanes.from_bytes(entries.tobytes()).reshape(-1, 2, 8)
    return len(entries), lanes.root(lanes.hash_pairs(0, halves[:, 0], halves[:, 1])).hex()


def _sorted_entries(rows: RowLeaves, indices: Indices) -> npt.NDArray[np.uint8]:
    chosen = np.asarray(indices, np.int64)
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(rows.leaves)):
        raise InvalidInput("a row of the subset is not in the table")
    if len(np.unique(chosen)) != len(chosen):
        raise InvalidInput("a row is in the subset twice", hint="A subset names each row once.")
    entries = np.hstack([rows.ids[chosen], rows.leaves[chosen]])
    columns = np.ascontiguousarray(entries).view(">u8")
    return entries[np.lexsort(columns.T[::-1])]
