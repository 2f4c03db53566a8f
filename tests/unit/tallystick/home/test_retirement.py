"""A retirement's order, whoever asks for it: the record first, and without it nothing is destroyed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.datasets import made_up
from support.home import make_home
from support.records import make_recorded_home

from tallystick import wiring
from tallystick.clients.provenance import Request
from tallystick.errors import CouldNotCheck, InvalidInput, Refused
from tallystick.home.retirement import plan_retirement, retire
from tallystick.identity import load_user
from tallystick.ledger.port import Call
from tallystick.reports.index import open_index
from tallystick.reports.record import Record
from tallystick.settings import Settings
from tallystick.steps.workspace import Workspace
from tallystick.store import Store


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return make_home(tmp_path)


def register(w: Workspace) -> tuple[str, str]:
    """A dataset of one object; the object's digest and the id of the key."""
    digest, key = w.store.add_bytes(b"age,cost\n40,10\n"), w.keyring.create("people").key_id
    facts = made_up(file={"sha256": digest}, size=15, key=key)
    w.provenance.register_dataset(Request("first"), **facts)
    return digest, key


def retirement(w: Workspace) -> object:
    return w.provenance.read("dataset/people/1")["retirement"]


def test_the_record_stands_before_anything_is_destroyed(home: Settings) -> None:
    with wiring.open_workspace(home) as w:
        digest, key = register(w)
        seen: list[object] = []

        def recorded(block: int | None) -> None:
            assert w.store.verify(digest)
            w.keyring.load(key)
            seen.append((block, retirement(w)))

        plan = plan_retirement(home, "people", erase=True)
        assert retire(w, plan, reason="asked for", recorded=recorded) == 1
        assert seen == [(w.ledger.height - 1, {"state": "erased"})]
        with pytest.raises(CouldNotCheck):
            w.store.verify(digest)
        with pytest.raises(CouldNotCheck):
            w.keyring.load(key)


def test_a_key_that_stays_is_not_passed_over(home: Settings) -> None:
    with wiring.open_workspace(home) as w:
        _, key = register(w)
        plan = plan_retirement(home, "people", erase=True)
        (home.keys / f"{key}.key").unlink()
        (home.keys / f"{key}.key").mkdir()
        with pytest.raises(CouldNotCheck, match="could not be written"):
            retire(w, plan, reason="asked for", recorded=lambda _: None)
        (home.keys / f"{key}.key").rmdir()
        assert retire(w, plan, reason="asked for", recorded=lambda _: None) == 0


def test_without_the_record_nothing_is_destroyed(home: Settings) -> None:
    with wiring.open_workspace(home) as w:
        digest, key = register(w)
        plan = plan_retirement(home, "people", erase=True)
        with pytest.raises(Refused, match=r"request\.reason"):
            retire(w, plan, reason="", recorded=lambda _: pytest.fail("nothing was recorded"))
        assert w.store.verify(digest)
        w.keyring.load(key)
        assert retirement(w) is None


def test_what_is_only_retired_stays_and_only_a_dataset_has_a_key(home: Settings) -> None:
    with wiring.open_workspace(home) as w:
        digest, key = register(w)
        plan = plan_retirement(home, "people", erase=False)
        assert retire(w, plan, reason="superseded", recorded=lambda _: None) == 0
        assert w.store.verify(digest)
        w.keyring.load(key)
        assert retirement(w) == {"state": "retired"}
    with pytest.raises(InvalidInput, match="no dataset"):
        plan_retirement(home, "charter/1", erase=True)


def record_uses(settings: Settings, count: int) -> None:
    """As many uses of the dataset people, in batches of 500."""
    with wiring.open_workspace(settings) as w:
        digest = w.provenance.read("dataset/people/1")["facts"]["digest"]
        dataset = {"id": "dataset/people/1", "digest": {"sha256": digest}}
        items = [
            {
                "transaction": "record_use",
                "request": {"request_id": f"use-{number}", "dataset": dataset, "purpose": "a test"},
            }
            for number in range(count)
        ]
        user = load_user(settings.msp, settings.msp_id, settings.user)
        for start in range(0, count, 500):
            w.ledger.submit(user, Call("provenance", "batch", {"items": items[start : start + 500]}))


def test_how_often_a_dataset_was_used_does_not_make_its_erasure_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_recorded_home(tmp_path)
    record_uses(home, 3000)
    with wiring.open_workspace(home) as w:
        with open_index(home.index, w.ledger):
            height = w.ledger.height
        decoded, read, told = [], [], list[int]()
        value, at = Record.value, Store.read
        monkeypatch.setattr(Record, "value", property(lambda record: decoded.append(1) or value.func(record)))
        monkeypatch.setattr(Store, "read", lambda *arguments: read.append(arguments) or at(*arguments))
        plan = plan_retirement(home, "people", erase=True, progress=told.append)
        retire(w, plan, reason="asked for", recorded=lambda _: None)
    assert len(decoded) < 10
    assert len(read) == 2  # the one run's record and its model's files
    assert sum(told) == height
