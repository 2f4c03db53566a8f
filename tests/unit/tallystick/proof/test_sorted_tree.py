"""Sorted trees: what is in is proven in, what is not is proven out, and never the reverse."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.proof.errors import Malformed, NotProven, ProofError
from tallystick.proof.merkle import EMPTY_ROOT, Frontier, inclusion_proof, leaf_hash, root
from tallystick.proof.sorted_proof import encode_absence, encode_presence, verify_sorted_proof
from tallystick.proof.sorted_tree import (
    Absence,
    Place,
    SortedTree,
    sorted_root,
    verify_absence,
    verify_presence,
)


def make_id(number: int) -> bytes:
    return number.to_bytes(32, "big")


def entry(number: int, row: int = 0) -> bytes:
    return make_id(number) + row.to_bytes(32, "big")


# Ids from a small range, so that neighbours, repetitions and edges are common; 0 and 2^256 - 1 among them.
IDS = st.integers(0, 20) | st.just(2**256 - 1)
SETS = st.sets(st.tuples(IDS, st.integers(0, 3)), max_size=24)


@given(SETS, IDS)
def test_every_id_is_proven_either_in_or_out(pairs: set[tuple[int, int]], number: int) -> None:
    tree = SortedTree(entry(*pair) for pair in pairs)
    mine = [entry(*pair) for pair in pairs if pair[0] == number]
    for item in mine:
        place = tree.prove_presence(item)
        verify_presence(item, place, tree.size, tree.root)
        text = encode_presence(place, tree.size)
        assert verify_sorted_proof(text, item, tree.size, tree.root) is True
    if mine:
        with pytest.raises(NotProven, match="id is in the set"):
            tree.prove_absence(make_id(number))
    else:
        absence = tree.prove_absence(make_id(number))
        verify_absence(make_id(number), absence, tree.size, tree.root)
        text = encode_absence(make_id(number), absence, tree.size)
        assert verify_sorted_proof(text, make_id(number), tree.size, tree.root) is False


@given(SETS.filter(bool), st.data())
def test_absence_of_a_present_id_is_never_proven(pairs: set[tuple[int, int]], data: st.DataObject) -> None:
    tree = SortedTree(entry(*pair) for pair in pairs)
    entries = sorted(entry(*pair) for pair in pairs)
    places = st.none() | st.sampled_from([tree.prove_presence(item) for item in entries])
    present = data.draw(st.sampled_from(entries))[:32]
    with pytest.raises(NotProven):
        verify_absence(present, Absence(data.draw(places), data.draw(places)), tree.size, tree.root)


@given(SETS)
def test_the_root_is_the_rfc_6962_root_of_the_sorted_entries(pairs: set[tuple[int, int]]) -> None:
    entries = sorted(entry(*pair) for pair in pairs)
    tree = SortedTree(reversed(entries))
    assert tree.root == root([leaf_hash(item) for item in entries])
    assert sorted_root(entries) == (tree.size, tree.root) == (len(entries), tree.root)


TREE = SortedTree(entry(number, row) for number, row in [(2, 0), (4, 0), (4, 1), (6, 0), (8, 0)])


def test_an_absence_needs_both_neighbours_and_the_right_ones() -> None:
    good = TREE.prove_absence(make_id(5))
    assert good.left is not None
    assert good.right is not None
    verify_absence(make_id(5), good, TREE.size, TREE.root)
    first, last = TREE.prove_presence(entry(2)), TREE.prove_presence(entry(8))
    for wrong in (
        Absence(None, good.right),
        Absence(good.left, None),
        Absence(None, None),
        Absence(first, good.right),
        Absence(good.left, last),
        Absence(good.right, good.left),
        Absence(good.left, good.left),
        replace(good, left=replace(good.left, index=1)),
        replace(good, left=replace(good.left, hashes=good.left.hashes[:-1])),
        replace(good, left=replace(good.left, entry=entry(4, 7))),
        replace(good, right=replace(good.right, entry=entry(6)[:-1])),
    ):
        with pytest.raises(NotProven):
            verify_absence(make_id(5), wrong, TREE.size, TREE.root)


def test_the_edges() -> None:
    below, above = TREE.prove_absence(make_id(1)), TREE.prove_absence(make_id(9))
    assert (below.left, above.right) == (None, None)
    verify_absence(make_id(1), below, TREE.size, TREE.root)
    verify_absence(make_id(9), above, TREE.size, TREE.root)
    for number, absence in ((3, below), (2, below), (9, below), (7, above), (8, above), (1, above)):
        with pytest.raises(NotProven):
            verify_absence(make_id(number), absence, TREE.size, TREE.root)


def test_the_empty_set_has_no_one() -> None:
    empty = SortedTree([])
    assert sorted_root([]) == (0, EMPTY_ROOT) == (empty.size, empty.root)
    verify_absence(make_id(1), empty.prove_absence(make_id(1)), 0, EMPTY_ROOT)
    for size, head in ((0, TREE.root), (TREE.size, TREE.root), (TREE.size, EMPTY_ROOT)):
        with pytest.raises(NotProven):
            verify_absence(make_id(1), Absence(None, None), size, head)


def test_presence_is_of_the_whole_entry() -> None:
    place = TREE.prove_presence(entry(4, 1))
    verify_presence(entry(4, 1), place, TREE.size, TREE.root)
    with pytest.raises(NotProven):
        TREE.prove_presence(entry(4, 2))
    for wrong in (entry(4, 0), entry(4, 2)):
        with pytest.raises(NotProven):
            verify_presence(wrong, place, TREE.size, TREE.root)
        with pytest.raises(NotProven):
            verify_presence(wrong, replace(place, entry=wrong), TREE.size, TREE.root)


def test_a_leaf_of_another_length_is_no_entry() -> None:
    odd = b"x" * 65
    hashes = [leaf_hash(odd)]
    stored = Frontier().extend(hashes)
    place = Place(0, odd, tuple(inclusion_proof(0, 1, lambda wanted: [stored for _ in wanted])))
    with pytest.raises(NotProven, match="64 bytes"):
        verify_presence(odd, place, 1, root(hashes))


def test_unsorted_double_and_odd_entries_make_no_tree() -> None:
    for entries in ([entry(2), entry(1)], [entry(1), entry(1)], [entry(1)[:-1]], [b""]):
        with pytest.raises(Malformed):
            sorted_root(entries)
    for entries in ([entry(1), entry(1)], [make_id(1)]):
        with pytest.raises(Malformed):
            SortedTree(entries)
    for id in (b"", entry(5), make_id(5)[:-1]):
        with pytest.raises(Malformed):
            TREE.prove_absence(id)
        with pytest.raises(Malformed):
            verify_absence(id, Absence(None, None), 0, EMPTY_ROOT)


PRESENT = encode_presence(TREE.prove_presence(entry(4, 1)), TREE.size)
ABSENT = encode_absence(make_id(5), TREE.prove_absence(make_id(5)), TREE.size)


@pytest.mark.parametrize(("text", "subject"), [(PRESENT, entry(4, 1)), (ABSENT, make_id(5))])
def test_every_cut_or_reordered_proof_file_is_refused(text: str, subject: bytes) -> None:
    lines = text.split("\n")
    wrong = [lines[:i] + lines[i + 1 :] for i in range(len(lines))]
    wrong += [[*lines[:i], lines[i], *lines[i:]] for i in range(len(lines))]
    wrong += [[*lines[:i], lines[i + 1], lines[i], *lines[i + 2 :]] for i in range(len(lines) - 1)]
    for variant in wrong:
        with pytest.raises(ProofError):
            verify_sorted_proof("\n".join(variant), subject, TREE.size, TREE.root)


@given(st.sampled_from([(PRESENT, entry(4, 1)), (ABSENT, make_id(5))]), st.data())
def test_no_character_of_a_proof_file_can_change(case: tuple[str, bytes], data: st.DataObject) -> None:
    text, subject = case
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.characters(codec="utf-8")) + text[at + 1 :]
    if changed != text:
        with pytest.raises(ProofError):
            verify_sorted_proof(changed, subject, TREE.size, TREE.root)


def test_a_proof_file_is_of_one_subject_and_one_tree() -> None:
    for text, subject, size, head in (
        (PRESENT, entry(4, 0), TREE.size, TREE.root),
        (PRESENT, entry(4, 1), TREE.size + 1, TREE.root),
        (PRESENT, entry(4, 1), TREE.size, EMPTY_ROOT),
        (PRESENT, make_id(4), TREE.size, TREE.root),
        (ABSENT, make_id(3), TREE.size, TREE.root),
        (ABSENT, make_id(5), TREE.size, EMPTY_ROOT),
        (ABSENT, entry(5), TREE.size, TREE.root),
    ):
        with pytest.raises(NotProven):
            verify_sorted_proof(text, subject, size, head)


def test_what_is_no_proof_file_is_malformed() -> None:
    hash_first = ABSENT.replace("\nentry 2 ", "\n" + "A" * 43 + "=\nentry 2 ")
    for text in ("", PRESENT.replace("@v1", "@v2"), PRESENT.replace("present", "Present"), hash_first):
        with pytest.raises(Malformed):
            verify_sorted_proof(text, entry(4, 1), TREE.size, TREE.root)
