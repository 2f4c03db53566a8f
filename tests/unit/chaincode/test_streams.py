"""A stream's numbers are contiguous and its time never runs back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.errors import Refusal
from chaincode.streams import Position, advance

SKEW = 1000


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_numbers_are_contiguous_and_times_never_fall(claims):
    position, times = Position(0, 0), [0]
    for accepted, claim in enumerate(claims, 1):
        try:
            position = advance(position, claim, SKEW, "dataset:x")
        except Refusal:
            assert claim < position.time - SKEW
            return
        assert position.number == accepted
        assert position.time == max(claim, times[-1])
        times.append(position.time)


def test_a_claim_may_lag_by_the_skew_and_not_by_more():
    last = Position(7, 5000)
    assert advance(last, 4000, SKEW, "dataset:x") == Position(8, 5000)
    with pytest.raises(Refusal) as refusal:
        advance(last, 3999, SKEW, "dataset:x")
    assert refusal.value.code == "BACKDATED"
    assert refusal.value.facts["stream_type"] == "dataset"
