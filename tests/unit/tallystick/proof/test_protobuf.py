"""The wire reader against Google's own: the same bytes, the same fields, the same refusals."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from google.protobuf.message import DecodeError
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tallystick.proof.errors import Malformed
from tallystick.proof.protobuf import Message, bytes_field, encode_varint, number_field

VERSIONS = st.none() | st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
READS = st.lists(st.tuples(st.text(max_size=8), VERSIONS), max_size=4)
WRITES = st.lists(st.tuples(st.text(max_size=8), st.booleans(), st.binary(max_size=8)), max_size=4)


@given(READS, WRITES)
def test_what_others_write_is_read_as_it_was_meant(reads: Any, writes: Any) -> None:
    made = kv_rwset_pb2.KVRWSet()
    for key, version in reads:
        read = made.reads.add(key=key)
        if version is not None:
            read.version.block_num, read.version.tx_num = version
    for key, deletes, value in writes:
        made.writes.add(key=key, is_delete=deletes, value=value)
    message = Message(made.SerializeToString(), "set")
    found = [
        (
            each.text(1),
            (each.message(2).number(1), each.message(2).number(2)) if each.has(2) else None,
        )
        for each in message.messages(1)
    ]
    assert found == reads
    assert [(each.text(1), bool(each.number(2)), each.blob(3)) for each in message.messages(3)] == writes


@given(
    st.lists(
        st.tuples(
            st.integers(1, 40),
            st.one_of(st.integers(0, 2**64 - 1), st.binary(max_size=6)),
            st.sampled_from(["plain", "fixed32", "fixed64", "group"]),
        ),
        max_size=8,
    )
)
def test_of_a_field_that_comes_twice_the_last_counts_and_others_are_skipped(parts: Any) -> None:
    data = b"".join(_field(*part) for part in parts)
    theirs = common_pb2.ChannelHeader
    try:
        read: Any = theirs.FromString(data)
    except DecodeError:
        return  # a text that is not UTF-8, or an embedded message that is none: only asking shows it
    message = Message(data, "header")
    assert message.int32(1) == read.type
    assert message.number(6) == read.epoch
    assert message.blob(7) == read.extension
    assert message.text(4) == read.channel_id
    assert message.has(3) == read.HasField("timestamp")
    assert message.message(3).number(1) == read.timestamp.seconds % 2**64
    assert message.message(3).int32(2) == read.timestamp.nanos


@given(st.binary(max_size=40))
@example(b"\x0b\x0c")
@example(b"\x0b\x14")
@example(b"\x0c")
@example(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
@example(b"\x08\x80\x80\x00")
@example(b"\x00\x00")
@example(b"\x0d\x00\x00\x00")
@example(b"\x12\x05\x00")
@example(b"\x12\x80\x00")
def test_bytes_are_a_message_here_where_they_are_one_there(data: bytes) -> None:
    # This message has one field, a repeated one of bytes: nothing but the wire format can be wrong.
    # Numbers past 64 bits are cut there and refused by Go, whose rules count.
    assume(not re.search(rb"[\x80-\xff]{9}[\x02-\xff]", data))
    try:
        theirs: Any = list(common_pb2.BlockData.FromString(data).data)
    except DecodeError:
        theirs = None
    try:
        ours: Any = Message(data, "data").blobs(1)
    except Malformed:
        ours = None
    assert ours == theirs


@given(st.integers(1, 2**64 - 1), st.binary(max_size=300))
def test_what_is_written_here_is_what_others_write(number: int, data: bytes) -> None:
    made = common_pb2.ChannelHeader(epoch=number, extension=data or b"-")
    assert number_field(6, number) + bytes_field(7, data or b"-") == made.SerializeToString()
    assert number_field(6, 0) == b""


def test_a_number_past_64_bits_is_refused_as_by_go() -> None:
    assert Message(b"\x08" + b"\xff" * 9 + b"\x01", "number").number(1) == 2**64 - 1
    with pytest.raises(Malformed, match="too large"):
        Message(b"\x08" + b"\xff" * 9 + b"\x02", "number")


def test_groups_within_groups_do_not_exhaust_the_reader() -> None:
    assert Message(b"\x0b" * 50 + b"\x0c" * 50, "groups").blobs(1) == []
    with pytest.raises(Malformed, match="a group that does not end"):
        Message(b"\x0b" * 1_000_000 + b"\x0c" * 1_000_000, "groups")


def test_a_text_must_be_utf_8_where_it_is_asked_for() -> None:
    message = Message(bytes_field(1, b"\xff"), "text")
    assert message.blob(1) == b"\xff"
    with pytest.raises(Malformed, match="not UTF-8"):
        message.text(1)


def _field(number: int, value: Any, kind: str) -> bytes:
    if kind == "fixed32":
        return encode_varint(number << 3 | 5) + bytes(4)
    if kind == "fixed64":
        return encode_varint(number << 3 | 1) + bytes(8)
    if isinstance(value, bytes):
        inner = bytes_field(number, value)
    else:
        inner = encode_varint(number << 3) + encode_varint(value)
    if kind == "group":
        return encode_varint(number << 3 | 3) + inner + encode_varint(number << 3 | 4)
    return inner
