"""A home for a test: the three development organisations, a ledger and its charter."""

from __future__ import annotations

from pathlib import Path

from tallystick.home.create import DEVELOPMENT_PARTIES, create_home
from tallystick.settings import Settings


def make_home(directory: Path) -> Settings:
    """Settings of a new home below ``directory``, made as `tally demo` makes it."""
    settings = Settings.from_environment(
        {"TALLYSTICK_HOME": str(directory / "home"), "TALLYSTICK_STATE": str(directory / "state")}
    )
    create_home(settings, name="tallystick.example/test", parties=DEVELOPMENT_PARTIES).close()
    return settings
