"""The leaves of the log: one for a block, one for each valid transaction, one for each of its records.

Normative page: docs/formats/leaves.md. A leaf is canonical JSON; transaction and record leaves carry
a salt, so that a sibling that is withheld cannot be guessed from its hash.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from typing import Any, Protocol

from tallystick.proof.block import Envelope, canonical
from tallystick.proof.membership import Member


class Hashed(Protocol):
    """What has a SHA-256 digest, in hex."""

    @property
    def digest(self) -> str: ...


class Header(Hashed, Protocol):
    """A block's header, on any host."""

    @property
    def number(self) -> int: ...


def block_leaf(header: Header, config: Hashed | None, valid: int, invalid: int) -> bytes:
    """The leaf of a block; ``config`` where the block changes the configuration."""
    return canonical(
        {
            "leaf": "block",
            "v": 1,
            "number": header.number,
            "header": header.digest,
            "config": config.digest if config else None,
            "valid": valid,
            "invalid": invalid,
        }
    )


def transaction_leaf(
    transaction_id: str,
    member: Member,
    contract: str,
    package: str,
    envelope_digest: str,
    records: int,
    salt: str,
) -> bytes:
    """The leaf of a valid transaction; digests and salt in hex."""
    return canonical(
        {
            "leaf": "transaction",
            "v": 1,
            "id": transaction_id,
            "msp": member.msp_id,
            "roles": sorted(member.roles),
            "contract": contract,
            "package": package,
            "envelope": envelope_digest,
            "records": records,
            "salt": salt,
        }
    )


def record_leaf(record: bytes, salt: str) -> bytes:
    """The leaf of a record, around the record's own canonical bytes; salt in hex."""
    return b'{"leaf":"record","record":' + record + b',"salt":"' + salt.encode() + b'","v":1}'


def parse_record_leaf(leaf: bytes) -> Any:
    """The record inside a record leaf, or None for a leaf of another kind."""
    value = json.loads(leaf)
    return value["record"] if isinstance(value, dict) and value.get("leaf") == "record" else None


def salt(nonce: bytes, index: int) -> str:
    """HMAC-SHA256(nonce, index as 4 big-endian bytes), hex: index 0 is the transaction, then its records."""
    return hmac.digest(nonce, index.to_bytes(4, "big"), "sha256").hex()


def transaction_leaves(
    transaction_id: str,
    nonce: bytes,
    member: Member,
    contract: str,
    package: str,
    envelope_digest: str,
    records: Sequence[bytes],
) -> list[bytes]:
    """The leaves of one valid transaction: its own, then its records' in their order."""
    own = transaction_leaf(
        transaction_id, member, contract, package, envelope_digest, len(records), salt(nonce, 0)
    )
    return [own, *(record_leaf(record, salt(nonce, index)) for index, record in enumerate(records, 1))]


def envelope_leaves(envelope: Envelope, member: Member, package: str, envelope_digest: str) -> list[bytes]:
    """`transaction_leaves` of a parsed envelope."""
    return transaction_leaves(
        envelope.transaction_id,
        bytes.fromhex(envelope.proposal["nonce"]),
        member,
        envelope.proposal["contract"],
        package,
        envelope_digest,
        envelope.records,
    )
