"""The validation code of each transaction of a block, as every peer must find it; nothing is taken on trust.

First each transaction by itself, under the rules in force before the block; then, in order, whether what
it read still holds (core/ledger/kvledger/txmgmt/validation of Fabric 3.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from typing import Final

from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.fabric.blocks import (
    CONFIG,
    ENDORSER_TRANSACTION,
    Block,
    Payload,
    parse_envelope,
    parse_payload,
    remembered_id,
)
from tallystick.proof.fabric.configuration import Configuration
from tallystick.proof.fabric.endorsements import (
    LIFECYCLE,
    Endorsed,
    Invalid,
    judge_creator,
    judge_endorsements,
    parse_action,
    parse_endorsed,
)
from tallystick.proof.fabric.identities import Identity
from tallystick.proof.fabric.rwset import NamespaceSet, RangeRead, Summary, Version
from tallystick.proof.fabric.state import State
from tallystick.proof.fabric.writes import Place, apply, private_space
from tallystick.proof.protobuf import Message, bytes_field, number_field

#: The codes by their numbers in TRANSACTIONS_FILTER (fabric-protos peer/transaction.proto).
CODES: Final = {
    0: "VALID",
    1: "NIL_ENVELOPE",
    2: "BAD_PAYLOAD",
    3: "BAD_COMMON_HEADER",
    4: "BAD_CREATOR_SIGNATURE",
    5: "INVALID_ENDORSER_TRANSACTION",
    6: "INVALID_CONFIG_TRANSACTION",
    7: "UNSUPPORTED_TX_PAYLOAD",
    8: "BAD_PROPOSAL_TXID",
    9: "DUPLICATE_TXID",
    10: "ENDORSEMENT_POLICY_FAILURE",
    11: "MVCC_READ_CONFLICT",
    12: "PHANTOM_READ_CONFLICT",
    13: "UNKNOWN_TX_TYPE",
    14: "TARGET_CHAIN_NOT_FOUND",
    15: "MARSHAL_TX_ERROR",
    16: "NIL_TXACTION",
    17: "EXPIRED_CHAINCODE",
    18: "CHAINCODE_VERSION_CONFLICT",
    19: "BAD_HEADER_EXTENSION",
    20: "BAD_CHANNEL_HEADER",
    21: "BAD_RESPONSE_PAYLOAD",
    22: "BAD_RWSET",
    23: "ILLEGAL_WRITESET",
    24: "INVALID_WRITESET",
    25: "INVALID_CHAINCODE",
    254: "NOT_VALIDATED",
    255: "INVALID_OTHER_REASON",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A transaction of a block: its code, and as much of it as could be judged."""

    code: str
    envelope: bytes
    payload: Payload | None = None
    creator: Identity | None = None
    endorsed: Endorsed | None = None


def judge_transactions(block: Block, rules: Configuration, state: State) -> list[Found]:
    """What is found of each transaction. ``state`` is then as the block leaves it.

    Raises `ProofError` for what this verifier does not follow.
    """
    changed: set[Place] = set()
    found = [_alone(envelope, rules, state, changed) for envelope in block.envelopes]
    _mark_duplicates(found)
    written: set[Place] = set()
    for position, each in enumerate(found):
        if identifier := _identifier(each):
            state.add_id(identifier)
        if each.code == "VALID" and each.endorsed:
            code = _conflict(each.endorsed.sets, state, written)
            if code == "VALID":
                version = Version(block.header.number, position)
                apply(each.endorsed.sets, version, state, written, LIFECYCLE)
            else:
                found[position] = replace(each, code=code)
    return found


def judge_flags(found: Sequence[Found], flags: bytes) -> None:
    """Raise `NotProven` where a peer's flags count what was found not to count, or the other way round.

    Why a transaction does not count changes neither state nor leaf, so another reason is no fault.
    """
    if len(flags) != len(found):
        raise NotProven(f"has {len(flags)} flags for {len(found)} transactions")
    for position, (each, flag) in enumerate(zip(found, flags, strict=True)):
        claimed = CODES.get(flag, f"code {flag}")
        if (claimed == "VALID") != (each.code == "VALID"):
            raise NotProven(f"transaction {position} is marked {claimed} and is {each.code}")


def _alone(data: bytes, rules: Configuration, state: State, changed: set[Place]) -> Found:
    envelope = parse_envelope(data)
    try:
        payload = parse_payload(envelope.payload)
    except Malformed:
        return Found(_unreadable(envelope.payload), data)
    creator = endorsed = None
    try:
        creator = judge_creator(envelope, payload, rules)
        if payload.kind == CONFIG:
            raise NotProven("a configuration among other transactions")
        if payload.kind != ENDORSER_TRANSACTION:
            raise Invalid("UNSUPPORTED_TX_PAYLOAD")
        if payload.channel != rules.channel:
            raise Invalid("BAD_CREATOR_SIGNATURE")
        action = parse_action(payload)
        if state.has_id(payload.transaction_id):
            raise Invalid("DUPLICATE_TXID")
        endorsed = parse_endorsed(payload, action)
        judge_endorsements(endorsed, rules, state, changed)
    except Invalid as invalid:
        return Found(invalid.code, data, payload, creator, endorsed)
    except Malformed:
        return Found("INVALID_OTHER_REASON", data, payload, creator, endorsed)
    return Found("VALID", data, payload, creator, endorsed)


def _identifier(found: Found) -> str:
    if found.payload:
        return found.payload.transaction_id or found.payload.computed_id
    return remembered_id(parse_envelope(found.envelope).payload)


def _unreadable(payload: bytes) -> str:
    try:
        Message(payload, "payload").message(1)
    except Malformed:
        return "BAD_PAYLOAD"
    return "BAD_COMMON_HEADER"


def _mark_duplicates(found: list[Found]) -> None:
    seen: set[str] = set()
    for position, each in enumerate(found):
        if each.code != "VALID" or each.payload is None:
            continue
        if each.payload.transaction_id in seen:
            found[position] = replace(each, code="DUPLICATE_TXID")
        seen.add(each.payload.transaction_id)


def _conflict(sets: Sequence[NamespaceSet], state: State, written: set[Place]) -> str:
    """Why what was read no longer holds, or VALID."""
    for each in sets:
        space = each.namespace
        if not all(_stands(space, key, version, state, written) for key, version in each.reads):
            return "MVCC_READ_CONFLICT"
        if not all(_same_range(space, read, state) for read in each.ranges):
            return "PHANTOM_READ_CONFLICT"
        for collection in each.collections:
            space = private_space(each.namespace, collection.name)
            if not all(_stands(space, key.hex(), v, state, written) for key, v in collection.reads):
                return "MVCC_READ_CONFLICT"
    return "VALID"


def _stands(space: str, key: str, version: Version | None, state: State, written: set[Place]) -> bool:
    return (space, key) not in written and state.version(space, key) == version


def _same_range(space: str, read: RangeRead, state: State) -> bool:
    now = state.range(space, read.start, read.end, not read.exhausted)
    if isinstance(read.found, Summary):
        return summary(now, read.found.max_degree) == read.found
    return tuple(islice(now, len(read.found) + 1)) == read.found


def summary(reads: Iterator[tuple[str, Version]], degree: int) -> Summary | None:
    """The tree of hashes over reads as Fabric makes it (rwsetutil/query_results_helper.go).

    None where there are too few for one. Raises `NotProven` for a degree that makes no tree.
    """
    if degree < 2:
        raise NotProven("a range was read with a summary that is none")
    levels: list[list[bytes]] = [[]]
    while page := [_encoded(key, version) for key, version in islice(reads, degree + 1)]:
        if len(page) <= degree and levels == [[]]:
            break
        levels[0].append(sha256(b"".join(page)).digest())
        _carry(levels, degree)
    if levels == [[]]:
        return None
    for level in range(len(levels) - 1):
        if levels[level]:
            levels[level + 1].append(_combined(levels[level]))
            levels[level] = []
    if len(levels[-1]) > degree:
        levels.append([_combined(levels[-1])])
    return Summary(degree, len(levels), tuple(levels[-1]))


def _carry(levels: list[list[bytes]], degree: int) -> None:
    level = 0
    while len(levels[level]) > degree:
        if level + 1 == len(levels):
            levels.append([])
        levels[level + 1].append(_combined(levels[level]))
        levels[level] = []
        level += 1


def _combined(hashes: Sequence[bytes]) -> bytes:
    return hashes[0] if len(hashes) == 1 else sha256(b"".join(hashes)).digest()


def _encoded(key: str, version: Version) -> bytes:
    """A KVRead as it stands in the QueryReads that are hashed."""
    numbers = number_field(1, version.block) + number_field(2, version.position)
    text = key.encode()
    return bytes_field(1, (bytes_field(1, text) if text else b"") + bytes_field(2, numbers))
