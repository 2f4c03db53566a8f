"""A channel's chain in the terms of every host: roots where they are asked for, the block that is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.fabric_blocks import LOG, altered, sound, stored, upgraded_fields

from tallystick.evidence.channel_chain import ChannelChain
from tallystick.evidence.judged import BadBlock
from tallystick.proof.fabric.channel import Channel
from tallystick.proof.merkle import Frontier


def walked(blocks: Any, sizes: Any = (), origin: str = "") -> ChannelChain:
    if not origin:
        channel = Channel(LOG)
        channel.judge(sound("raft")[0])
        origin = channel.origin
    chain = ChannelChain(blocks, origin, "tallystick", "")
    chain.judged = list(chain.walk(sizes))  # type: ignore[attr-defined]
    return chain


def test_it_ends_where_the_judgement_does() -> None:
    blocks, channel = sound("raft"), Channel(LOG)
    for block in blocks:
        channel.judge(block)
    chain = walked(blocks)
    assert (chain.height, chain.header, chain.origin) == (channel.height, channel.digest, channel.origin)
    assert chain.frontier.to_bytes() == channel.frontier.to_bytes()


def test_the_root_of_every_size_is_found_and_how_many_blocks_it_holds() -> None:
    blocks, channel = sound("raft"), Channel(LOG)
    ends = []
    for block in blocks:
        channel.judge(block)
        ends.append(channel.frontier.size)
    chain = walked(blocks, range(ends[-1] + 1))
    assert set(chain.roots) == set(range(ends[-1] + 1))
    assert chain.roots[0] == Frontier().root()
    assert chain.roots[ends[-1]] == channel.frontier.root()
    assert [chain.whole_blocks[end] for end in ends] == list(range(1, len(blocks) + 1))
    assert chain.whole_blocks[ends[1] - 1] == 1
    assert chain.roots[1] == leaf_hash_of_first(blocks)


def leaf_hash_of_first(blocks: Any) -> bytes:
    channel = Channel(LOG)
    return channel.judge(blocks[0]).hashes[:32]


def test_a_changed_endorsement_policy_is_named_and_one_that_stays_is_not() -> None:
    assert changed_by_the_upgrade() == ("contracts", "contracts' policy")
    assert changed_by_the_upgrade("EndorsementInfo") == ("contracts' policy",)
    assert changed_by_the_upgrade("ValidationInfo") == ("contracts",)
    assert changed_by_the_upgrade("EndorsementInfo", "ValidationInfo") == ()


def changed_by_the_upgrade(*before: str) -> tuple[str, ...]:
    """What the block that upgrades the contracts changes where these fields were as it sets them before."""
    fields, upgrade = upgraded_fields(), stored("raft").names["upgrade"]
    origin = stored("raft").channel_before("charter").origin

    def blocks() -> Iterator[bytes]:
        for number, block in enumerate(sound("raft")[: upgrade + 1]):
            if number == upgrade:
                for name in before:
                    chain._channel._state.keep("_lifecycle", *fields[name])
            yield block

    chain = ChannelChain(blocks(), origin, "tallystick", "")
    *others, last = chain.walk(())
    assert not any(each.configured for each in others[1:])
    assert last.configured
    assert last.configured.time > 0
    return last.configured.changed


def test_only_transactions_of_ours_that_count_are_run_again() -> None:
    chain = walked(sound("raft"))
    found = [each for block in chain.judged for each in block.transactions]  # type: ignore[attr-defined]
    assert found
    assert {each.verdict for each in found} == {"VALID"}
    assert {each.host_reads for each in found} == {("charter/charter",)}
    assert all(each.leaf > 0 for each in found)


def test_the_block_that_is_wrong_is_named() -> None:
    blocks = list(sound("raft"))

    def flip(block: Any) -> None:
        block.metadata.metadata[2] = bytes(255 - flag for flag in block.metadata.metadata[2])

    blocks[4] = altered(blocks[4], flip)
    with pytest.raises(BadBlock) as bad:
        walked(blocks)
    assert bad.value.number == 4


@pytest.mark.parametrize(
    ("blocks", "origin", "problem"),
    [((), "", "missing"), (sound("bft"), "", "is not the first block of this log")],
)
def test_another_log_is_not_this_one(blocks: Any, origin: str, problem: str) -> None:
    with pytest.raises(BadBlock, match=problem):
        walked(blocks, (), origin)
