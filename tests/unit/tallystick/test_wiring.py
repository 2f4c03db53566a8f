"""A home is made whole or completed, and never made twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import forgery
from support.home import make_home

from tallystick import wiring
from tallystick.clients import charter
from tallystick.errors import InvalidInput
from tallystick.evidence import verify as verify_module
from tallystick.evidence.report import Report
from tallystick.identity import load_user
from tallystick.ledger.embedded import genesis
from tallystick.reports.verification import last_verification
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
        (wiring, "create_organisation"),
        (wiring, "generate_log_key"),
        (genesis, "create_ledger"),
        (charter, "adopt"),
    ],
)
def test_a_home_that_was_left_half_made_is_completed(tmp_path, monkeypatch, module, name):
    settings = settings_of(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(module, name, _kill)
        with pytest.raises(Killed):
            wiring.create_home(settings, name="tallystick.example/test")
    assert not wiring.has_charter(settings)
    ledger = wiring.create_home(settings, name="tallystick.example/test")
    assert wiring.has_charter(settings)
    operator = load_user(settings.msp, "OperatorMSP", "pipeline")
    assert charter.read(ledger, operator)["origin"] == ledger.origin


def test_a_home_is_not_made_twice(tmp_path):
    settings = make_home(tmp_path)
    before = wiring.open_ledger(settings).checkpoint()
    with pytest.raises(InvalidInput, match="already"):
        wiring.create_home(settings, name="tallystick.example/other")
    assert wiring.open_ledger(settings).checkpoint() == before


@pytest.mark.parametrize("url", ["sqlite://host/ledger.db", "fabric:///profile.yaml", "sqlite:"])
def test_a_ledger_of_another_kind_is_not_opened(tmp_path, url):
    import dataclasses

    settings = dataclasses.replace(settings_of(tmp_path), ledger_url=url)
    with pytest.raises(InvalidInput, match="no ledger answers"):
        wiring.open_ledger(settings)


def test_a_file_that_is_refused_replaces_an_older_verdict(tmp_path):
    settings = make_home(tmp_path)
    assert wiring.verify(settings).verified
    assert last_verification(settings.home)["verified"]
    path = wiring.embedded_path(settings)
    forgery.execute(path, "DROP TABLE hashes")
    report = wiring.verify(settings)
    assert [(s.kind, s.status) for s in report.subjects] == [("ledger", "CHANGED")]
    kept = last_verification(settings.home)
    assert not kept["verified"]
    assert kept["subjects"] == report.value()["subjects"]


def test_packages_of_the_home_are_not_run_for_an_auditor(tmp_path, monkeypatch):
    """What the judged party supplies runs only where nothing is held against it, or where it is named."""
    settings = make_home(tmp_path)
    kept = wiring.open_ledger(settings).checkpoint()
    given = []

    def note(*inputs, packages, **options):
        given.append(packages)
        return Report((), witnessed=False)

    monkeypatch.setattr(verify_module, "verify", note)
    wiring.verify(settings)
    wiring.verify(settings, since=kept)
    wiring.verify(settings, since=kept, packages=tmp_path)
    assert given == [settings.packages, None, tmp_path]
