"""What every host must allow and forbid, whatever the contract: Fabric's strictness, on all of them."""

from __future__ import annotations

import json
import threading

import pytest
from conformance.hosts import CLOCK, ENDORSING, SHARED_BLOCKS
from support import ledgers

from chaincode import host_limits
from tallystick.errors import InvalidInput, Refused
from tallystick.ledger.port import Call

CONTRACT = "probe"


def probe(host, transaction, request, **options):
    return host.ledger.submit(host.pipeline, Call(CONTRACT, transaction, request), **options).response


def evaluate(host, transaction, request):
    return host.ledger.evaluate(host.pipeline, Call(CONTRACT, transaction, request))


def look(host, key):
    return evaluate(host, "get", key)


def refused_code(call, *arguments, **options):
    with pytest.raises(Refused) as refused:
        call(*arguments, **options)
    return refused.value.code


def outcome(call, *arguments):
    """What the call returns, or the code with which it is refused."""
    try:
        return call(*arguments)
    except Refused as refused:
        return refused.code


class TestState:
    def test_a_get_after_a_put_returns_the_old_value(self, probing):
        assert probe(probing, "get_after_put", "probe/a") is None
        assert probe(probing, "get_after_put", "probe/a") == "new"

    def test_values_are_put_replaced_and_removed(self, probing):
        probe(probing, "put", {"probe/a": "1", "probe/b": "2"})
        probe(probing, "put", {"probe/a": "3", "probe/b": None, "probe/never": None})
        assert (look(probing, "probe/a"), look(probing, "probe/b")) == ("3", None)

    def test_many_keys_are_read_as_one_by_one(self, probing):
        # More than a peer answers at once.
        keys = [f"probe/k{number:04}" for number in range(1_100)]
        probe(probing, "put", {key: key[-4:] for key in keys if not key.endswith("7")})
        asked = [*reversed(keys), keys[3], "probe/never", keys[7], keys[3]]
        found = evaluate(probing, "get_many", asked)
        assert found == [None if key[-1] in "7r" else key[-4:] for key in asked]
        assert found == evaluate(probing, "get_each", asked)
        assert evaluate(probing, "get_many", []) == []

    def test_of_many_keys_each_must_be_one(self, probing):
        assert refused_code(probe, probing, "get_many", ["probe/a", "probe/a b"]) == "INVALID_KEY"

    def test_scans_are_ordered_and_resume(self, probing):
        keys = [f"probe/k{number:02}" for number in range(10)]
        probe(probing, "put", dict.fromkeys(reversed(keys), "x"))
        assert probe(probing, "scan", ["probe/k", "probe/l"]) == keys
        assert probe(probing, "scan", ["probe/k02", "probe/k05"]) == keys[2:5]

    def test_evaluating_writes_nothing(self, probing):
        before = probing.ledger.checkpoint()
        probing.ledger.evaluate(probing.pipeline, Call(CONTRACT, "put", {"probe/a": "1"}))
        assert look(probing, "probe/a") is None
        assert probing.ledger.checkpoint() == before

    @pytest.mark.parametrize(
        "key",
        ["provenance/x", "probe", "probe/", "probe/\x01", "probe/a b", "/probe/x", "p" * 600],
    )
    def test_keys_that_no_host_takes(self, probing, key):
        assert refused_code(probe, probing, "put", {key: "1"}) in ("INVALID_KEY", "FOREIGN_KEY")

    def test_a_value_above_the_limit_is_refused(self, probing):
        probe(probing, "put", {"probe/a": "x" * host_limits.MAX_VALUE})
        assert (
            refused_code(probe, probing, "put", {"probe/a": "x" * (host_limits.MAX_VALUE + 1)})
            == "INVALID_VALUE"
        )

    @pytest.mark.needs(SHARED_BLOCKS)
    def test_a_transaction_scans_what_earlier_ones_of_its_block_left(self, probing):
        probe(probing, "put", {"probe/k1": "1", "probe/k2": "2"})
        calls = [
            Call(CONTRACT, "put", {"probe/k1": None, "probe/k3": "3"}),
            Call(CONTRACT, "scan", ["probe/k", "probe/l"]),
            Call(CONTRACT, "get", "probe/k1"),
        ]
        _, scanned, got = probing.ledger.submit_many(probing.pipeline, calls)
        assert (scanned.response, got.response) == (["probe/k2", "probe/k3"], None)

    def test_a_request_without_a_canonical_form_is_not_sent(self, probing):
        with pytest.raises(InvalidInput, match="float"):
            probe(probing, "get", 0.5)

    def test_a_request_above_the_limit_is_not_sent(self, probing):
        with pytest.raises(InvalidInput, match="Split the batch"):
            probe(probing, "get", "x" * host_limits.MAX_REQUEST)


class TestEvents:
    def test_records_up_to_the_limit_are_kept_in_order(self, probing):
        probe(probing, "emit", [host_limits.MAX_RECORD, 10, 20])
        records = ledgers.logged_records(probing.ledger)
        assert [len(record.content) for record in records] == [host_limits.MAX_RECORD, 10, 20]

    def test_a_record_above_the_limit_is_refused(self, probing):
        assert refused_code(probe, probing, "emit", [host_limits.MAX_RECORD + 1]) == "TOO_LARGE"

    def test_an_event_above_the_limit_is_refused(self, probing):
        count = host_limits.MAX_EVENT // host_limits.MAX_RECORD + 1
        assert refused_code(probe, probing, "emit", [host_limits.MAX_RECORD] * count) == "TOO_LARGE"


class TestRefusals:
    @pytest.mark.parametrize(
        ("transaction", "code"),
        [("emit_and_refuse", "NO"), ("fault", "CONTRACT_FAULT"), ("sleep", "CONTRACT_FAULT")],
    )
    def test_nothing_remains_of_a_refused_transaction(self, probing, transaction, code):
        before = probing.ledger.checkpoint()
        assert refused_code(probe, probing, transaction, "secret") == code
        assert probing.ledger.checkpoint() == before
        assert [look(probing, f"probe/{key}") for key in ("refused", "faulty", "asleep")] == [None] * 3

    def test_a_faults_text_is_not_passed_on(self, probing):
        with pytest.raises(Refused) as refused:
            probe(probing, "fault", "patient-4711")
        assert refused.value.facts == {"error": "ValueError"}
        assert "patient-4711" not in str(refused.value)


class TestCaller:
    def test_a_contract_sees_who_when_and_which(self, probing):
        now = ledgers.now()
        receipt = probing.ledger.submit(probing.pipeline, Call(CONTRACT, "whoami", {}), time_ms=now)
        assert receipt.response == ["OperatorMSP", "pipeline", ["pipeline"], receipt.transaction_id, now]

    @pytest.mark.parametrize("off", [-301_000, 301_000])
    def test_a_claimed_time_off_the_hosts_clock_is_refused(self, host, off):
        request = ledgers.dataset()
        assert (
            refused_code(host.submit, "register_dataset", request, time_ms=ledgers.now() + off)
            == "CLOCK_SKEW"
        )

    @pytest.mark.needs(CLOCK)
    def test_a_stream_never_runs_back(self, host):
        host.submit("register_dataset", ledgers.dataset())
        host.clock.offset = -1_000
        host.submit("register_dataset", ledgers.dataset(version=2))
        host.clock.offset = -400_000
        assert refused_code(host.submit, "register_dataset", ledgers.dataset(version=3)) == "BACKDATED"


@pytest.mark.needs(ENDORSING)
class TestConflicts:
    def test_a_read_that_no_longer_holds_voids_the_transaction_on_record(self, probing):
        endorsed = probing.ledger.endorse(probing.pipeline, Call(CONTRACT, "copy", ["probe/a", "probe/b"]))
        probe(probing, "put", {"probe/a": "changed"})
        assert refused_code(probing.ledger.commit, endorsed) == "MVCC_READ_CONFLICT"
        assert look(probing, "probe/b") is None
        (block,) = probing.ledger.log(probing.ledger.height - 1)
        assert (block.transactions, block.invalid) == ((), 1)

    @pytest.mark.parametrize(
        ("changed", "left"), [({"probe/k1": "2"}, "2"), ({"probe/k1": None}, "1"), ({"probe/k9": "1"}, "3")]
    )
    def test_of_many_reads_one_that_no_longer_holds_voids_the_transaction(self, probing, changed, left):
        probe(probing, "put", {"probe/k1": "1", "probe/k2": "1"})
        request = [["probe/k2", "probe/k1", "probe/k9"], "probe/counted"]
        endorsed = probing.ledger.endorse(probing.pipeline, Call(CONTRACT, "count", request))
        probe(probing, "put", changed)
        assert refused_code(probing.ledger.commit, endorsed) == "MVCC_READ_CONFLICT"
        assert look(probing, "probe/counted") is None
        probe(probing, "count", request)
        assert look(probing, "probe/counted") == left

    def test_a_read_that_still_holds_commits(self, probing):
        endorsed = probing.ledger.endorse(probing.pipeline, Call(CONTRACT, "copy", ["probe/a", "probe/b"]))
        probe(probing, "put", {"probe/c": "unrelated"})
        probing.ledger.commit(endorsed)
        assert look(probing, "probe/b") == "nothing"

    def test_a_key_that_appears_in_a_scanned_range_voids_the_transaction(self, probing):
        endorsed = probing.ledger.endorse(probing.pipeline, Call(CONTRACT, "scan_and_put", "probe/z"))
        probe(probing, "put", {"probe/a1": "phantom"})
        assert refused_code(probing.ledger.commit, endorsed) == "PHANTOM_READ_CONFLICT"

    def test_a_transaction_is_committed_once(self, probing):
        endorsed = probing.ledger.endorse(probing.pipeline, Call(CONTRACT, "put", {"probe/a": "1"}))
        first = probing.ledger.commit(endorsed)
        assert outcome(probing.ledger.commit, endorsed) in (first, "DUPLICATE_TRANSACTION")
        logged = [call.id for block in probing.ledger.log() for call in block.transactions]
        assert logged.count(first.transaction_id) == 1


class TestConcurrency:
    def test_concurrent_writers_of_one_stream_lose_nothing(self, host):
        made = host.submit("register_dataset", ledgers.dataset())
        errors: list[Exception] = []

        def write(worker: int) -> None:
            try:
                for number in range(5):
                    host.submit("record_use", ledgers.use(made, worker * 100 + number))
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=write, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        last = host.submit("record_use", ledgers.use(made, 999))
        assert last["repeated"] is False
        attested = host.ledger.submit(
            host.pipeline, Call("provenance", "attest", {"request_id": "a", "stream": "dataset:claims"})
        )
        assert attested.block == host.ledger.height - 1
        (attestation,) = [
            json.loads(record.content)
            for block in host.ledger.log(attested.block)
            for call in block.transactions
            for record in call.records
        ]
        assert attestation["body"]["count"] == 42

    @pytest.mark.needs(SHARED_BLOCKS)
    def test_many_at_once_have_outcomes_of_their_own(self, host):
        requests = [ledgers.dataset(), ledgers.dataset(version=7), ledgers.dataset(version=2)]
        outcomes = host.ledger.submit_many(
            host.pipeline, [Call("provenance", "register_dataset", request) for request in requests]
        )
        assert [isinstance(outcome, Refused) for outcome in outcomes] == [False, True, False]
        assert outcomes[0].block == outcomes[2].block
