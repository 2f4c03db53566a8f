"""What was written, read back in order; and the tree of hashes over what a scan read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.proof.errors import NotProven
from tallystick.proof.fabric.rwset import Version
from tallystick.proof.fabric.state import State
from tallystick.proof.fabric.validity import summary

KEYS = st.text("abé\U0001f600", min_size=1, max_size=3)


@given(st.lists(st.tuples(KEYS, st.booleans())), KEYS, KEYS, st.booleans())
def test_a_range_has_what_a_sorted_map_would_have(
    writes: list[tuple[str, bool]], start: str, end: str, last: bool
) -> None:
    state, model = State(), dict[str, Version]()
    for position, (key, deletes) in enumerate(writes):
        version = Version(1, position)
        state.write("space", key, None if deletes else version)
        if deletes:
            model.pop(key, None)
        else:
            model[key] = version
        list(state.range("space", "", "", False))
    ordered = sorted(model.items(), key=lambda item: item[0].encode())
    assert list(state.range("space", "", "", False)) == ordered
    expected = [(k, v) for k, v in ordered if start <= k and (k < end or (last and k == end))]
    assert list(state.range("space", start, end, last)) == expected
    assert all(state.version("space", key) == version for key, version in ordered)
    assert list(state.range("another", "", "", False)) == []


def test_ids_are_known_by_their_exact_text() -> None:
    state = State()
    for known in ("ab" * 32, "not hex", ""):
        assert not state.has_id(known)
        state.add_id(known)
        assert state.has_id(known)
    assert not state.has_id("AB" * 32)


def test_few_reads_have_no_summary_and_a_degree_of_one_makes_none() -> None:
    reads = [(f"{i}", Version(1, i)) for i in range(4)]
    assert summary(iter(reads[:3]), 3) is None
    made = summary(iter(reads), 3)
    assert made is not None
    assert (made.max_level, len(made.hashes)) == (1, 1)
    with pytest.raises(NotProven):
        summary(iter(reads), 1)


@given(st.integers(1, 60), st.integers(2, 5), st.integers(0, 59))
def test_a_summary_changes_with_every_version(count: int, degree: int, at: int) -> None:
    reads = [(f"{i:03}", Version(1, i)) for i in range(count)]
    other = [(key, Version(2, 0) if i == at % count else version) for i, (key, version) in enumerate(reads)]
    if count > degree:
        assert summary(iter(reads), degree) != summary(iter(other), degree)
