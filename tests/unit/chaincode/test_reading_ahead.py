"""What provenance asks its host for: many keys at once, and the same keys as one by one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support import ledgers

from chaincode import canonical
from chaincode.catalogue import invoke
from chaincode.context import Caller
from chaincode.draft import Draft
from chaincode.parties import CHARTER_KEY
from chaincode.provenance.contract import TRANSACTIONS

CHARTER = {
    "parties": {"operator": "OperatorMSP"},
    "grants": {"pipeline": [{"party": "operator", "role": "pipeline"}]},
    "skew_ms": 300_000,
}


class Host:
    """A context over a dict that notes each question: the keys that were asked for together."""

    caller = Caller("OperatorMSP", "member", frozenset({"pipeline"}))
    transaction_id = "a" * 64
    claimed_time = 1_700_000_000_000

    def __init__(self, state: dict[str, bytes]) -> None:
        self.state = state
        self.questions: list[list[str]] = []
        self.writes: dict[str, bytes] = {}
        self.records: list[bytes] = []

    async def get(self, key: str) -> bytes | None:
        return (await self.get_many([key]))[0]

    async def get_many(self, keys: Any) -> list[bytes | None]:
        self.questions.append(list(keys))
        return [self.state.get(key) for key in keys]

    async def put(self, key: str, value: bytes) -> None:
        self.writes[key] = value

    def emit(self, record: bytes) -> None:
        self.records.append(record)

    def read(self) -> set[str]:
        return {key for keys in self.questions for key in keys}


class Ledger:
    """The state that transactions leave; each is also run reading one by one, and gives the same."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = {CHARTER_KEY: canonical.encode(CHARTER)}
        self._monkeypatch = monkeypatch

    def submit(self, transaction: str, request: Any) -> tuple[Any, Host]:
        ahead, singly = Host(self.state), Host(self.state)
        data = canonical.encode(request)
        response = asyncio.run(invoke(ahead, "provenance", transaction, data))
        with self._monkeypatch.context() as patch:
            patch.setattr(Draft, "fetch", _nothing)
            assert asyncio.run(invoke(singly, "provenance", transaction, data)) == response
        assert (ahead.writes, ahead.records) == (singly.writes, singly.records)
        assert ahead.read() == singly.read()
        self.state |= ahead.writes
        return canonical.decode(response), ahead


async def _nothing(draft: Draft, keys: Any) -> None:
    list(keys)


@pytest.fixture
def ledger(monkeypatch) -> Ledger:
    return Ledger(monkeypatch)


TASK = {"dag": "d", "run": "r", "task": "t", "map_index": -1, "try": 1}


def requests(ledger: Ledger):
    """One of each kind, in an order in which they are taken: (transaction, request) and back its result."""
    parent = yield "register_dataset", ledgers.dataset("parent")
    made = yield "register_dataset", ledgers.dataset(parents=[ledgers.reference(parent)], task=TASK)
    screened = yield "record_screening", ledgers.screening(made, task=TASK)
    validated = yield "record_validation", ledgers.validation(made)
    declared = yield "declare_run", ledgers.intent(made, screened, validated)
    ran = yield "record_run", ledgers.run(declared)
    model = yield "register_model", ledgers.model(ran)
    yield "record_use", ledgers.use(made)
    yield (
        "record_outcome",
        {"request_id": "o", "state": "failed", "observed_by": "task", "error": None, "task": TASK},
    )
    task = {"task": "t", "map_index": -1, "try": 1, "state": "failed"}
    yield "record_pipeline", {"request_id": "p", "dag": "d", "run": "r", "outcome": "failed", "tasks": [task]}
    yield "attest", {"request_id": "a", "stream": "dataset:claims"}
    yield "retire", ledgers.retirement(model, request_id="r1")
    yield "retire", ledgers.retirement(screened, request_id="r2")


#: Beside the charter and the two questions of every transaction: what only the state can tell.
MORE = {"record_run": ["run", "streams"], "retire": ["streams"]}


def test_a_transaction_asks_three_times_and_reads_what_it_would_one_by_one(ledger):
    flow, result, seen = requests(ledger), None, set()
    while True:
        try:
            transaction, request = flow.send(result)
        except StopIteration:
            break
        result, host = ledger.submit(transaction, request)
        asked = [keys for keys in host.questions if keys]
        assert asked[:2] == [[CHARTER_KEY], [f"provenance/request/{request['request_id']}"]]
        more = [keys[0] for keys in asked[3:]]
        assert all(any(part in key for part in MORE.get(transaction, [])) for key in more), more
        seen.add(transaction)
        again, repeated = ledger.submit(transaction, request)
        assert (again, repeated.writes) == ({**result, "repeated": True}, {})
        assert [len(keys) for keys in repeated.questions if keys] == [1, 1]
    assert seen == TRANSACTIONS.keys() - {"batch", "read", "latest"}


def test_a_batch_asks_no_oftener_the_more_it_holds(ledger):
    made = [ledger.submit("register_dataset", ledgers.dataset(f"d{number}"))[0] for number in range(40)]
    for count in (2, 40):
        uses = [ledgers.use(each, request_id=f"{count}-{place}") for place, each in enumerate(made[:count])]
        items = [{"transaction": "record_use", "request": each} for each in uses]
        result, host = ledger.submit("batch", {"items": items})
        assert len(result) == len(host.records) == count
        assert [len(keys) for keys in host.questions] == [1, count, 3 * count]
