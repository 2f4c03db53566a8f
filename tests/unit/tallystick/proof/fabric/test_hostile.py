"""Whatever the bytes, the answer is a verdict: a block is judged or refused, and nothing else is raised.

And what one client or one organisation alone can bring into a block stops nothing, as far as is tried here
with real signatures: what peers mark is marked, and what they count counts.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import utils
from fabric_protos.common import common_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fabric_blocks import altered, stored
from support.fabric_signed import MSPS, Sent, Signer, call, judge, member, plain

from tallystick.proof.errors import NotProven, ProofError
from tallystick.proof.fabric.identities import Identity
from tallystick.proof.fabric.judged import JudgedTransaction
from tallystick.proof.fabric.validity import CODES
from tallystick.proof.membership import P256_ORDER
from tallystick.proof.protobuf import bytes_field, encode_varint, number_field

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


def _judged(sent: Sent, flag: int) -> JudgedTransaction:
    """The verdict on a transaction that is so marked. Another one in the next block counts all the same."""
    return _both((sent, flag), (replace(plain(), nonce=b"next"), 0))[0]


def _both(first: tuple[Sent, int], second: tuple[Sent, int]) -> list[JudgedTransaction]:
    """The verdicts on transactions of two blocks."""
    return [block.transactions[0] for block in judge([first], [second])]


def _ns(*fields: bytes) -> bytes:
    """The results of a transaction with one set, for a chaincode that nobody has."""
    return bytes_field(2, bytes_field(1, b"elsewhere") + b"".join(fields))


GROUP, END = b"\x7b", b"\x7c"
NO_MESSAGE, NO_TEXT = b"\xff", b"\xff"
RAW_READS, TREE = bytes_field(4, b""), bytes_field(5, number_field(1, 2) + number_field(2, 1))


class HighSigner(Signer):
    """Whose signatures have the S that Fabric does not take."""

    def sign(self, data: bytes) -> bytes:
        r, s = utils.decode_dss_signature(super().sign(data))
        return utils.encode_dss_signature(r, P256_ORDER - s)


CLIENT, STRANGER = plain().creator, member("OperatorMSP", "client")

DEAD: dict[str, tuple[int, dict[str, Any]]] = {
    "payload": (2, {"more_of_payload": NO_MESSAGE}),
    "time": (3, {"more_of_channel_header": bytes_field(3, NO_MESSAGE)}),
    "time, in two halves": (3, {"more_of_channel_header": bytes_field(3, b"\x08") + bytes_field(3, b"\x01")}),
    "channel's name": (3, {"more_of_channel_header": bytes_field(4, NO_TEXT) + bytes_field(4, b"audit")}),
    "signature header": (3, {"more_of_signature_header": NO_MESSAGE}),
    "signature": (4, {"creator": replace(CLIENT, key=STRANGER.key)}),
    "high S": (4, {"creator": HighSigner(CLIENT.identity, CLIENT.key)}),
    "creator": (4, {"creator": replace(CLIENT, identity=CLIENT.identity.replace(b"-----BEGIN", b""))}),
    "transaction": (5, {"more_of_transaction": NO_MESSAGE}),
    "groups deeper than Go reads": (5, {"more_of_transaction": GROUP * 10_002 + END * 10_002}),
    "proposal": (5, {"proposal": b""}),
    "endorsement": (5, {"more_of_action": bytes_field(2, NO_MESSAGE)}),
    "id": (8, {"transaction_id": "a" * 64}),
    "extension": (19, {"extension": NO_MESSAGE}),
    "called chaincode": (19, {"extension": bytes_field(2, NO_MESSAGE)}),
    "called chaincode's name": (19, {"extension": bytes_field(2, call(NO_TEXT))}),
    "called chaincode's path": (
        19,
        {"extension": bytes_field(2, bytes_field(1, NO_TEXT) + call(b"tallystick"))},
    ),
    "outcome": (21, {"outcome": NO_MESSAGE}),
    "no outcome": (255, {"outcome": b""}),
    "chaincode": (21, {"chaincode": NO_MESSAGE}),
    "chaincode's version": (21, {"chaincode": call(b"tallystick", NO_TEXT)}),
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
    "endorsers": (10, {"endorsers": ()}),
    "endorsers' signatures": (
        10,
        {"endorsers": tuple(replace(e, key=STRANGER.key) for e in plain().endorsers)},
    ),
}
X400 = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), bytes.fromhex("3004a3023000"))

ALIVE: dict[str, dict[str, Any]] = {
    "as it is": {},
    "a byte behind the signature": {"more_of_signature": b"\0"},
    "a byte behind the endorsers' signatures": {"more_of_endorsers_signature": b"\0"},
    "endorsers with a name of X.400": {"endorsers": tuple(member(each, "peer", X400) for each in MSPS)},
    "another chaincode's, by a sender with a name of X.400": {
        "creator": member("OperatorMSP", "client", X400),
        "extension": bytes_field(2, call(b"_lifecycle")),
        "chaincode": call(b"_lifecycle", b"syscc"),
    },
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
    "an endorsement by what cannot be read": {"more_of_action": bytes_field(2, bytes_field(1, b"\xff"))},
    "a range of both kinds": {
        "results": _ns(
            bytes_field(2, bytes_field(2, bytes_field(1, b"a") + bytes_field(2, b"b") + TREE + RAW_READS))
        )
    },
}


@pytest.mark.parametrize("name", DEAD)
def test_what_peers_mark_stops_nobody(name: str) -> None:
    flag, changes = DEAD[name]
    judged = _judged(replace(plain(), **changes), flag)
    assert (judged.verdict, judged.leaf) == (CODES[flag], -1)


def test_another_reason_of_a_peers_stops_nobody() -> None:
    assert _judged(replace(plain(), endorsers=()), 17).verdict == "ENDORSEMENT_POLICY_FAILURE"


@pytest.mark.parametrize("name", ALIVE)
def test_what_peers_count_counts(name: str) -> None:
    assert _judged(replace(plain(), **ALIVE[name]), 0).verdict == "VALID"


@pytest.mark.parametrize("part", ["extension", "chaincode", "results", "event", "answer", "outcome"])
@settings(max_examples=10, deadline=None)
@given(edits=EDITS)
def test_what_nobody_endorsed_stops_nobody_however_it_is_spoilt(part: str, edits: Any) -> None:
    sent = replace(plain(), endorsers=(), results=_ns(bytes_field(2, bytes_field(3, b"\x0a\x01k"))))
    spoilt = replace(sent, **{part: _edited(getattr(sent, part) or b"\x0a\x02\x08\x01", edits)})
    assert _judged(spoilt, 10).verdict != "VALID"


def test_the_id_of_what_could_not_be_read_is_taken() -> None:
    sent = replace(plain(), nonce=b"m" * 24)
    garbage = replace(plain(), transaction_id=sent.id, more_of_signature_header=NO_MESSAGE)
    assert _both((garbage, 3), (sent, 9))[1].verdict == "DUPLICATE_TXID"
    harmless = replace(plain(), more_of_signature_header=NO_MESSAGE)
    assert _both((harmless, 3), (sent, 0))[1].verdict == "VALID"


class TestTheBoundaryOfNonceAndCreator:
    """The id is of both in one row, and Fabric does not compare what was endorsed with what is sent."""

    def test_a_call_cut_elsewhere_is_that_of_whom_the_endorsers_saw(self) -> None:
        extra, nonce = b"\x78\x01", b"n" * 22
        cut = replace(plain(), nonce=nonce + extra, header=(extra + CLIENT.identity, nonce))
        honest = replace(plain(), nonce=nonce + extra)
        assert cut.id == honest.id
        assert _judged(cut, 0).call == _judged(honest, 0).call

    def test_so_is_one_whose_envelope_another_signed(self) -> None:
        # The other's identity swallows the first one in a field of no meaning.
        swallowing = STRANGER.identity + b"\x7a" + encode_varint(len(CLIENT.identity))
        sent = Swallowed(**{**vars(plain()), "nonce": b"n" + swallowing})
        sent = replace(sent, header=(swallowing + CLIENT.identity, b"n"))
        call = _judged(sent, 0).call
        assert call is not None
        assert (call.caller.enrolment_id, call.nonce) == ("client", b"n" + swallowing)

    def test_an_id_of_neither_is_named(self) -> None:
        sent = replace(plain(), header=(CLIENT.identity, b"other"))
        with pytest.raises(NotProven, match="endorsed for another signer"):
            _judged(sent, 0)


class Swallowed(Sent):
    """A transaction that a stranger sends, whose creator is another."""

    def sign(self, payload: bytes) -> bytes:
        return STRANGER.sign(payload)


@pytest.mark.parametrize(("days", "code"), [(36_500, None), (1, "EXPIRED")])
def test_a_signer_has_to_be_valid_at_the_time_that_it_claims(days: int, code: str | None) -> None:
    sent = replace(plain(), creator=member("OperatorMSP", "client", days=days))
    if code is None:
        assert _judged(sent, 0).verdict == "VALID"
    else:
        with pytest.raises(NotProven, match="expired at that time"):
            _judged(sent, 0)


def test_an_envelope_with_a_second_payload_or_signature_is_refused() -> None:
    for number in (1, 2):
        with pytest.raises(ProofError, match="not in its one form"):
            _judged(replace(plain(), more_of_envelope=bytes_field(number, b"again")), 255)
