"""A channel's log against blocks of real networks: followed at once or in parts, it is the same, and stops
where a block is not as it must be."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.fabric_blocks import LOG, altered, sound, stored, upgraded_fields

from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded
from tallystick.ledger.channel import log as room
from tallystick.ledger.channel import logged
from tallystick.ledger.channel.derived import StoredState
from tallystick.ledger.channel.log import ChannelLog
from tallystick.ledger.channel.rebuild import rebuild
from tallystick.ledger.channel.stored import StoredChannel
from tallystick.ledger.fabric import Block, DeliverError
from tallystick.proof import merkle
from tallystick.proof.block import origin_of
from tallystick.proof.checkpoint import Checkpoint
from tallystick.proof.fabric.channel import Channel
from tallystick.proof.fabric.endorsements import LIFECYCLE
from tallystick.proof.merkle import leaf_hash
from tallystick.reports.members import with_changes


class Peer:
    """Stands in for a peer that has ``blocks``."""

    def __init__(self, blocks: Sequence[bytes]) -> None:
        self.blocks = list(blocks)
        self.asked: list[int] = []

    def hand_out(self, gateway: Any, first: int, last: int, *, seconds: float) -> Iterator[Block]:
        self.asked.append(first)
        if last >= len(self.blocks):
            raise DeliverError(f"block {len(self.blocks)} did not come in time", code="DEADLINE_EXCEEDED")
        for number in range(first, last + 1):
            yield Block(number, self.blocks[number])

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(room, "blocks", self.hand_out)
        monkeypatch.setattr(room, "height", lambda gateway, seconds: len(self.blocks))
        monkeypatch.setattr(logged, "charter_of", lambda block: None)


@pytest.fixture(params=["raft", "bft"])
def blocks(request: pytest.FixtureRequest) -> tuple[bytes, ...]:
    return sound(request.param)


@pytest.fixture
def peer(blocks: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch) -> Peer:
    """A peer of a network whose charter is a made-up one, which is not looked at."""
    found = Peer(blocks)
    found.stand_in(monkeypatch)
    return found


def opened(directory: Path, chaincode: str = "tallystick") -> ChannelLog:
    gateway: Any = SimpleNamespace(channel="audit")
    return ChannelLog(gateway, directory, chaincode=chaincode, name=LOG)


def judged(blocks: Sequence[bytes]) -> Channel:
    channel = Channel(LOG)
    for block in blocks:
        channel.judge(block)
    return channel


def test_its_head_is_that_of_the_judged_blocks(peer: Peer, tmp_path: Path) -> None:
    channel, log = judged(peer.blocks), opened(tmp_path)
    head = log.head()
    assert (head.size, head.root) == (channel.frontier.size, channel.frontier.root())
    assert log.origin == head.origin == channel.origin == origin_of(LOG, log.genesis)
    assert log.block_hash(log.height - 1) == channel.digest


def test_followed_in_parts_and_by_others_it_is_the_same(peer: Peer, tmp_path: Path) -> None:
    whole = peer.blocks
    for end in range(1, len(whole) + 1, 3):
        peer.blocks = whole[:end]
        assert opened(tmp_path / "parts").height == end
    peer.blocks = whole
    parts, once = opened(tmp_path / "parts"), opened(tmp_path / "once")
    assert parts.head() == once.head()
    assert list(parts.log()) == list(once.log())
    assert list(parts.configurations()) == list(once.configurations())
    peer.asked.clear()
    assert parts.height == len(whole)
    assert peer.asked == []


def test_every_record_has_its_leaf_in_the_tree(peer: Peer, tmp_path: Path) -> None:
    log = opened(tmp_path)
    records = [r for block in log.log() for call in block.transactions for r in call.records]
    for record in records:
        proof, head = log.prove(
            lambda size, read, leaf=record.leaf: merkle.inclusion_proof(leaf, size, read)  # type: ignore[misc]
        )
        merkle.verify_inclusion(record.leaf, head.size, leaf_hash(record.leaf_bytes), proof, head.root)
    with pytest.raises(InvalidInput, match="no such proof"):
        log.prove(lambda size, read: merkle.inclusion_proof(size, size, read))


def test_a_block_that_is_not_as_it_must_be_stops_it_there(peer: Peer, tmp_path: Path) -> None:
    whole, number = peer.blocks, 3

    def flip(block: Any) -> None:
        block.metadata.metadata[2] = bytes(255 - flag for flag in block.metadata.metadata[2])

    peer.blocks = [*whole[:number], altered(whole[number], flip), *whole[number + 1 :]]
    log = opened(tmp_path)
    for _ in range(2):
        with pytest.raises(NotAsRecorded, match=f"block {number} of the channel audit is not as it must be"):
            log.head()
    peer.blocks = whole[:number]
    assert log.height == number
    peer.blocks = whole
    assert log.height == len(whole)


def test_what_was_committed_is_waited_for_though_a_peer_is_behind(peer: Peer, tmp_path: Path) -> None:
    log = opened(tmp_path)
    whole = peer.blocks
    peer.blocks = whole[:2]
    log.promise(1)
    assert log.height == 2
    log.promise(len(whole) - 1)
    with pytest.raises(CouldNotCheck, match="did not come in time"):
        _ = log.height


def test_another_channel_of_that_name_has_a_file_of_its_own(
    peer: Peer, tmp_path: Path, blocks: tuple[bytes, ...]
) -> None:
    one = opened(tmp_path)
    peer.blocks = list(sound("raft" if blocks == sound("bft") else "bft"))
    other = opened(tmp_path)
    assert one.derived.path != other.derived.path
    assert other.head().root == judged(peer.blocks).frontier.root()


def test_another_chaincode_of_the_channel_has_a_file_of_its_own(peer: Peer, tmp_path: Path) -> None:
    def records(chaincode: str) -> int:
        log = opened(tmp_path, chaincode).log()
        return sum(len(call.records) for block in log for call in block.transactions)

    whole = peer.blocks
    for end in (len(whole) // 2, len(whole)):
        peer.blocks = whole[:end]
        ours, others = records("tallystick"), records("other")
    assert (ours > 0, others) == (True, 0)
    assert opened(tmp_path).head().root == judged(whole).frontier.root()


def test_a_configuration_is_told_with_what_it_changed(peer: Peer, tmp_path: Path) -> None:
    first, *later = opened(tmp_path).configurations()
    told = [(each.enrolment_id, each.changed[0]) for each in later if each.changed]
    membership = "OperatorMSP has other membership rules (Channel/Application/OperatorMSP/MSP)"
    assert first.changed == ()
    assert told[0] == ("admin", membership)


def test_a_charter_of_another_log_stops_it(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = f"{LOG}/{'0' * 16}"
    monkeypatch.setattr(logged, "charter_of", lambda block: other if block.number == 2 else None)
    with pytest.raises(NotAsRecorded, match="the charter is that of another ledger"):
        _ = opened(tmp_path).height


def test_the_charter_names_the_log(peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(tmp_path)
    stated = origin_of("bank.example/models", log.genesis)
    monkeypatch.setattr(logged, "charter_of", lambda block: stated if block.number == 2 else None)
    assert log.origin == log.head().origin == stated
    assert opened(tmp_path).origin == stated


def test_made_again_it_is_as_before_or_put_right(peer: Peer, tmp_path: Path) -> None:
    log = opened(tmp_path)
    before = log.head()
    height, differences = rebuild(log)
    assert (height, set(differences.values())) == (len(peer.blocks), {0})
    with closing(sqlite3.connect(log.derived.path)) as connection, connection:
        connection.execute("UPDATE hashes SET data = zeroblob(length(data)) WHERE start = 0")
    assert rebuild(log)[1]["hashes"] == 1
    assert log.head() == before
    assert rebuild(log)[1]["hashes"] == 0


@pytest.mark.parametrize(
    ("before", "package", "policy"),
    [((), True, True), (("EndorsementInfo",), False, True), (("ValidationInfo",), True, False)],
)
def test_a_changed_endorsement_policy_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: tuple[str, ...], package: bool, policy: bool
) -> None:
    """Also where the package stays; and one that stays is not told of where the package changes."""
    whole, upgrade = sound("raft"), stored("raft").names["upgrade"]
    peer = Peer(whole[:upgrade])
    peer.stand_in(monkeypatch)
    log = opened(tmp_path)
    after = judged(whole[: upgrade + 1]).definition
    *_, last = log.configurations()
    assert after
    with log.derived.writing() as connection:
        for name in before:
            StoredState(connection).keep(LIFECYCLE, *upgraded_fields()[name])
            field = {"EndorsementInfo": {"package": after.version}, "ValidationInfo": {"policy": after.terms}}
            last = replace(last, **field[name])
        content = logged.encode_configuration(last)
        connection.execute("UPDATE configurations SET content = ? WHERE block = ?", (content, last.block))
    first = [*with_changes(log.configurations())]
    peer.blocks = list(whole[: upgrade + 1])
    *others, (configuration, changes) = with_changes(log.configurations())
    assert others == first
    assert (changes.package is not None, changes.policy is not None) == (package, policy)
    assert (configuration.block, configuration.enrolment_id) == (upgrade, "admin")


def test_who_verifies_has_the_head_of_these_blocks_though_another_follows_meanwhile(
    peer: Peer, tmp_path: Path
) -> None:
    whole, log, other = peer.blocks, opened(tmp_path), opened(tmp_path)
    peer.blocks = whole[:2]

    def signed(head: Checkpoint) -> Checkpoint:
        peer.blocks = whole
        other.follow()
        return head

    ledger: Any = SimpleNamespace(
        blocks=log, chaincode="", close=int, signed=signed, checkpoint=lambda: signed(log.head())
    )
    with StoredChannel(ledger) as stored:
        given, head = judged(list(stored.blocks())), cast(Any, stored.checkpoint)
    assert (head.size, head.root) == (given.frontier.size, given.frontier.root())
    assert given.height == 2
    assert log.height == len(whole)


def test_a_file_of_an_earlier_version_is_made_again_by_itself(peer: Peer, tmp_path: Path) -> None:
    log = opened(tmp_path)
    head = log.head()
    with closing(sqlite3.connect(log.derived.path)) as connection:
        connection.executescript(
            "DROP TABLE kept; UPDATE configurations SET content = ''; PRAGMA user_version = 1"
        )
    assert [each.block for each in log.configurations()][:1] == [0]
    assert log.head() == head
    with closing(sqlite3.connect(log.derived.path)) as connection:
        connection.executescript("UPDATE configurations SET content = ''; PRAGMA user_version = 1")
    assert set(rebuild(log)[1].values()) == {0}
    with closing(sqlite3.connect(log.derived.path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(NotAsRecorded, match="of a later version"):
        log.head()


def test_a_file_of_something_else_is_named(peer: Peer, tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.derived.path.write_bytes(b"no database " * 100)
    with pytest.raises(NotAsRecorded, match="is damaged") as damaged:
        _ = log.height
    assert "tally rebuild" in damaged.value.hint
    rebuild(log)
    assert log.height == len(peer.blocks)


@pytest.mark.parametrize(("column", "content"), [("digest", "00" * 32), ("configuration", b"\0")])
def test_a_damaged_file_is_blamed_itself_not_the_peer(
    peer: Peer, tmp_path: Path, column: str, content: str | bytes
) -> None:
    whole, log = peer.blocks, opened(tmp_path)
    peer.blocks = whole[:3]
    log.follow()
    with closing(sqlite3.connect(log.derived.path)) as connection, connection:
        connection.execute(f"UPDATE position SET {column} = ?", (content,))
    peer.blocks = whole
    with pytest.raises(NotAsRecorded, match=r"the log kept of the channel, .* is damaged") as caught:
        log.follow()
    assert "tally rebuild" in caught.value.hint
    rebuild(log)
    assert log.height == len(whole)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE configurations SET content = replace(content, 'admin', 'other')",
        "DELETE FROM configurations WHERE block = 0",
        "UPDATE versions SET position = position + 1",
        "UPDATE kept SET value = x'00'",
        "DELETE FROM ids",
        "UPDATE blocks SET logged = replace(logged, 'writer', 'reader'), hash = 'ff'",
        "UPDATE position SET configuration = x'00'",
        "",
    ],
)
def test_who_verifies_is_told_of_every_table_that_is_not_what_the_blocks_give(
    peer: Peer, tmp_path: Path, damage: str
) -> None:
    log = opened(tmp_path)
    log.follow()
    with closing(sqlite3.connect(log.derived.path)) as connection, connection:
        connection.execute(damage)
    ledger: Any = SimpleNamespace(blocks=log, chaincode="", close=int, signed=lambda head: head)
    if not damage:
        with StoredChannel(ledger) as stored:
            assert stored.height == len(peer.blocks)
        return
    with pytest.raises(NotAsRecorded, match="is damaged: its table"), StoredChannel(ledger):
        pass
