"""Who changed the definition of the contracts, and when: as the call that wrote it says, and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.fabric_signed import MSPS, Sent, call, channel, follow, member, plain

from tallystick.evidence.channel_chain import _of_every_host
from tallystick.ledger.channel.log import _configuration
from tallystick.proof.protobuf import bytes_field, number_field

FIELD = b"namespaces/fields/tallystick/Sequence"
LONG_AFTER = 2**40
PEERS = {each: member(each, "peer") for each in MSPS}


def lifecycle(nonce: bytes, sender: str, results: bytes, *by: str, seconds: int) -> Sent:
    return replace(
        plain(),
        creator=member(sender, "client"),
        nonce=nonce,
        endorsers=tuple(PEERS[each] for each in by),
        extension=bytes_field(2, call(b"_lifecycle")),
        chaincode=call(b"_lifecycle", b"syscc"),
        seconds=seconds,
        results=results,
    )


def public(key: bytes, value: bytes) -> bytes:
    write = bytes_field(3, bytes_field(1, key) + bytes_field(3, value))
    return bytes_field(2, bytes_field(1, b"_lifecycle") + bytes_field(2, write))


def approval() -> bytes:
    """Of an organisation alone."""
    write = bytes_field(2, bytes_field(1, b"k" * 32) + bytes_field(3, b"v" * 32))
    collection = bytes_field(1, b"_implicit_org_AuditorMSP") + bytes_field(2, write)
    return bytes_field(2, bytes_field(1, b"_lifecycle") + bytes_field(3, collection))


@pytest.mark.parametrize("key", [FIELD, b"namespaces/metadata/tallystick"])
def test_the_author_of_a_definition_is_who_wrote_it(key: bytes) -> None:
    seconds = plain().seconds
    value = number_field(1, 77) if key == FIELD else bytes_field(1, b"ChaincodeDefinition")
    others = lifecycle(
        b"1", "OperatorMSP", public(b"namespaces/fields/other/Sequence", value), *MSPS, seconds=1
    )
    commit = lifecycle(b"2", "RegulatorMSP", public(key, value), *MSPS, seconds=seconds)
    refused = lifecycle(b"3", "AuditorMSP", public(FIELD, value), "AuditorMSP", seconds=LONG_AFTER)
    approved = lifecycle(b"4", "AuditorMSP", approval(), "AuditorMSP", seconds=LONG_AFTER)
    followed = channel()
    before = followed.definition
    (judged,) = follow(followed, [(others, 0), (commit, 0), (refused, 10), (approved, 0)])
    assert [each.defines for each in judged.transactions] == [False, True, False, False]

    found = _configuration(followed, None, judged)
    assert (found.msp_id, found.enrolment_id, found.time_ms) == ("RegulatorMSP", "client", seconds * 1000)
    after = followed.definition
    assert before
    assert after
    configured = _of_every_host(judged, before, replace(after, version="another")).configured
    assert configured
    assert (configured.time, configured.changed) == (seconds * 1000, ("contracts",))


def test_a_block_that_defines_nothing_has_no_author() -> None:
    approved = lifecycle(b"4", "AuditorMSP", approval(), "AuditorMSP", seconds=LONG_AFTER)
    (judged,) = follow(channel(), [(approved, 0)])
    assert judged.transactions[0].verdict == "VALID"
    assert judged.defined_by is None
