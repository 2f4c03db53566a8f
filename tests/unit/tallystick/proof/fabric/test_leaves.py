"""The log over Fabric's blocks has the leaves of every host, and follows from the blocks alone."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from typing import Any

from fabric_protos.common import common_pb2
from support.fabric_blocks import LOG, stored

from tallystick.proof.fabric.blocks import parse_block, parse_envelope, parse_payload
from tallystick.proof.fabric.channel import Channel
from tallystick.proof.fabric.leaves import leaves_of
from tallystick.proof.fabric.validity import Found
from tallystick.proof.leaves import parse_record_leaf
from tallystick.proof.merkle import leaf_hash, root


def leaves(name: str) -> tuple[list[bytes], Any]:
    """The leaves of a block of transactions, derived beside its channel, and the judged block."""
    network = stored("raft")
    channel = network.channel_before(name)
    judged = channel.judge(network[name])
    block = parse_block(network[name])
    found = [
        Found(each.verdict, data, parse_payload(parse_envelope(data).payload))
        for each, data in zip(judged.transactions, block.envelopes, strict=True)
    ]
    return leaves_of(block.header, None, found, judged.transactions), judged


def test_a_transaction_that_counts_has_a_leaf_and_then_its_records() -> None:
    made, judged = leaves("batch")
    block, transaction, *records = (json.loads(leaf) for leaf in made)
    assert block == {
        "leaf": "block",
        "v": 1,
        "number": judged.number,
        "header": judged.digest,
        "config": None,
        "valid": 1,
        "invalid": 0,
    }
    (told,) = judged.transactions
    envelope = common_pb2.Block.FromString(stored("raft")["batch"]).data.data[0]
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(envelope).payload)
    nonce = common_pb2.SignatureHeader.FromString(payload.header.signature_header).nonce
    salts = [hmac.new(nonce, bytes([0, 0, 0, index]), "sha256").hexdigest() for index in range(6)]
    assert transaction == {
        "leaf": "transaction",
        "v": 1,
        "id": told.call.transaction_id,
        "msp": "OperatorMSP",
        "roles": ["pipeline"],
        "contract": "provenance",
        "package": judged.package,
        "envelope": sha256(envelope).hexdigest(),
        "records": 5,
        "salt": salts[0],
    }
    assert [each["salt"] for each in records] == salts[1:]
    assert [parse_record_leaf(leaf)["id"] for leaf in made[2:]] == [f"dataset/d{i}/1" for i in range(5)]
    for leaf, record in zip(made[2:], told.outcome.records, strict=True):
        assert record in leaf


def test_what_does_not_count_is_only_counted() -> None:
    made, judged = leaves("conflict")
    assert json.loads(made[0])["invalid"] == json.loads(made[0])["valid"] == 1
    assert [json.loads(leaf)["leaf"] for leaf in made] == ["block", "transaction", "record"]
    assert [each.leaf >= 0 for each in judged.transactions] == [True, False]
    made, _ = leaves("edited")
    assert [json.loads(leaf)["leaf"] for leaf in made] == ["block"]


def test_a_transaction_of_the_lifecycle_has_a_leaf_named_after_it() -> None:
    made, _ = leaves("commit")
    leaf = json.loads(made[1])
    assert (leaf["contract"], leaf["records"], leaf["msp"]) == ("_lifecycle", 0, "OperatorMSP")


def test_a_configurations_leaf_names_it_and_everybody_derives_the_same_log() -> None:
    network = stored("bft")
    channels = [Channel(LOG), Channel(LOG)]
    hashes: list[bytes] = []
    for block in network.blocks:
        first, second = (channel.judge(block) for channel in channels)
        assert first == second
        if first.configured:
            config = parse_block(block).header, channels[0].rules
            hashes.append(leaf_hash(leaves_of(*config, [], [])[0]))
            assert json.loads(leaves_of(*config, [], [])[0])["config"] == first.configured.digest
            assert first.hashes[:32] == hashes[-1]
    assert channels[0].frontier.root() == channels[1].frontier.root()


def test_the_head_is_over_the_leaves_in_their_order() -> None:
    network = stored("raft")
    channel = Channel(LOG)
    hashes = []
    for block in network.blocks[: network.names["conflict"] + 1]:
        judged = channel.judge(block)
        parsed = parse_block(block)
        found = [
            Found(each.verdict, data, parse_payload(parse_envelope(data).payload))
            for each, data in zip(judged.transactions, parsed.envelopes, strict=False)
        ]
        made = leaves_of(
            parsed.header, channel.rules if judged.configured else None, found, judged.transactions
        )
        for each in judged.transactions:
            if each.leaf >= 0:
                assert json.loads(made[each.leaf - len(hashes)])["leaf"] == "transaction"
        hashes += [leaf_hash(leaf) for leaf in made]
    assert (channel.frontier.size, channel.frontier.root()) == (len(hashes), root(hashes))
