"""The rows that a training used, as a root from which presence and absence can be proven."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from tallystick.errors import InvalidInput
from tallystick.fingerprint import subsets
from tallystick.fingerprint.keys import TableKey
from tallystick.fingerprint.subsets import subset_entries, subset_root
from tallystick.fingerprint.tables import row_leaves
from tallystick.proof.errors import NotProven
from tallystick.proof.sorted_tree import SortedTree, verify_absence, verify_presence

TABLE = pa.table({"who": [f"p{n % 9}" for n in range(50)], "x": [1] * 50})


@pytest.mark.parametrize("subject", [None, "who"])
@pytest.mark.parametrize("compiled_from", [0, 10**9])
def test_the_root_is_the_sorted_trees(
    subject: str | None, compiled_from: int, monkeypatch: pytest.MonkeyPatch, key: TableKey
) -> None:
    rows = row_leaves(TABLE, key, subject=subject)
    chosen = list(range(0, 50, 3))
    expected = SortedTree(bytes(rows.ids[n]) + bytes(rows.leaves[n]) for n in chosen)
    monkeypatch.setattr(subsets, "COMPILED_FROM", compiled_from)
    assert subset_root(rows, chosen) == subset_root(rows, chosen[::-1]) == (17, expected.root.hex())
    assert subset_root(rows, chosen[1:]) != subset_root(rows, chosen)


def test_whether_a_subject_was_used_can_be_proven_both_ways(key: TableKey, pseudonym: Any) -> None:
    rows = row_leaves(TABLE, key, subject="who")
    entries = subset_entries(rows, [n for n in range(50) if n % 9 != 4])
    tree = SortedTree(entries)
    absent = pseudonym("p4")
    verify_absence(absent, tree.prove_absence(absent), tree.size, tree.root)
    verify_presence(entries[0], tree.prove_presence(entries[0]), tree.size, tree.root)
    with pytest.raises(NotProven):
        tree.prove_absence(pseudonym("p5"))


def test_without_subjects_the_entries_stand_in_row_order(key: TableKey) -> None:
    rows = row_leaves(TABLE, key)
    entries = subset_entries(rows, [30, 2, 11])
    assert [int.from_bytes(entry[:32], "big") for entry in entries] == [2, 11, 30]
    assert entries[0][32:] == bytes(rows.leaves[2])


@pytest.mark.parametrize("indices", [[50], [-1], [3, 3]])
def test_a_subset_names_rows_of_the_table_once(indices: list[int], key: TableKey) -> None:
    with pytest.raises(InvalidInput, match="row"):
        subset_root(row_leaves(TABLE, key), indices)


def test_an_empty_subset_is_the_empty_tree(key: TableKey) -> None:
    assert subset_root(row_leaves(TABLE, key), []) == (0, SortedTree([]).root.hex())
