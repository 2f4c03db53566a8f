"""What is known of a block once it is judged, in no format of Fabric's: enough to run its transactions again.

A transaction of our contracts that counts is held to more than Fabric asks: it ran the package that the
channel agreed on, the signer that is logged is the one whom the endorsers judged, whose identity has its
one spelling and whose certificate was valid at the time that it claims, its records are canonical, and it
wrote nothing but our namespace. One of another chaincode, and one that changes nothing but private data, may
count by one organisation's word alone: it gives a leaf and no records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tallystick.proof.block import canonical
from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.fabric.blocks import Payload, id_of
from tallystick.proof.fabric.endorsements import LIFECYCLE, Endorsed
from tallystick.proof.fabric.identities import Identity
from tallystick.proof.fabric.proposer import judge_proposer
from tallystick.proof.fabric.rwset import NamespaceSet, RangeRead, Version
from tallystick.proof.fabric.validity import Found
from tallystick.proof.membership import Member

RECORDS: Final = "records"

_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Call:
    """What was called, and as whom. ``claimed_time`` is in milliseconds since the epoch; ``nonce`` makes
    the salts of the leaves (`proof.leaves.salt`).

    Caller and nonce are those that were endorsed. Of a chaincode that is not ours ``contract`` is its name;
    its transaction and request are not read, caller and nonce are the envelope's, and the caller has no
    enrolment id where the certificate has none that contracts could read.
    """

    contract: str
    transaction: str
    request: bytes
    caller: Member
    transaction_id: str
    claimed_time: int
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the endorsers say came of a call of ours, in our namespace. ``package`` is what they ran."""

    package: str
    reads: Mapping[str, Version | None]
    ranges: tuple[RangeRead, ...]
    writes: Mapping[str, bytes | None]
    records: tuple[bytes, ...]
    response: bytes


@dataclass(frozen=True, slots=True)
class JudgedTransaction:
    """A transaction by its place in its block. ``verdict`` is VALID or why it does not count.

    ``call`` and ``outcome`` are None where one that does not count cannot be read so far; ``ours`` says
    whether it called our contracts, ``defines`` whether it counts and wrote what they are. ``leaf`` is the
    index of its leaf (-1 where it has none), and its records' leaves follow that one.
    """

    position: int
    verdict: str
    ours: bool
    defines: bool
    call: Call | None
    outcome: Outcome | None
    leaf: int


@dataclass(frozen=True, slots=True)
class Configured:
    """What a block changed of the rules: the paths in the channel's configuration; none in block 0.

    ``digest`` is of the configuration, ``time`` the claim of who ordered it, in ms since the epoch;
    ``by`` is who asked for it, None for block 0, which nobody signs.
    """

    sequence: int
    digest: str
    time: int
    changed: tuple[str, ...]
    by: Member | None


@dataclass(frozen=True, slots=True)
class JudgedBlock:
    """A block that is as the channel's rules ask for.

    ``digest`` is its hash in hex; ``package`` is the version of our contracts' definition in force for
    it, empty before there is one; ``signers`` how many orderers signed it (0 for block 0). ``hashes`` are
    the tree's new stored hashes, from stored index ``first_hash`` on.
    """

    number: int
    digest: str
    package: str
    configured: Configured | None
    signers: int
    transactions: tuple[JudgedTransaction, ...]
    first_hash: int
    hashes: bytes

    @property
    def defined_by(self) -> Call | None:
        """The call that wrote the definition of our contracts last; None where none of this block did."""
        return next((each.call for each in reversed(self.transactions) if each.defines), None)


def judge_content(found: Found, position: int, chaincode: str, package: str, leaf: int) -> JudgedTransaction:
    """What a transaction says to those who run ``chaincode``; ``leaf`` is its leaf's index if it counts.

    Raises `Malformed` or `NotProven` for one that counts though our contracts would not have allowed it.
    """
    valid, endorsed = found.code == "VALID", found.endorsed
    ours = endorsed is not None and endorsed.chaincode == chaincode and not _only_private(endorsed)
    call = outcome = None
    try:
        if found.creator and found.payload and endorsed:
            call = _call(found.payload, found.creator, endorsed, ours)
            outcome = _outcome(endorsed, chaincode, ours)
            if valid:
                _judge(endorsed, chaincode, package, ours)
    except (Malformed, NotProven):
        if valid:
            raise
    defines = valid and endorsed is not None and _defines(endorsed, chaincode)
    return JudgedTransaction(position, found.code, ours, defines, call, outcome, leaf if valid else -1)


def _defines(endorsed: Endorsed, chaincode: str) -> bool:
    keys = (key for each in endorsed.sets if each.namespace == LIFECYCLE for key, _ in each.writes)
    of = f"namespaces/metadata/{chaincode}", f"namespaces/fields/{chaincode}/"
    return any(key == of[0] or key.startswith(of[1]) for key in keys)


def _call(payload: Payload, creator: Identity, endorsed: Endorsed, ours: bool) -> Call:
    contract, transaction, request = endorsed.chaincode, "", b""
    caller, nonce = _sender(creator), payload.nonce
    if ours:
        contract, transaction, request = _arguments(endorsed)
        caller, nonce = _proposer(payload, endorsed)
    return Call(contract, transaction, request, caller, payload.transaction_id, payload.time, nonce)


def _proposer(payload: Payload, endorsed: Endorsed) -> tuple[Member, bytes]:
    """Who proposed a call of ours, and with which nonce: as the endorsers saw them.

    The id is of the nonce and the creator in one row, so that another boundary between them gives the same
    id: a client can put honest endorsements below a header that is cut elsewhere, and Fabric counts it.
    """
    identity, nonce = endorsed.proposer
    if id_of(nonce, identity) != payload.transaction_id:
        raise NotProven("was endorsed for another signer than the one who sent it")
    return judge_proposer(identity, payload.time), nonce


def _only_private(endorsed: Endorsed) -> bool:
    """Whether it changes private data and nothing else: then an organisation's own policy is all it needs."""
    return any(each.changes for each in endorsed.sets) and not any(
        each.changes_public for each in endorsed.sets
    )


def _sender(creator: Identity) -> Member:
    """Who sent a call of another chaincode, whose endorsers may say what they like of who proposed it."""
    try:
        return creator.member()
    except Malformed:
        return Member(creator.msp_id, "", frozenset())


def _arguments(endorsed: Endorsed) -> tuple[str, str, bytes]:
    """Contract, transaction and request, as chaincode.fabric.host reads them."""
    if len(endorsed.arguments) != 2:
        raise Malformed("calls our contracts with other arguments than a name and a request")
    try:
        contract, colon, transaction = endorsed.arguments[0].decode("ascii").partition(":")
    except UnicodeDecodeError:
        colon = ""
    if not colon:
        raise Malformed("calls our contracts by a name that is none")
    return contract, transaction, endorsed.arguments[1]


def _outcome(endorsed: Endorsed, chaincode: str, ours: bool) -> Outcome:
    if not ours:
        return Outcome(endorsed.version, {}, (), {}, (), endorsed.response)
    empty = NamespaceSet(chaincode, (), (), (), (), ())
    own = next((each for each in endorsed.sets if each.namespace == chaincode), empty)
    reads, writes = dict(own.reads), dict(own.writes)
    if len(reads) != len(own.reads) or len(writes) != len(own.writes):
        raise Malformed("reads or writes a key twice")
    return Outcome(endorsed.version, reads, own.ranges, writes, _records(endorsed.event), endorsed.response)


def _records(event: tuple[str, bytes] | None) -> tuple[bytes, ...]:
    if event is None:
        return ()
    name, payload = event
    try:
        records = json.loads(payload)
        spelled = [canonical(each) for each in records] if isinstance(records, list) else []
    except (ValueError, RecursionError):
        raise Malformed("its event holds no records") from None
    if name != RECORDS or not spelled or b"[" + b",".join(spelled) + b"]" != payload:
        raise Malformed("its event is not one of canonical records")
    return tuple(spelled)


def _judge(endorsed: Endorsed, chaincode: str, package: str, ours: bool) -> None:
    for each in endorsed.sets:
        if ours and each.policies:
            raise NotProven("sets a policy for a single key, which would override the contracts'")
        if (each.changes if ours else each.changes_public) and (each.namespace == chaincode) != ours:
            raise NotProven("writes another chaincode's state")
        if each.collections and ours:
            raise NotProven("uses private data, which cannot be run again")
    if ours and endorsed.version != package:
        raise NotProven("was endorsed under another package than the channel agreed on")
    if ours and endorsed.status != _OK:
        raise NotProven("counts though the contracts refused it")
