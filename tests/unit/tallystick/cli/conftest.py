"""Homes for the command line's tests: made once, copied for each test that changes one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.home import make_home, move_in, settings_of
from support.records import make_recorded_home

from tallystick.settings import Settings


@pytest.fixture(scope="session")
def empty_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("empty")
    make_home(directory)
    return directory


@pytest.fixture(scope="session")
def recorded_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("recorded")
    make_recorded_home(directory, source="a source\x1b[2J that clears screens")
    return directory


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the test's home and state belong; the environment says so, nothing is made."""
    move_in(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def empty_home(directory: Path, empty_template: Path) -> Settings:
    """A home of the test's own with a ledger that holds the charter alone."""
    return _copied(empty_template, directory)


@pytest.fixture
def home(directory: Path, recorded_template: Path) -> Settings:
    """A home of the test's own with a chain of records."""
    return _copied(recorded_template, directory)


def _copied(template: Path, directory: Path) -> Settings:
    shutil.copytree(template / "home", directory / "home")
    return settings_of(directory)
