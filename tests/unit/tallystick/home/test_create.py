"""A home is made whole or completed, and never made twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.home import make_home

from tallystick import wiring
from tallystick.clients import charter
from tallystick.errors import InvalidInput
from tallystick.home import create
from tallystick.identity import load_user
from tallystick.ledger.embedded import genesis
from tallystick.settings import Settings


class Killed(BaseException):
    """Stands for a process that was killed at this point."""


def _kill(*arguments: object, **options: object) -> None:
    raise Killed


def settings_of(directory: Path) -> Settings:
    return Settings.from_environment(
        {"TALLYSTICK_HOME": str(directory / "home"), "TALLYSTICK_STATE": str(directory / "state")}
    )


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (create, "create_organisation"),
        (create, "generate_log_key"),
        (genesis, "create_ledger"),
        (charter, "adopt"),
    ],
)
def test_a_home_that_was_left_half_made_is_completed(tmp_path, monkeypatch, module, name):
    settings = settings_of(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(module, name, _kill)
        with pytest.raises(Killed):
            create.create_home(settings, name="tallystick.example/test")
    assert not create.has_charter(settings)
    ledger = create.create_home(settings, name="tallystick.example/test")
    assert create.has_charter(settings)
    operator = load_user(settings.msp, "OperatorMSP", "pipeline")
    assert charter.read(ledger, operator)["origin"] == ledger.origin


def test_a_home_is_not_made_twice(tmp_path):
    settings = make_home(tmp_path)
    before = wiring.open_ledger(settings).checkpoint()
    with pytest.raises(InvalidInput, match="already"):
        create.create_home(settings, name="tallystick.example/other")
    assert wiring.open_ledger(settings).checkpoint() == before
