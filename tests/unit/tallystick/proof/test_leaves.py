"""What the leaves of the log say, and what nobody can tell from the hash of one that is withheld."""

from __future__ import annotations

import hmac
import json

from hypothesis import given
from hypothesis import strategies as st

from tallystick.proof.block import Header
from tallystick.proof.leaves import block_leaf, parse_record_leaf, record_leaf, salt, transaction_leaves
from tallystick.proof.membership import Member

MEMBER = Member("OperatorMSP", "staff-4711", frozenset({"pipeline", "admin"}))
NONCE = bytes(range(24))
H = "a" * 64


def leaves_of(nonce: bytes, records: list[bytes]) -> list[bytes]:
    return transaction_leaves("b" * 64, nonce, MEMBER, "provenance", H, H, records)


def test_a_transactions_leaf_says_how_many_records_follow_and_names_no_person() -> None:
    own, *records = leaves_of(NONCE, [b'{"a":1}', b'{"a":2}'])
    value = json.loads(own)
    assert (value["leaf"], value["records"], value["roles"]) == ("transaction", 2, ["admin", "pipeline"])
    assert [parse_record_leaf(leaf) for leaf in records] == [{"a": 1}, {"a": 2}]
    assert parse_record_leaf(own) is None
    assert b"staff-4711" not in b"".join([own, *records])


def test_equal_records_have_leaves_that_nothing_but_the_nonce_explains() -> None:
    record = b'{"a":1}'
    (own, first, second), other = leaves_of(NONCE, [record, record]), leaves_of(NONCE[::-1], [record])[1]
    assert len({first, second, other}) == 3
    salts = [json.loads(leaf)["salt"] for leaf in (own, first, second)]
    assert salts == [hmac.new(NONCE, bytes([0, 0, 0, i]), "sha256").hexdigest() for i in range(3)]
    assert NONCE.hex().encode() not in own + first + second


@given(st.binary(min_size=24, max_size=24), st.integers(0, 5000))
def test_a_record_stands_in_its_leaf_unchanged(nonce: bytes, index: int) -> None:
    record = b'{"text":"\xc3\xa9 \\"quoted\\""}'
    leaf = record_leaf(record, salt(nonce, index))
    assert record in leaf
    assert (
        json.dumps(json.loads(leaf), ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        == leaf
    )


def test_a_block_leaf_covers_the_header_and_with_it_what_is_invalid() -> None:
    header = Header(3, H, "c" * 64)
    leaf = json.loads(block_leaf(header, None, 2, 1))
    assert (leaf["header"], leaf["valid"], leaf["invalid"], leaf["config"]) == (header.digest, 2, 1, None)
    assert block_leaf(Header(3, H, "d" * 64), None, 2, 1) != block_leaf(header, None, 2, 1)
