"""Whatever the bytes, the answer is a verdict: a block is judged or refused, and nothing else is raised."""

from __future__ import annotations

import hashlib
from typing import Any
from unittest.mock import patch

import pytest
from fabric_protos.common import common_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fabric_blocks import altered, stored

from tallystick.proof.errors import ProofError
from tallystick.proof.fabric.identities import Identity

EDITS = st.lists(
    st.tuples(st.integers(0, 2**16), st.integers(0, 3), st.binary(max_size=4)), min_size=1, max_size=4
)


def _edited(data: bytes, edits: Any) -> bytes:
    work = bytearray(data)
    for where, cut, put in edits:
        at = where % (len(work) + 1)
        work[at : at + cut] = put
    return bytes(work)


CASES = [
    ("raft", "commit"),
    ("raft", "batch"),
    ("raft", "conflict"),
    ("raft", "summary 3"),
    ("bft", "revocation"),
]


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
