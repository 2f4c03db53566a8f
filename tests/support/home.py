"""Homes for tests: where one is, and one with the development organisations, a ledger and its charter."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallystick.home.create import DEVELOPMENT_PARTIES, create_home
from tallystick.settings import Settings


def settings_of(directory: Path) -> Settings:
    """Settings of a home and of a state below ``directory``; nothing is made."""
    return Settings.from_environment(_variables(directory))


def move_in(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same, and for as long as the test lasts the environment says so."""
    for name, value in _variables(directory).items():
        monkeypatch.setenv(name, value)
    return settings_of(directory)


def make_home(directory: Path) -> Settings:
    """Settings of a new home below ``directory``, made as `tally demo` makes it."""
    settings = settings_of(directory)
    create_home(settings, name="tallystick.example/test", parties=DEVELOPMENT_PARTIES).close()
    return settings


def _variables(directory: Path) -> dict[str, str]:
    return {"TALLYSTICK_HOME": str(directory / "home"), "TALLYSTICK_STATE": str(directory / "state")}
