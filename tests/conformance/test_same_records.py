"""The same transactions on every host: the same verdicts and the same records, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from conformance.hosts import HOSTS, Host
from support import ledgers

from tallystick.errors import Refused
from tallystick.ledger.port import Call, LoggedTransaction
from tallystick.proof import merkle
from tallystick.proof.leaves import record_leaf

_NO_SALT = "0" * 64
#: Callers of the script beside the operator's pipeline.
_READER = ("regulator", "reader")


@dataclass
class Played:
    """What a host made of the script: each verdict, and the transactions that stand."""

    verdicts: list[Any]
    transactions: list[LoggedTransaction]


def _play(host: Host, time_ms: int) -> Played:
    """Every transaction of the contracts once, refusals and a repetition among them."""
    start = host.ledger.height
    verdicts: list[Any] = []

    def submit(transaction: str, request: Any, by: tuple[str, str] = ("operator", "pipeline")) -> Any:
        call = Call("provenance", transaction, request)
        try:
            verdicts.append(host.ledger.submit(host.user(*by), call, time_ms=time_ms).response)
        except Refused as refused:
            verdicts.append((refused.code, refused.facts))
        return verdicts[-1]

    dataset = submit("register_dataset", ledgers.dataset())
    submit("register_dataset", ledgers.dataset())
    submit("register_dataset", ledgers.dataset(source="another"))
    submit("register_dataset", ledgers.dataset(version=3))
    submit("register_dataset", ledgers.dataset(version=2), by=_READER)
    screening = submit("record_screening", ledgers.screening(dataset))
    validation = submit("record_validation", ledgers.validation(dataset))
    intent = submit("declare_run", ledgers.intent(dataset, screening, validation))
    run = submit("record_run", ledgers.run(intent))
    submit("register_model", ledgers.model(run))
    submit("record_use", ledgers.use(dataset))
    attests = [
        {"transaction": "attest", "request": {"request_id": each, "stream": "model:risk"}} for each in "ab"
    ]
    submit("batch", {"items": attests})
    submit("batch", {"items": [*attests, {"transaction": "attest", "request": {"request_id": "c"}}]})
    submit("retire", ledgers.retirement(dataset))
    return Played(verdicts, [call for block in host.ledger.log(start) for call in block.transactions])


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> dict[str, Played]:
    """The script on every host, with one claimed time."""
    time_ms = ledgers.now()
    return {name: _play(kind.make(tmp_path_factory.mktemp(name)), time_ms) for name, kind in HOSTS.items()}


def _each(played: dict[str, Played], what: Any) -> list[Any]:
    return [what(each) for each in played.values()]


def _records_root(transactions: list[LoggedTransaction]) -> bytes:
    """The root over the records' leaves, their salts taken out: these come of each proposal's nonce."""
    return merkle.root(
        [
            merkle.leaf_hash(record_leaf(record.content, _NO_SALT))
            for call in transactions
            for record in call.records
        ]
    )


@pytest.mark.fabric
class TestOneScript:
    def test_every_host_answers_and_refuses_alike(self, played):
        first, *others = _each(played, lambda each: each.verdicts)
        assert others == [first] * (len(HOSTS) - 1)
        refused = [verdict[0] for verdict in first if isinstance(verdict, tuple)]
        assert (len(first), len(refused), len(set(refused))) == (14, 4, 4)
        assert first[1] == {**first[0], "repeated": True}

    def test_every_host_records_the_same_bytes_in_the_same_order_and_so_the_same_leaves(self, played):
        first, *others = _each(
            played, lambda each: [[r.content for r in t.records] for t in each.transactions]
        )
        assert others == [first] * (len(HOSTS) - 1)
        assert sum(map(len, first)) == 10
        assert len(set(_each(played, lambda each: _records_root(each.transactions)))) == 1

    def test_a_transactions_leaf_and_its_records_lie_alike_and_name_the_same_caller(self, played):
        def seen(each: Played) -> list[Any]:
            return [
                (t.msp_id, t.enrolment_id, t.time_ms, [r.leaf - t.leaf for r in t.records])
                for t in each.transactions
            ]

        first, *others = _each(played, seen)
        assert others == [first] * (len(HOSTS) - 1)

    def test_a_record_more_is_another_root(self, played):
        whole = next(iter(played.values())).transactions
        *kept, last = whole
        cut = [*kept, replace(last, records=last.records[:-1])]
        assert _records_root(cut) != _records_root(whole)
