"""A home is made whole or completed, and never made twice."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.home import make_home, settings_of

from tallystick import wiring
from tallystick.cli.pipelines import _check_ready
from tallystick.clients import charter
from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.home import create, identities
from tallystick.identity import load_user
from tallystick.ledger.embedded import genesis


class Killed(BaseException):
    """Stands for a process that was killed at this point."""


def _kill(*arguments: object, **options: object) -> None:
    raise Killed


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


def half_made(settings, monkeypatch) -> None:
    """A home whose making was killed before the charter."""
    with monkeypatch.context() as patched:
        patched.setattr(charter, "adopt", _kill)
        with pytest.raises(Killed):
            create.create_home(settings, name="tallystick.example/test")


def test_a_configuration_before_the_charter_does_not_stand_for_it(tmp_path, monkeypatch):
    settings = settings_of(tmp_path)
    half_made(settings, monkeypatch)
    identities.enrol(settings, "OperatorMSP", "leaver", ["reader"])
    assert identities.revoke(settings, "OperatorMSP", "leaver") == 1
    assert not create.has_charter(settings)
    with pytest.raises(CouldNotCheck, match="no charter yet") as caught:
        _check_ready(settings)
    assert "tally init" in caught.value.hint
    with closing(create.create_home(settings, name="tallystick.example/test")) as ledger:
        assert charter.read(ledger, load_user(settings.msp, "OperatorMSP", "pipeline"))
    assert create.has_charter(settings)
    _check_ready(settings)


def test_nothing_stays_open_where_the_charter_is_not_adopted(tmp_path, monkeypatch):
    settings = settings_of(tmp_path)
    half_made(settings, monkeypatch)
    resolved = [link.resolve() for link in Path("/proc/self/fd").iterdir()]
    assert [each for each in resolved if each.is_relative_to(tmp_path)] == []


def test_of_two_homes_that_make_one_ledger_at_once_one_is_told_so(tmp_path):
    """In processes of their own, as two people would."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    start = "import sys; from tallystick.cli import main; sys.exit(main(['init']))"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", start],
            env={
                **os.environ,
                "TALLYSTICK_HOME": str(tmp_path / name),
                "TALLYSTICK_STATE": str(tmp_path / "state"),
                "TALLYSTICK_LEDGER": url,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "other")
    ]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 2], errors
    assert "CHARTER_EXISTS" not in "".join(errors)
    assert {each.name for each in tmp_path.iterdir()} - {"one", "other", "state"} <= {
        "ledger.db",
        "ledger.db.lock",
    }
