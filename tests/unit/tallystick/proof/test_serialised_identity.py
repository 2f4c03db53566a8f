"""The serialised identity: Fabric's bytes, in one spelling only."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from tallystick.proof.errors import Malformed
from tallystick.proof.membership import parse_identity, serialise_identity


def fabric_message() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="identities.proto", package="msp", syntax="proto3")
    message = file.message_type.add(name="SerializedIdentity")
    kinds = descriptor_pb2.FieldDescriptorProto
    message.field.add(name="mspid", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    message.field.add(name="id_bytes", number=2, type=kinds.TYPE_BYTES, label=kinds.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("msp.SerializedIdentity"))


MESSAGE = fabric_message()
MSP_IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)
CERTIFICATES = st.binary(min_size=1, max_size=200) | st.integers(1, 40_000).map(lambda size: b"x" * size)


@given(msp_id=MSP_IDS, pem=CERTIFICATES)
def test_the_bytes_are_fabrics_and_come_back(msp_id: str, pem: bytes) -> None:
    identity = serialise_identity(msp_id, pem)
    assert identity == MESSAGE(mspid=msp_id, id_bytes=pem).SerializeToString()
    assert parse_identity(identity) == (msp_id, pem)


@given(data=st.binary(max_size=300) | st.binary(max_size=40).map(lambda rest: b"\x0a\x01A\x12" + rest))
def test_there_is_one_spelling(data: bytes) -> None:
    try:
        msp_id, pem = parse_identity(data)
    except Malformed:
        return
    assert serialise_identity(msp_id, pem) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x0a\x01A",
        b"\x12\x01c\x0a\x01A",
        b"\x0a\x00\x12\x01c",
        b"\x0a\x01A\x12\x00",
        b"\x0a\x01A\x12\x02c",
        b"\x0a\x01A\x12\x01cc",
        b"\x0a\x81\x00A\x12\x01c",
        b"\x0a\x01\xff\x12\x01c",
        b"\x0a\x01A\x12\x01c\x0a\x01B",
        b"\x0a\x01A\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01c",
        b"\x0a\x01A\x12\x80",
    ],
)
def test_other_spellings_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed, match="identity"):
        parse_identity(data)


def test_empty_long_and_unwritable_identities_are_malformed() -> None:
    for msp_id, pem in (("", b"x"), ("A", b""), ("\ud800", b"x"), ("A", b"x" * 70_000)):
        with pytest.raises(Malformed, match="identity"):
            serialise_identity(msp_id, pem)
    with pytest.raises(Malformed, match="too long"):
        parse_identity(b"\x0a\x01A" + b"x" * 70_000)
