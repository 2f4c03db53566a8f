"""A retirement's order, whoever asks for it: the record first, and without it nothing is destroyed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.datasets import made_up
from support.home import make_home

from tallystick import wiring
from tallystick.clients.provenance import Request
from tallystick.errors import CouldNotCheck, InvalidInput, Refused
from tallystick.home.retirement import plan_retirement, retire
from tallystick.settings import Settings
from tallystick.steps.workspace import Workspace


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
