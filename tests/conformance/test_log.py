"""The log behind the port: what was committed, in order, with leaves that the signed tree holds."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest
from support import ledgers

from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.ledger.inclusion import prove_record
from tallystick.ledger.port import Call, LoggedRecord
from tallystick.proof import merkle
from tallystick.proof.checkpoint import parse_checkpoint
from tallystick.proof.note import parse_note
from tallystick.proof.trust import parse_trust


@pytest.fixture
def written(host):
    """A host with a transaction of one record and one of two, and their receipts."""
    first = host.ledger.submit(host.pipeline, Call("provenance", "register_dataset", ledgers.dataset()))
    items = [
        {"transaction": "attest", "request": {"request_id": each, "stream": "dataset:claims"}}
        for each in ("a", "b")
    ]
    second = host.ledger.submit(host.pipeline, Call("provenance", "batch", {"items": items}))
    return host, first, second


class TestEntries:
    def test_every_transaction_stands_with_its_caller_time_and_records(self, written):
        host, first, second = written
        logged = {call.id: (block, call) for block in host.ledger.log() for call in block.transactions}
        for receipt, ids in ((first, ["dataset/claims/1"]), (second, ["attestation/a", "attestation/b"])):
            block, call = logged[receipt.transaction_id]
            assert block.number == receipt.block
            assert (call.msp_id, call.enrolment_id) == ("OperatorMSP", "pipeline")
            assert abs(call.time_ms - ledgers.now()) < 60_000
            assert [json.loads(record.content)["id"] for record in call.records] == ids
            assert [record.leaf - call.leaf for record in call.records] == list(range(1, len(ids) + 1))

    def test_leaves_are_counted_without_a_gap_and_make_the_heads_size(self, written):
        host, *_ = written
        size = 0
        for number, block in enumerate(host.ledger.log()):
            assert (block.number, block.leaf) == (number, size)
            assert block.hash == host.ledger.block_hash(number)
            size += 1
            for call in block.transactions:
                assert call.leaf == size
                size += 1 + len(call.records)
        assert parse_checkpoint(parse_note(host.ledger.checkpoint()).text).size == size

    def test_it_can_be_read_from_any_block_on(self, written):
        host, *_ = written
        whole = list(host.ledger.log())
        for first in range(len(whole) + 1):
            assert list(host.ledger.log(first)) == whole[first:]

    def test_the_same_from_a_block_before_a_change_of_the_configuration(self, written, reconfigured):
        host, *_ = written
        before = list(host.ledger.log())
        reconfigured(host)
        assert [list(host.ledger.log(first))[:-1] for first in (0, 1, 2)] == [before[n:] for n in (0, 1, 2)]

    def test_a_block_that_is_not_there_is_said(self, host):
        with pytest.raises(NotAsRecorded, match="block 99"):
            host.ledger.block_hash(99)


class TestProofs:
    def test_every_record_is_proven_under_a_head_that_the_ledgers_keys_signed(self, written):
        host, *_ = written
        host.submit("register_dataset", ledgers.dataset(version=2))
        records = ledgers.logged_records(host.ledger)
        assert len(records) == 5
        for record in records:
            proven = prove_record(host.ledger, json.loads(record.content)["id"], record)
            judged = parse_trust(host.ledger.trust()).require_quorum(proven.note)
            assert judged.checkpoint == proven.head
            assert proven.head.origin == host.ledger.origin
            assert proven.digest == sha256(record.content).hexdigest()

    def test_nothing_else_is(self, written):
        host, *_ = written
        one, other, *_ = ledgers.logged_records(host.ledger)
        record_id = json.loads(one.content)["id"]
        for forged in (
            LoggedRecord(one.leaf, one.content.replace(b'"v":1', b'"v":2'), one.salt),
            LoggedRecord(one.leaf, one.content, other.salt),
            LoggedRecord(one.leaf + 1, one.content, one.salt),
            LoggedRecord(1 << 40, one.content, one.salt),
            LoggedRecord(-1, one.content, one.salt),
            other,
        ):
            with pytest.raises(NotAsRecorded, match="is not under the head"):
                prove_record(host.ledger, record_id, forged)

    def test_a_proof_of_a_leaf_that_is_not_there_is_refused(self, host):
        with pytest.raises(InvalidInput):
            host.ledger.inclusion_proof(10_000)

    def test_a_later_head_is_consistent_with_an_earlier_one(self, host):
        old = parse_checkpoint(parse_note(host.ledger.checkpoint()).text)
        host.submit("register_dataset", ledgers.dataset())
        proof, note = host.ledger.consistency_proof(old.size)
        new = parse_checkpoint(parse_note(note).text)
        merkle.verify_consistency(old.size, new.size, old.root, new.root, proof)
        assert new.size > old.size


class TestConfigurations:
    def test_the_first_names_the_members_and_who_set_it(self, host):
        first, *_ = found = list(host.ledger.configurations())
        assert [each.msp_id for each in first.organisations] == sorted(ledgers.PARTIES.values())
        assert all(each.roots and not each.revoked for each in first.organisations)
        assert first.block == 0
        # Where nobody signs the first block, it is who put the contracts in force.
        assert (found[-1].msp_id, found[-1].enrolment_id) == ("OperatorMSP", "admin")

    def test_a_revoked_certificate_is_named_by_its_serial_number(self, host, reconfigured):
        host.submit("register_dataset", ledgers.dataset())
        serial = reconfigured(host)
        *_, first, second = host.ledger.configurations()
        (operator,) = [each for each in second.organisations if each.msp_id == "OperatorMSP"]
        assert operator.revoked == (serial,)
        assert second.package == first.package
        assert first.block < second.block == host.ledger.height - 1
