"""Private data and policies of single keys, which one organisation alone may write: judged as peers do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
from fabric_protos.common import policies_pb2
from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import collection_pb2
from support.fabric_signed import MSPS, Sent, Signer, call, channel, follow, judge, member, plain

from tallystick.proof.errors import NotProven
from tallystick.proof.fabric.channel import Channel
from tallystick.proof.fabric.rwset import HashedCollection, NamespaceSet, Version
from tallystick.proof.fabric.state import State
from tallystick.proof.fabric.writes import apply
from tallystick.proof.protobuf import bytes_field, number_field

KEY = b"k" * 32
MINE = b"_implicit_org_OperatorMSP"
WRITE = bytes_field(2, bytes_field(1, KEY) + bytes_field(3, b"v" * 32))
DELETE = bytes_field(2, bytes_field(1, KEY) + number_field(2, 1))
NO_METADATA = bytes_field(3, bytes_field(1, KEY))


def metadata(policy: bytes, name: bytes = b"VALIDATION_PARAMETER") -> bytes:
    return bytes_field(3, bytes_field(1, KEY) + bytes_field(2, bytes_field(1, name) + bytes_field(2, policy)))


def policy(msp_id: str) -> bytes:
    """That a member of this organisation has to endorse."""
    principal = msp_principal_pb2.MSPPrincipal(
        principal=msp_principal_pb2.MSPRole(msp_identifier=msp_id).SerializeToString()
    )
    made = policies_pb2.SignaturePolicyEnvelope(identities=[principal])
    made.rule.n_out_of.n = 1
    made.rule.n_out_of.rules.add(signed_by=0)
    return bytes(made.SerializeToString())


def read(version: tuple[int, int] | None) -> bytes:
    written = (
        bytes_field(2, b"".join(number_field(*each) for each in enumerate(version, 1))) if version else b""
    )
    return bytes_field(1, bytes_field(1, KEY) + written)


def hashed(*fields: bytes, collection: bytes = MINE, namespace: bytes = b"_lifecycle") -> bytes:
    return bytes_field(
        2,
        bytes_field(1, namespace)
        + bytes_field(3, bytes_field(1, collection) + bytes_field(2, b"".join(fields))),
    )


@cache
def peer(letter: str) -> Signer:
    """The peer of the organisation whose name begins so."""
    return member(next(each for each in MSPS if each[0] == letter), "peer")


def sent(nonce: int, results: bytes, by: str = "O") -> Sent:
    """A transaction of the lifecycle, endorsed by the organisations whose names begin so."""
    return replace(
        plain(),
        nonce=bytes((nonce,)),
        endorsers=tuple(peer(each) for each in by),
        extension=bytes_field(2, call(b"_lifecycle")),
        chaincode=call(b"_lifecycle", b"syscc"),
        results=results,
    )


def verdicts(*blocks: Sequence[tuple[bytes, str, int]]) -> list[list[str]]:
    """Of transactions by what they write, by whom they are endorsed and how they are marked."""
    made, number = [], 0
    for block in blocks:
        made.append([])
        for results, by, flag in block:
            number += 1
            made[-1].append((sent(number, results, by), flag))
    return [[each.verdict for each in judged.transactions] for judged in judge(*made)]


def first() -> int:
    """The number of the first of these blocks."""
    return judge([(sent(1, hashed(WRITE)), 0)])[0].number


def test_an_organisation_alone_writes_its_private_data_with_metadata() -> None:
    assert verdicts([(hashed(WRITE), "O", 0)]) == [["VALID"]]
    assert verdicts([(hashed(WRITE), "A", 10)]) == [["ENDORSEMENT_POLICY_FAILURE"]]
    for extra in (metadata(b""), metadata(b"x", b"OTHER"), metadata(policy("OperatorMSP")), NO_METADATA):
        assert verdicts([(hashed(WRITE, extra), "O", 0)]) == [["VALID"]]
        assert verdicts([(hashed(extra), "O", 0)]) == [["VALID"]]
        assert verdicts([(hashed(WRITE, extra), "A", 10)]) == [["ENDORSEMENT_POLICY_FAILURE"]]


@pytest.mark.parametrize(
    ("between", "by", "counts"),
    [
        (WRITE, "O", "A"),  # a new value keeps the policy
        (metadata(policy("RegulatorMSP")), "A", "R"),
        (metadata(b""), "A", "O"),
        (NO_METADATA, "A", "O"),
        (DELETE, "A", "O"),
    ],
)
def test_a_keys_own_policy_decides_on_it_from_the_next_block_on(between: bytes, by: str, counts: str) -> None:
    set_by_operator = [(hashed(WRITE, metadata(policy("AuditorMSP"))), "O", 0)]
    refused = [(hashed(WRITE), "O", 10)]
    change = (hashed(between), by, 0 if by == "A" else 10)
    assert verdicts(set_by_operator, refused, [(hashed(WRITE), "A", 0)])[2] == ["VALID"]
    after = [(hashed(WRITE), each, 0 if each == counts else 10) for each in "AOR"]
    found = verdicts(set_by_operator, [change], after)[2]
    assert found == ["VALID" if each == counts else "ENDORSEMENT_POLICY_FAILURE" for each in "AOR"]


def test_what_follows_a_changed_policy_in_its_block_does_not_count() -> None:
    setting, writing = hashed(metadata(b"")), hashed(WRITE)
    late = [
        (setting, "O", 0),
        (writing, "O", 10),
        (hashed(WRITE, collection=b"_implicit_org_AuditorMSP"), "A", 0),
    ]
    assert verdicts(late) == [["VALID", "ENDORSEMENT_POLICY_FAILURE", "VALID"]]
    assert verdicts([(writing, "O", 0), (setting, "O", 0)]) == [["VALID", "VALID"]]
    assert verdicts([(setting, "A", 10), (writing, "O", 0)]) == [["ENDORSEMENT_POLICY_FAILURE", "VALID"]]
    # A conflict is found after that.
    conflict = hashed(read((0, 9)), metadata(b""))
    assert verdicts([(conflict, "O", 11), (writing, "O", 10)])[0][1] == "ENDORSEMENT_POLICY_FAILURE"


def test_metadata_is_a_new_version_of_what_is_there_and_nothing_of_what_is_not() -> None:
    block, none, some = first(), read(None), metadata(b"")
    there = [(hashed(WRITE), "O", 0)]
    assert verdicts([(hashed(some), "O", 0)], [(hashed(none), "RAO", 0)])[1] == ["VALID"]
    assert verdicts([(hashed(some), "O", 0), (hashed(none), "RAO", 0)]) == [["VALID", "VALID"]]
    old, new = read((block, 0)), read((block + 1, 0))
    assert verdicts(there, [(hashed(some), "O", 0)], [(hashed(new), "RAO", 0)])[2] == ["VALID"]
    assert verdicts(there, [(hashed(some), "O", 0)], [(hashed(old), "RAO", 11)])[2] == ["MVCC_READ_CONFLICT"]
    late = [(hashed(some), "O", 0), (hashed(old), "RAO", 11)]
    assert verdicts(there, late)[1] == ["VALID", "MVCC_READ_CONFLICT"]


def test_a_public_key_may_have_a_policy_too_but_none_of_our_contracts() -> None:
    def public(namespace: bytes, *fields: bytes) -> bytes:
        return bytes_field(2, bytes_field(1, namespace) + bytes_field(2, b"".join(fields)))

    write = bytes_field(3, bytes_field(1, b"key") + bytes_field(3, b"value"))
    entry = bytes_field(1, b"VALIDATION_PARAMETER") + bytes_field(2, policy("AuditorMSP"))
    setting = bytes_field(4, bytes_field(1, b"key") + bytes_field(2, entry))
    blocks = [
        [(public(b"_lifecycle", write, setting), "AOR", 0)],
        [(public(b"_lifecycle", write), "OR", 10), (public(b"_lifecycle", write), "A", 0)],
    ]
    assert verdicts(*blocks)[1] == ["ENDORSEMENT_POLICY_FAILURE", "VALID"]
    own = replace(plain(), results=public(b"tallystick", write, setting))
    with pytest.raises(NotProven, match="a policy for a single key"):
        judge([(own, 0)])
    assert (
        judge([(replace(own, endorsers=()), 10)])[0].transactions[0].verdict == "ENDORSEMENT_POLICY_FAILURE"
    )


def test_a_collection_without_a_name_is_not_followed_where_it_counts() -> None:
    nameless = hashed(WRITE, collection=b"")
    assert verdicts([(nameless, "O", 10)]) == [["ENDORSEMENT_POLICY_FAILURE"]]
    with pytest.raises(NotProven, match="without a name"):
        verdicts([(nameless, "AOR", 0)])


def with_collections(expires: int = 0) -> Channel:
    """The channel where the contracts have a collection called own, and one that the auditor endorses."""
    config = collection_pb2.CollectionConfigPackage()
    config.config.add().static_collection_config.name = "own"
    other = config.config.add().static_collection_config
    other.name = "auditor's"
    other.endorsement_policy.signature_policy.MergeFromString(policy("AuditorMSP"))
    other.block_to_live = expires
    made = channel()
    value = bytes_field(2, config.SerializeToString())
    made._state.keep("_lifecycle", "namespaces/fields/tallystick/Collections", value)
    return made


@pytest.mark.parametrize(
    ("collection", "by", "counts"),
    [("own", "AOR", True), ("own", "O", False), ("auditor's", "A", True), ("auditor's", "O", False),
     ("none", "AOR", False)],
)  # fmt: skip
def test_a_chaincodes_own_collection_has_its_policy_or_the_chaincodes(
    collection: str, by: str, counts: bool
) -> None:
    written = sent(1, hashed(WRITE, collection=collection.encode(), namespace=b"tallystick"), by)
    called = replace(
        written, extension=plain().extension, chaincode=plain().chaincode, arguments=plain().arguments
    )
    (judged,) = follow(with_collections(), [(called, 0 if counts else 10)])
    assert (judged.transactions[0].verdict == "VALID") is counts


def test_private_data_that_expires_is_refused_where_it_counts_and_nowhere_else() -> None:
    written = {
        by: replace(
            sent(1, hashed(WRITE, collection=b"auditor's", namespace=b"tallystick"), by),
            extension=plain().extension,
            chaincode=plain().chaincode,
        )
        for by in "AO"
    }
    (judged,) = follow(with_collections(expires=3), [(written["O"], 10)])
    assert judged.transactions[0].verdict == "ENDORSEMENT_POLICY_FAILURE"
    with pytest.raises(NotProven, match="that expires"):
        follow(with_collections(expires=3), [(written["A"], 0)])


PUT, GONE, SET, UNSET = "put", "gone", "set", "unset"


@pytest.mark.parametrize(
    ("steps", "before", "after"),
    [
        # What a key had before (a version, a policy) and has afterwards, as tx_ops.go adds the steps up.
        ((PUT,), None, (2, b"")),
        ((PUT,), (1, b"p"), (2, b"p")),
        ((GONE,), (1, b"p"), (None, b"")),
        ((SET,), (1, b"p"), (2, b"new")),
        ((SET,), None, (None, b"")),
        ((UNSET,), (1, b"p"), (2, b"")),
        ((PUT, SET), None, (2, b"new")),
        ((PUT, UNSET), (1, b"p"), (2, b"")),
        ((PUT, GONE), (1, b"p"), (None, b"")),
        ((PUT, PUT), None, (None, b"")),
        ((PUT, PUT), (1, b"p"), (2, b"")),
        ((PUT, PUT, PUT), (1, b"p"), (2, b"")),
        ((PUT,) * 8, (1, b"p"), (None, b"")),
        ((GONE, GONE), None, (None, b"")),
        ((GONE, GONE), (1, b"p"), (2, b"")),
        ((SET, SET), (1, b"p"), (2, b"new")),
    ],
)
@pytest.mark.parametrize("private", [False, True])
def test_writes_of_one_key_add_up_as_fabric_adds_them(
    steps: tuple[str, ...],
    before: tuple[int, bytes] | None,
    after: tuple[int | None, bytes],
    private: bool,
) -> None:
    state, written = State(), set[tuple[str, str]]()
    space, key = ("a\0b", b"k".hex()) if private else ("a", "k")
    if before:
        state.write(space, key, Version(before[0], 0))
        state.set_policy(space, key, before[1])
    policies = tuple(b"new" if each == SET else None for each in steps if each in (SET, UNSET))
    puts = [each == PUT for each in steps if each in (PUT, GONE)]
    if private:
        collection = HashedCollection(
            "b", (), tuple((b"k", not put) for put in puts), tuple((b"k", p) for p in policies)
        )
        made = NamespaceSet("a", (), (), (), (), (collection,))
    else:
        values = tuple(("k", b"value" if put else None) for put in puts)
        made = NamespaceSet("a", (), (), values, tuple(("k", p) for p in policies), ())
    apply([made], Version(2, 0), state, written, "a")
    found = state.version(space, key)
    assert (found.block if found else None, state.policy(space, key)) == after
    # What was neither there nor is there now was not written either: a later read of it in the block stands.
    assert bool(written) is (before is not None or after[0] is not None)
