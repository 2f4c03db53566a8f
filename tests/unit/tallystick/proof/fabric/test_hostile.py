"""Whatever the bytes, the answer is a verdict: a block is judged or refused, and nothing else is raised.

And what one client or one organisation alone can bring into a block stops nothing: peers mark it and go on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import pytest
from fabric_protos.common import common_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from support import creators
from support.fabric_blocks import altered, stored

from tallystick.proof.errors import ProofError
from tallystick.proof.fabric.blocks import parse_block, parse_envelope, parse_payload
from tallystick.proof.fabric.endorsements import parse_action
from tallystick.proof.fabric.identities import Identity
from tallystick.proof.fabric.judged import JudgedTransaction
from tallystick.proof.protobuf import bytes_field, number_field

EDITS = st.lists(
    st.tuples(st.integers(0, 2**16), st.integers(0, 3), st.binary(max_size=4)), min_size=1, max_size=4
)
CASES = [
    ("raft", "commit"),
    ("raft", "batch"),
    ("raft", "conflict"),
    ("raft", "summary 3"),
    ("bft", "revocation"),
]


def _edited(data: bytes, edits: Any) -> bytes:
    work = bytearray(data)
    for where, cut, put in edits:
        at = where % (len(work) + 1)
        work[at : at + cut] = put
    return bytes(work)


@pytest.mark.parametrize(("network", "name"), CASES)
@settings(max_examples=20, deadline=None)
@given(edits=EDITS)
def test_a_spoilt_block_is_refused_or_judged(network: str, name: str, edits: Any) -> None:
    channel = stored(network).channel_before(name)
    try:
        channel.judge(_edited(stored(network)[name], edits))
    except ProofError:
        assert channel.height == stored(network).names[name]


@pytest.mark.parametrize(("network", "name"), CASES)
@settings(max_examples=20, deadline=None)
@given(edits=EDITS)
def test_so_is_a_spoilt_transaction_though_every_signature_were_right(
    network: str, name: str, edits: Any
) -> None:
    def spoil(block: Any) -> None:
        envelope = common_pb2.Envelope.FromString(block.data.data[0])
        envelope.payload = _edited(envelope.payload, edits) or b"-"
        block.data.data[0] = envelope.SerializeToString()
        block.header.data_hash = hashlib.sha256(b"".join(block.data.data)).digest()

    channel = stored(network).channel_before(name)
    with patch.object(Identity, "signed", lambda *_: True):
        try:
            channel.judge(altered(stored(network)[name], spoil))
        except ProofError:
            assert channel.height == stored(network).names[name]


def _call(name: bytes, version: bytes = b"") -> bytes:
    return bytes_field(2, name) + (bytes_field(3, version) if version else b"")


@dataclass(frozen=True)
class Sent:
    """A transaction by its parts, each as bytes; the hashes over them always fit."""

    creator: bytes
    endorsers: tuple[bytes, ...]
    arguments: tuple[bytes, ...]
    extension: bytes
    chaincode: bytes
    seconds: int
    results: bytes = b""
    event: bytes = b""
    answer: bytes = b"\x08\xc8\x01"
    outcome: bytes | None = None
    proposal: bytes | None = None
    nonce: bytes = b"n" * 24
    transaction_id: str = ""
    more_of_channel_header: bytes = b""
    more_of_signature_header: bytes = b""
    more_of_payload: bytes = b""
    more_of_transaction: bytes = b""
    more_of_action: bytes = b""
    more_of_envelope: bytes = b""

    def encode(self) -> bytes:
        """The envelope. Its signature is none: the tests say that every one is right."""
        transaction_id = self.transaction_id or hashlib.sha256(self.nonce + self.creator).hexdigest()
        channel = number_field(1, 3) + bytes_field(4, b"audit") + bytes_field(5, transaction_id.encode())
        channel += bytes_field(3, number_field(1, self.seconds))
        channel += bytes_field(7, self.extension) + self.more_of_channel_header
        signature = bytes_field(1, self.creator) + bytes_field(2, self.nonce)
        data = bytes_field(1, bytes_field(1, signature) + bytes_field(2, self._action(channel, signature)))
        header = bytes_field(1, channel) + bytes_field(2, signature + self.more_of_signature_header)
        payload = bytes_field(1, header) + bytes_field(2, data + self.more_of_transaction)
        return bytes_field(1, payload + self.more_of_payload) + bytes_field(2, b"s") + self.more_of_envelope

    def _action(self, channel: bytes, signature: bytes) -> bytes:
        call = b"".join(bytes_field(1, each) for each in self.arguments)
        invocation = bytes_field(1, bytes_field(3, call))
        proposal = bytes_field(1, invocation) if self.proposal is None else self.proposal
        asked = hashlib.sha256(channel + signature + proposal).digest()
        outcome = self.outcome
        if outcome is None:
            outcome = bytes_field(1, self.results) + bytes_field(2, self.event)
            outcome += bytes_field(3, self.answer) + bytes_field(4, self.chaincode)
        response = bytes_field(1, asked) + bytes_field(2, outcome)
        endorsements = [
            bytes_field(2, bytes_field(1, each) + bytes_field(2, b"s")) for each in self.endorsers
        ]
        action = bytes_field(1, response) + b"".join(endorsements) + self.more_of_action
        return bytes_field(1, proposal) + bytes_field(2, action)


def _plain() -> Sent:
    """A call of ours that counts: it is whole, enough endorsed it, and it reads and writes nothing."""
    network = stored("raft")
    envelope = parse_block(network["batch"]).envelopes[0]
    payload = parse_payload(parse_envelope(envelope).payload)
    package = network.channel_before("batch").package.encode()
    endorsers = tuple(each.identity for each in parse_action(payload).signatures)
    called = bytes_field(2, _call(b"tallystick"))
    ran = _call(b"tallystick", package)
    return Sent(payload.creator, endorsers, (b"a:b", b"{}"), called, ran, payload.time // 1000)


def _judged(sent: Sent, flag: int) -> JudgedTransaction:
    """The verdict on a transaction that stands last in a block, so marked; the next block is judged too."""
    return _both((sent, flag), ())[0]


def _both(first: tuple[Sent, int], second: tuple[()] | tuple[Sent, int]) -> list[JudgedTransaction]:
    """The verdicts on the last transactions of two blocks, to each of which one may be added."""
    network = stored("raft")
    channel = network.channel_before("batch")
    last = []
    previous = None
    for name, added in (("batch", first), ("conflict", second)):

        def change(block: Any, added: Any = added, previous: bytes | None = previous) -> None:
            if added:
                block.data.data.append(added[0].encode())
                block.metadata.metadata[2] += bytes([added[1]])
                block.header.data_hash = hashlib.sha256(b"".join(block.data.data)).digest()
            block.header.previous_hash = previous or block.header.previous_hash

        with patch.object(Identity, "signed", lambda *_: True):
            judged = channel.judge(altered(network[name], change))
        previous = bytes.fromhex(judged.digest)
        last.append(judged.transactions[-1])
    assert channel.height == network.names["conflict"] + 1
    return last


def _ns(*fields: bytes) -> bytes:
    """The results of a transaction with one set, for a chaincode that nobody has."""
    return bytes_field(2, bytes_field(1, b"elsewhere") + b"".join(fields))


GROUP, END = b"\x7b", b"\x7c"
NO_MESSAGE, NO_TEXT = b"\xff", b"\xff"
RAW_READS, TREE = bytes_field(4, b""), bytes_field(5, number_field(1, 2) + number_field(2, 1))

DEAD: dict[str, tuple[int, dict[str, Any]]] = {
    "payload": (2, {"more_of_payload": NO_MESSAGE}),
    "time": (3, {"more_of_channel_header": bytes_field(3, NO_MESSAGE)}),
    "time, in two halves": (3, {"more_of_channel_header": bytes_field(3, b"\x08") + bytes_field(3, b"\x01")}),
    "channel's name": (3, {"more_of_channel_header": bytes_field(4, NO_TEXT) + bytes_field(4, b"audit")}),
    "signature header": (3, {"more_of_signature_header": NO_MESSAGE}),
    "creator": (4, {"creator": creators.REFUSED["a name of X.400"]}),
    "transaction": (5, {"more_of_transaction": NO_MESSAGE}),
    "groups deeper than Go reads": (5, {"more_of_transaction": GROUP * 10_002 + END * 10_002}),
    "proposal": (5, {"proposal": b""}),
    "endorsement": (5, {"more_of_action": bytes_field(2, NO_MESSAGE)}),
    "id": (8, {"transaction_id": "a" * 64}),
    "extension": (19, {"extension": NO_MESSAGE}),
    "called chaincode": (19, {"extension": bytes_field(2, NO_MESSAGE)}),
    "called chaincode's name": (19, {"extension": bytes_field(2, _call(NO_TEXT))}),
    "called chaincode's path": (
        19,
        {"extension": bytes_field(2, bytes_field(1, NO_TEXT) + _call(b"tallystick"))},
    ),
    "outcome": (21, {"outcome": NO_MESSAGE}),
    "no outcome": (21, {"outcome": b""}),
    "chaincode": (21, {"chaincode": NO_MESSAGE}),
    "chaincode's version": (21, {"chaincode": _call(b"tallystick", NO_TEXT)}),
    "answer": (21, {"answer": NO_MESSAGE}),
    "answer's message": (21, {"answer": bytes_field(2, NO_TEXT)}),
    "results": (22, {"results": NO_MESSAGE}),
    "public set": (22, {"results": _ns(bytes_field(2, NO_MESSAGE))}),
    "metadata's name": (22, {"results": _ns(bytes_field(2, bytes_field(4, bytes_field(1, NO_TEXT))))}),
    "hashed metadata": (22, {"results": _ns(bytes_field(3, bytes_field(2, bytes_field(3, NO_MESSAGE))))}),
    "range of both kinds": (
        22,
        {"results": _ns(bytes_field(2, bytes_field(2, bytes_field(5, NO_MESSAGE) + RAW_READS)))},
    ),
    "event": (255, {"event": NO_MESSAGE}),
    "event's transaction": (255, {"event": bytes_field(1, b"tallystick") + bytes_field(2, NO_TEXT)}),
    "another reason": (17, {"endorsers": ()}),
}
ALIVE: dict[str, dict[str, Any]] = {
    "as it is": {},
    "groups past a hundred": {"more_of_transaction": GROUP * 101 + END * 101},
    "groups as deep as Go reads": {"more_of_transaction": GROUP * 10_001 + END * 10_001},
    "a large number in a group": {"more_of_transaction": GROUP + b"\xf8\xff\xff\xff\x3f\x00" + END},
    "a field more in the envelope": {"more_of_envelope": bytes_field(9, b"more")},
    "a field of another kind in the envelope": {"more_of_envelope": b"\x08\x01" + GROUP + END},
    "a field more in every part": {
        "more_of_payload": bytes_field(9, NO_MESSAGE),
        "more_of_channel_header": bytes_field(9, NO_MESSAGE),
        "more_of_signature_header": bytes_field(9, NO_MESSAGE),
        "more_of_action": bytes_field(9, NO_MESSAGE),
    },
    "an endorsement by nobody": {"more_of_action": bytes_field(2, b"")},
    "an endorsement by what cannot be read": {
        "more_of_action": bytes_field(2, bytes_field(1, creators.REFUSED["a name of X.400"]))
    },
    "a range of both kinds": {
        "results": _ns(
            bytes_field(2, bytes_field(2, bytes_field(1, b"a") + bytes_field(2, b"b") + TREE + RAW_READS))
        )
    },
}


@pytest.mark.parametrize("name", DEAD)
def test_what_peers_mark_stops_nobody(name: str) -> None:
    flag, changes = DEAD[name]
    judged = _judged(replace(_plain(), **changes), flag)
    assert judged.verdict != "VALID"
    assert judged.leaf == -1


@pytest.mark.parametrize("name", ALIVE)
def test_what_peers_count_counts(name: str) -> None:
    assert _judged(replace(_plain(), **ALIVE[name]), 0).verdict == "VALID"


@pytest.mark.parametrize("part", ["extension", "chaincode", "results", "event", "answer", "outcome"])
@settings(max_examples=10, deadline=None)
@given(edits=EDITS)
def test_what_nobody_endorsed_stops_nobody_however_it_is_spoilt(part: str, edits: Any) -> None:
    plain = replace(_plain(), endorsers=(), results=_ns(bytes_field(2, bytes_field(3, b"\x0a\x01k"))))
    spoilt = replace(plain, **{part: _edited(getattr(plain, part) or b"\x0a\x02\x08\x01", edits)})
    assert _judged(spoilt, 10).verdict != "VALID"


def test_the_id_of_what_could_not_be_read_is_taken() -> None:
    plain = replace(_plain(), nonce=b"m" * 24)
    own = hashlib.sha256(plain.nonce + plain.creator).hexdigest()
    garbage = replace(_plain(), transaction_id=own, more_of_signature_header=NO_MESSAGE)
    assert _both((garbage, 3), (plain, 9))[1].verdict == "DUPLICATE_TXID"
    harmless = replace(_plain(), more_of_signature_header=NO_MESSAGE)
    assert _both((harmless, 3), (plain, 0))[1].verdict == "VALID"


def test_an_envelope_with_a_second_payload_or_signature_is_refused() -> None:
    for number in (1, 2):
        with pytest.raises(ProofError, match="not in its one form"):
            _judged(replace(_plain(), more_of_envelope=bytes_field(number, b"again")), 255)
