"""Conflicts are tried again, a bounded number of times; nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from tallystick.clients import charter, submission
from tallystick.clients.provenance import Provenance, Reference, Request
from tallystick.errors import Refused
from tallystick.ledger.port import Receipt


class Conflicting:
    """A ledger that refuses so often with a code, then commits."""

    origin = "tallystick.example/x"

    def __init__(self, code: str, times: int) -> None:
        self.code, self.times, self.calls = code, times, list[Any]()

    def submit(self, identity: Any, call: Any) -> Receipt:
        self.calls.append(call)
        if len(self.calls) <= self.times:
            raise Refused("no", code=self.code)
        response = {"id": "use/1", "digest": {"sha256": "aa"}, "repeated": False}
        return Receipt("id", 1, response)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission.time, "sleep", lambda seconds: None)


def use(ledger: Any) -> Any:
    door = Provenance(ledger, identity=None)  # type: ignore[arg-type]
    return door.record_use(Request("1"), dataset=Reference("dataset/x/1", "aa"), purpose="a test")


@pytest.mark.parametrize("code", ["MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT"])
def test_a_conflict_is_tried_again_with_the_same_request(code: str) -> None:
    ledger = Conflicting(code, submission.ATTEMPTS - 1)
    assert use(ledger).reference == Reference("use/1", "aa")
    assert ledger.calls == [ledger.calls[0]] * submission.ATTEMPTS


def test_a_conflict_without_end_is_said() -> None:
    ledger = Conflicting("MVCC_READ_CONFLICT", 1000)
    with pytest.raises(Refused) as caught:
        use(ledger)
    assert caught.value.code == "MVCC_READ_CONFLICT"
    assert len(ledger.calls) == submission.ATTEMPTS


def test_another_refusal_is_final() -> None:
    ledger = Conflicting("NOT_GRANTED", 1)
    with pytest.raises(Refused):
        use(ledger)
    assert len(ledger.calls) == 1


def test_the_charter_goes_the_same_way() -> None:
    ledger: Any = Conflicting("MVCC_READ_CONFLICT", 1)
    charter.adopt(ledger, None, parties={}, independent="x", grants={})  # type: ignore[arg-type]
    assert len(ledger.calls) == 2
