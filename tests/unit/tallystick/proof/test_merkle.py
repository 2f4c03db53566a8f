"""RFC 6962 trees: the published vectors, and random trees against the RFC's recursive definitions."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.proof import merkle
from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "vectors" / "rfc6962.json").read_text("utf-8")
)
LEAVES = [leaf_hash(bytes.fromhex(leaf)) for leaf in VECTORS["leaves"]]
ROOTS = [bytes.fromhex(root) for root in VECTORS["roots"]]


def unhex(items: list[str]) -> list[bytes]:
    return [bytes.fromhex(item) for item in items]


def make_leaves(count: int) -> list[bytes]:
    return [leaf_hash(b"leaf %d" % number) for number in range(count)]


def reader(leaves: Sequence[bytes]) -> merkle.Read:
    stored = Frontier().extend(leaves)
    return lambda indices: [stored[32 * index : 32 * index + 32] for index in indices]


# The definitions of RFC 6962 section 2.1, word for word.


def largest_power(n: int) -> int:
    power = 1
    while power * 2 < n:
        power *= 2
    return power


def mth(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = largest_power(len(leaves))
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = largest_power(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = largest_power(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def test_the_vectors_leaf_hashes_and_heads() -> None:
    assert unhex(VECTORS["leaf_hashes"]) == LEAVES
    assert [merkle.root(LEAVES[:size]) for size in range(9)] == ROOTS


@pytest.mark.parametrize("vector", VECTORS["inclusion"])
def test_the_vectors_audit_paths(vector: dict[str, Any]) -> None:
    index, size, proof = vector["index"], vector["size"], unhex(vector["proof"])
    assert inclusion_proof(index, size, reader(LEAVES)) == proof
    verify_inclusion(index, size, LEAVES[index], proof, ROOTS[size])


@pytest.mark.parametrize("vector", VECTORS["consistency"])
def test_the_vectors_consistency_proofs(vector: dict[str, Any]) -> None:
    old, new, proof = vector["old"], vector["new"], unhex(vector["proof"])
    assert consistency_proof(old, new, reader(LEAVES)) == proof
    verify_consistency(old, new, ROOTS[old], ROOTS[new], proof)


@given(st.data(), st.integers(1, 200))
def test_inclusion_is_the_rfcs_and_holds_for_its_own_place_only(data: st.DataObject, size: int) -> None:
    leaves = make_leaves(size)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, reader(leaves))
    assert proof == path(index, leaves)
    verify_inclusion(index, size, leaves[index], proof, mth(leaves))
    other = data.draw(st.integers(-1, size + 1).filter(lambda number: number != index))
    with pytest.raises(NotProven):
        verify_inclusion(other, size, leaves[index], proof, mth(leaves))


@given(st.data(), st.integers(0, 200))
def test_consistency_is_the_rfcs(data: st.DataObject, new: int) -> None:
    old = data.draw(st.integers(0, new))
    leaves = make_leaves(new)
    proof = consistency_proof(old, new, reader(leaves))
    assert proof == (subproof(old, leaves, True) if 0 < old < new else [])
    verify_consistency(old, new, mth(leaves[:old]), mth(leaves), proof)
    if old:
        with pytest.raises(NotProven):
            verify_consistency(old, new, leaf_hash(b"rewritten"), mth(leaves), proof)
        with pytest.raises(NotProven):
            verify_consistency(old, new, mth(leaves[:old]), leaf_hash(b"rewritten"), proof)


def damaged(proof: list[bytes]) -> list[list[bytes]]:
    """Every way of cutting, lengthening, reordering or altering a proof by one step."""
    extra = leaf_hash(b"extra")
    wrong = [[*proof[:i], *proof[i + 1 :]] for i in range(len(proof))]
    wrong += [[*proof[:i], extra, *proof[i:]] for i in range(len(proof) + 1)]
    wrong += [[*proof[:i], proof[i + 1], proof[i], *proof[i + 2 :]] for i in range(len(proof) - 1)]
    wrong += [[*proof[:i], extra, *proof[i + 1 :]] for i in range(len(proof))]
    wrong += [[*proof[:i], proof[i][:-1], *proof[i + 1 :]] for i in range(len(proof))]
    wrong.append(proof + proof[-1:] if proof else [extra, extra])
    return [item for item in wrong if item != proof]


@pytest.mark.parametrize("size", range(1, 18))
def test_every_damaged_inclusion_proof_is_refused(size: int) -> None:
    leaves = make_leaves(size)
    for index in range(size):
        for proof in damaged(path(index, leaves)):
            with pytest.raises(NotProven):
                verify_inclusion(index, size, leaves[index], proof, mth(leaves))


@pytest.mark.parametrize("new", range(1, 18))
def test_every_damaged_consistency_proof_is_refused(new: int) -> None:
    leaves = make_leaves(new)
    for old in range(new + 1):
        for proof in damaged(consistency_proof(old, new, reader(leaves))):
            with pytest.raises(NotProven):
                verify_consistency(old, new, mth(leaves[:old]), mth(leaves), proof)


def test_an_empty_proof_shows_nothing() -> None:
    leaves = make_leaves(7)
    for old in range(1, 7):
        with pytest.raises(NotProven):
            verify_consistency(old, 7, mth(leaves[:old]), mth(leaves), [])


def test_a_node_does_not_pass_for_a_leaf() -> None:
    leaves = make_leaves(4)
    with pytest.raises(NotProven):
        verify_inclusion(0, 4, node_hash(*leaves[:2]), [node_hash(*leaves[2:])], mth(leaves))


def test_sizes_out_of_range_are_refused() -> None:
    leaves = make_leaves(3)
    for index, size in ((0, 0), (3, 3), (-1, 3)):
        with pytest.raises(Malformed):
            inclusion_proof(index, size, reader(leaves))
        with pytest.raises(NotProven):
            verify_inclusion(index, size, leaves[0], [], leaves[0])
    for old, new in ((3, 2), (-1, 2)):
        with pytest.raises(Malformed):
            consistency_proof(old, new, reader(leaves))
        with pytest.raises(NotProven):
            verify_consistency(old, new, mth(leaves), mth(leaves[:2]), [])


def test_size_zero_has_one_root() -> None:
    verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])
    verify_consistency(0, 8, EMPTY_ROOT, ROOTS[8], [])
    for old_root, new_size, new_root in (
        (ROOTS[1], 8, ROOTS[8]),
        (EMPTY_ROOT, 0, ROOTS[1]),
        (ROOTS[1], 0, ROOTS[1]),
    ):
        with pytest.raises(NotProven, match="size 0"):
            verify_consistency(0, new_size, old_root, new_root, [])


@given(st.lists(st.integers(0, 40), max_size=6))
def test_a_frontier_grows_the_same_in_any_batches(batches: list[int]) -> None:
    leaves = make_leaves(sum(batches))
    one, many, rest, stored = Frontier(), Frontier(), list(leaves), b""
    singly = b"".join(item for leaf in leaves for item in one.append(leaf))
    for count in batches:
        stored += many.extend(rest[:count])
        rest = rest[count:]
        many = Frontier.from_bytes(many.to_bytes())
    assert stored == singly
    assert len(stored) == 32 * merkle.stored_count(len(leaves))
    assert one.size == many.size == len(leaves)
    assert one.root() == many.root() == mth(leaves)


def test_stored_indices_name_the_hashes_of_the_layout() -> None:
    leaves = make_leaves(16)
    read = reader(leaves)
    indices = []
    for level in range(5):
        for n in range(16 >> level):
            index = merkle.stored_index(level, n)
            indices.append(index)
            assert read([index])[0] == mth(leaves[n << level : (n + 1) << level])
    assert sorted(indices) == list(range(merkle.stored_count(16)))


def test_a_frontier_that_cannot_be_is_refused() -> None:
    good = Frontier()
    good.extend(make_leaves(3))
    for data in (b"", good.to_bytes()[:-1], good.to_bytes()[:-32], good.to_bytes() + bytes(32)):
        with pytest.raises(Malformed):
            Frontier.from_bytes(data)
    with pytest.raises(Malformed):
        Frontier(1, [b"short"])


def test_a_bad_leaf_hash_leaves_the_frontier_as_after_the_last_good_one() -> None:
    frontier, leaves = Frontier(), make_leaves(2)
    with pytest.raises(Malformed):
        frontier.extend([*leaves, b"short"])
    assert (frontier.size, frontier.root()) == (2, mth(leaves))


def test_a_store_that_lost_a_hash_is_noticed() -> None:
    read = reader(make_leaves(7))
    with pytest.raises(Malformed, match="missing"):
        inclusion_proof(0, 7, lambda indices: read(indices)[:-1])
    with pytest.raises(Malformed, match="missing"):
        inclusion_proof(0, 7, lambda indices: [b"" for _ in indices])


def test_thirty_thousand_leaves_in_a_batch_are_fast() -> None:
    leaves = [number.to_bytes(32, "big") for number in range(30_000)]
    seconds = []
    for _ in range(3):
        start = time.process_time()
        Frontier().extend(leaves)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.1
