"""Blocks of real networks: every code found as the peers found it, every alteration named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from fabric_protos.common import common_pb2
from support.fabric_blocks import LOG, Stored, altered, stored

from tallystick.proof.errors import NotProven, ProofError
from tallystick.proof.fabric import policies
from tallystick.proof.fabric.blocks import parse_block
from tallystick.proof.fabric.channel import Channel
from tallystick.proof.fabric.configuration import Configuration
from tallystick.proof.fabric.endorsements import definition_of
from tallystick.proof.fabric.identities import Identity
from tallystick.proof.fabric.judged import judge_content
from tallystick.proof.fabric.signatures import judge_signatures, quorum
from tallystick.proof.fabric.validity import CODES, judge_transactions
from tallystick.proof.membership import Member

_signers = policies.signers

_COLLUDING = "colluding: "


def honest(network: Stored) -> list[tuple[str, bytes]]:
    """All blocks up to those that our contracts would never have written."""
    numbers = {number: name for name, number in network.names.items()}
    return [
        (numbers[number], block)
        for number, block in enumerate(network.blocks)
        if not numbers[number].startswith(_COLLUDING)
    ]


@pytest.mark.parametrize(("network", "signers"), [("raft", 1), ("bft", 3)])
def test_every_code_is_what_the_peers_found(network: str, signers: int) -> None:
    channel = Channel(LOG)
    codes: set[str] = set()
    for _, block in honest(stored(network)):
        judged = channel.judge(block)
        flags = common_pb2.Block.FromString(block).metadata.metadata[2]
        if judged.configured is None:
            assert [each.verdict for each in judged.transactions] == [CODES[flag] for flag in flags]
            assert judged.signers >= signers
        codes |= {each.verdict for each in judged.transactions}
    if network == "raft":
        assert codes == {
            "VALID",
            "BAD_PROPOSAL_TXID",
            "DUPLICATE_TXID",
            "ENDORSEMENT_POLICY_FAILURE",
            "ILLEGAL_WRITESET",
            "INVALID_CHAINCODE",
            "INVALID_ENDORSER_TRANSACTION",
            "INVALID_OTHER_REASON",
            "MVCC_READ_CONFLICT",
            "PHANTOM_READ_CONFLICT",
        }


def test_a_transaction_is_told_in_no_format_of_fabrics() -> None:
    network = stored("raft")
    channel = network.channel_before("charter")
    judged = channel.judge(network["charter"])
    (transaction,) = judged.transactions
    call, outcome = transaction.call, transaction.outcome
    assert call is not None
    assert outcome is not None
    assert (transaction.position, transaction.verdict, transaction.ours) == (0, "VALID", True)
    assert (call.contract, call.transaction) == ("charter", "adopt")
    assert call.caller == Member("OperatorMSP", "admin", frozenset({"admin"}))
    assert call.request.startswith(b'{"grants":')
    assert len(call.transaction_id) == 64
    assert call.claimed_time > 1_700_000_000_000
    assert outcome.package == judged.package
    assert outcome.reads["charter/charter"] is None
    assert b"tallystick-log-v1" in (outcome.writes["charter/charter"] or b"")
    assert outcome.records[0].startswith(b'{"body":')
    assert transaction.leaf == channel.frontier.size - 2
    batch = channel.judge(network["batch"]).transactions[0].outcome
    assert batch is not None
    assert len(batch.records) == 5
    assert batch.reads["charter/charter"] == (network.names["charter"], 0)


def test_a_definition_is_followed_from_the_block_after_it() -> None:
    network = stored("raft")
    channel = network.channel_before("commit")
    assert channel.judge(network["commit"]).package == ""
    first = channel.judge(network["charter"]).package
    assert len(first) == 64
    channel = network.channel_before("upgrade")
    assert channel.judge(network["upgrade"]).package == first
    late = channel.judge(network["late"])
    assert (late.package, late.transactions[0].verdict) == ("e" * 64, "MVCC_READ_CONFLICT")
    assert channel.judge(network["upgraded"]).transactions[0].verdict == "VALID"
    old = channel.judge(network["upgraded, by the old policy"])
    assert old.transactions[0].verdict == "ENDORSEMENT_POLICY_FAILURE"


@pytest.mark.parametrize("network", ["raft", "bft"])
def test_a_configuration_is_followed(network: str) -> None:
    blocks = stored(network)
    channel = blocks.channel_before("revocation")
    before = channel.rules
    configured = channel.judge(blocks["revocation"]).configured
    assert configured is not None
    assert configured.changed == ("Channel/Application/OperatorMSP/MSP",)
    assert configured.sequence == before.sequence + 1
    assert configured.digest == channel.rules.digest != before.digest
    assert channel.judge(blocks["after revocation"]).transactions[0].verdict == "VALID"


@pytest.mark.parametrize("name", ["conflict", "replay", "one endorser", "edited", "deleted", "upgraded"])
def test_a_flag_that_is_turned_is_named(name: str) -> None:
    network = stored("raft")
    count = len(common_pb2.Block.FromString(network[name]).data.data)
    for position in range(count):

        def turn(block: Any, at: int = position) -> None:
            flags = bytearray(block.metadata.metadata[2])
            flags[at] = 11 if flags[at] == 0 else 0
            block.metadata.metadata[2] = bytes(flags)

        with pytest.raises(NotProven, match=rf"transaction {position} is marked"):
            network.channel_before(name).judge(altered(network[name], turn))


def test_a_configuration_counts_by_its_flag_and_by_who_ordered_it() -> None:
    network = stored("raft")

    def flag(block: Any) -> None:
        block.metadata.metadata[2] = b"\x06"

    def creator(block: Any) -> None:
        envelope = common_pb2.Envelope.FromString(block.data.data[0])
        envelope.signature = envelope.signature[:-1] + bytes([envelope.signature[-1] ^ 1])
        block.data.data[0] = envelope.SerializeToString()
        block.header.data_hash = hashlib.sha256(block.data.data[0]).digest()

    with pytest.raises(NotProven, match="marked INVALID_CONFIG_TRANSACTION and is VALID"):
        network.channel_before("revocation").judge(altered(network["revocation"], flag))
    channel = network.channel_before("revocation")
    with (
        patch("tallystick.proof.fabric.channel.judge_signatures", lambda *_: 1),
        pytest.raises(NotProven, match="does not count: BAD_CREATOR_SIGNATURE"),
    ):
        channel.judge(altered(network["revocation"], creator))


@pytest.mark.parametrize("name", ["version guessed", "absence guessed", "deleted in the block"])
def test_what_an_earlier_transaction_of_the_block_wrote_cannot_have_been_read(name: str) -> None:
    network = stored("raft")
    judged = network.channel_before(name).judge(network[name])
    assert [each.verdict for each in judged.transactions] == ["VALID", "MVCC_READ_CONFLICT"]


def test_an_organisation_that_joins_has_members_from_then_on() -> None:
    network = stored("raft")
    channel = network.channel_before("joined")
    configured = channel.judge(network["joined"]).configured
    assert configured is not None
    assert "Channel/Application/WatcherMSP/MSP" in configured.changed
    (transaction,) = channel.judge(network["by who joined"]).transactions
    assert transaction.call is not None
    assert transaction.call.caller == Member("WatcherMSP", "new", frozenset({"reader"}))


@pytest.mark.parametrize("flags", [b"", b"\x00", b"\x00\x0b\x00"])
def test_a_flag_too_few_or_too_many_is_named(flags: bytes) -> None:
    network = stored("raft")

    def change(block: Any) -> None:
        block.metadata.metadata[2] = flags

    with pytest.raises(NotProven, match="flags for 2 transactions"):
        network.channel_before("conflict").judge(altered(network["conflict"], change))


def _number(block: Any) -> None:
    block.header.number += 1


def _previous(block: Any) -> None:
    block.header.previous_hash = bytes(32)


def _data_hash(block: Any) -> None:
    block.header.data_hash = bytes(32)


def _envelope(block: Any) -> None:
    block.data.data[0] = block.data.data[0].replace(b"0", b"1", 1)


def _envelope_and_hash(block: Any) -> None:
    _envelope(block)
    block.header.data_hash = hashlib.sha256(b"".join(block.data.data)).digest()


def _dropped(block: Any) -> None:
    del block.data.data[1]
    block.header.data_hash = hashlib.sha256(b"".join(block.data.data)).digest()


def _signatures(change: Callable[[Any], None]) -> Callable[[Any], None]:
    def work(block: Any) -> None:
        metadata = common_pb2.Metadata.FromString(block.metadata.metadata[0])
        change(metadata)
        block.metadata.metadata[0] = metadata.SerializeToString()

    return work


def _value(metadata: Any) -> None:
    metadata.value += b"\x12\x00"


def _signature(metadata: Any) -> None:
    for each in metadata.signatures:
        each.signature = each.signature[:-1] + bytes([each.signature[-1] ^ 1])


def _unsigned(metadata: Any) -> None:
    del metadata.signatures[:]


def _nonce(metadata: Any) -> None:
    for each in metadata.signatures:
        each.signature_header += b"\x12\x00"


def _no_metadata(block: Any) -> None:
    block.metadata.Clear()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_number, r"is block \d+ and stands where \d+ should"),
        (_previous, "does not follow"),
        (_data_hash, "not what the header names"),
        (_envelope, "not what the header names"),
        (_envelope_and_hash, "not signed by those orderers"),
        (_dropped, "not signed by those orderers"),
        (_signatures(_value), "not signed by those orderers"),
        (_signatures(_signature), "not signed by those orderers"),
        (_signatures(_unsigned), "not signed by those orderers"),
        (_signatures(_nonce), "not signed by those orderers"),
        (_no_metadata, "not signed by those orderers"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_alteration_is_named(change: Callable[[Any], None], named: str) -> None:
    network = stored("raft")
    with pytest.raises(NotProven, match=named):
        network.channel_before("conflict").judge(altered(network["conflict"], change))
    network.channel_before("conflict").judge(altered(network["conflict"], lambda block: None))


def test_fewer_orderers_than_a_quorum_are_named_and_none_counts_twice() -> None:
    network = stored("bft")

    def two(metadata: Any) -> None:
        del metadata.signatures[2:]

    def twice(metadata: Any) -> None:
        two(metadata)
        metadata.signatures.extend(metadata.signatures[:])

    def stranger(metadata: Any) -> None:
        header = common_pb2.IdentifierHeader(identifier=99)
        metadata.signatures[0].identifier_header = header.SerializeToString()

    for change in (two, twice, stranger):
        with pytest.raises(NotProven, match="not signed by those orderers"):
            network.channel_before("charter").judge(altered(network["charter"], _signatures(change)))
    assert network.channel_before("charter").judge(network["charter"]).signers == 3


def test_a_quorum_is_asked_for_whatever_the_channels_policy_says() -> None:
    assert {n: quorum(n) for n in (1, 4, 7, 10)} == {1: 1, 4: 3, 7: 5, 10: 7}
    network = stored("bft")
    channel = network.channel_before("charter")
    block = parse_block(network["charter"])
    metadata = common_pb2.Metadata.FromString(block.signatures)
    with patch.object(Configuration, "satisfied", lambda *_: True):
        judge_signatures(block.header, metadata.SerializeToString(), channel.rules, 0)
        with (
            patch.object(policies, "signers", lambda *asked: _first_revoked(_signers(*asked))),
            pytest.raises(NotProven, match="fewer orderers than a quorum"),
        ):
            judge_signatures(block.header, metadata.SerializeToString(), channel.rules, 0)
        del metadata.signatures[2:]
        with pytest.raises(NotProven, match="fewer orderers than a quorum"):
            judge_signatures(block.header, metadata.SerializeToString(), channel.rules, 0)


def _first_revoked(signers: list[Identity]) -> list[Identity]:
    return [replace(signers[0], problem="revoked"), *signers[1:]]


def test_orderers_that_hold_to_another_configuration_are_named() -> None:
    network = stored("raft")
    channel = network.channel_before("after revocation")
    block = parse_block(network["after revocation"])
    assert judge_signatures(block.header, block.signatures, channel.rules, channel.config_block) == 1
    with pytest.raises(NotProven, match="another configuration than the one in force"):
        judge_signatures(block.header, block.signatures, channel.rules, 0)


def test_a_chain_has_no_gap_no_repetition_and_no_stranger() -> None:
    network, other = stored("raft"), stored("bft")
    with pytest.raises(NotProven, match=r"is block \d+ and stands where"):
        network.channel_before("charter").judge(network["batch"])
    with pytest.raises(NotProven, match=r"is block \d+ and stands where"):
        network.channel_before("charter").judge(network["commit"])
    channel = Channel(LOG)
    channel.judge(network.blocks[0])
    with pytest.raises(NotProven, match="does not follow"):
        channel.judge(other.blocks[1])


def test_the_genesis_block_is_the_one_asked_for() -> None:
    network, other = stored("raft"), stored("bft")
    digest = Channel(LOG).judge(network["genesis"]).digest
    assert Channel(LOG, genesis=digest).judge(network["genesis"]).configured is not None
    with pytest.raises(NotProven, match="not the genesis block"):
        Channel(LOG, genesis=digest).judge(other["genesis"])
    channel = Channel(LOG)
    channel.judge(network["genesis"])
    assert channel.origin == f"{LOG}/{digest[:16]}"


def test_two_envelopes_are_not_read_as_one() -> None:
    network = stored("raft")

    def joined(block: Any) -> None:
        both = b"".join(block.data.data)
        del block.data.data[:]
        block.data.data.append(both)

    with pytest.raises(ProofError, match="not in its one form"):
        network.channel_before("conflict").judge(altered(network["conflict"], joined))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_empty_envelope_which_the_header_does_not_show_is_refused(place: int) -> None:
    network = stored("raft")
    more = altered(network["conflict"], lambda block: block.data.data.insert(place, b""))
    with pytest.raises(ProofError, match="not in its one form"):
        network.channel_before("conflict").judge(more)
    network.channel_before("conflict").judge(network["conflict"])


def test_an_organisations_word_on_its_private_data_is_none_on_what_all_share() -> None:
    network = stored("raft")
    channel = network.channel_before(_COLLUDING + "other package")
    block = parse_block(network[_COLLUDING + "beside private data"])
    (found,) = judge_transactions(block, channel.rules, channel._state)
    assert found.code == CODES[block.flags[0]] == "ENDORSEMENT_POLICY_FAILURE"


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("other package", "under another package"),
        ("refused", "though the contracts refused it"),
        ("event that is none", "holds no records"),
        ("spaces in the records", "not one of canonical records"),
        ("other event", "not one of canonical records"),
        ("no transaction", "by a name that is none"),
        ("not yet valid", "not yet valid at that time"),
        ("another chaincode's state", "writes another chaincode's state"),
        ("private data", "uses private data"),
        ("key policy", "a policy for a single key"),
    ],
)
def test_what_peers_count_and_our_contracts_would_not_have_done_is_named(name: str, named: str) -> None:
    network = stored("raft")
    channel = network.channel_before(_COLLUDING + "other package")
    # A channel ends at the first of these blocks, so the others are judged beneath it.
    block = parse_block(network[_COLLUDING + name])
    (found,) = judge_transactions(block, channel.rules, channel._state)
    assert found.code == "VALID"
    definition = definition_of("tallystick", channel._state)
    assert definition is not None
    with pytest.raises(ProofError, match=named):
        judge_content(found, 0, "tallystick", definition.version, 1)
    if name == "other package":
        with pytest.raises(NotProven, match="transaction 0: was endorsed under another package"):
            network.channel_before(_COLLUDING + name).judge(network[_COLLUDING + name])
