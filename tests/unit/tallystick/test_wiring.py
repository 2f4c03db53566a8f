"""Adapters are chosen by URL."""

from __future__ import annotations

import dataclasses

import pytest
from support.home import make_home

from tallystick import wiring
from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.settings import Settings


@pytest.mark.parametrize("url", ["sqlite://host/ledger.db", "postgres:///ledger", "sqlite:"])
def test_a_ledger_of_another_kind_is_not_opened(tmp_path, url):
    settings = dataclasses.replace(
        Settings.from_environment({"TALLYSTICK_HOME": str(tmp_path)}), ledger_url=url
    )
    with pytest.raises(InvalidInput, match="no ledger answers"):
        wiring.open_ledger(settings)


@pytest.mark.parametrize(
    ("url", "problem"),
    [("fabric:///nowhere/profile.yaml", "profile.yaml is missing"), ("fabric://host/p", "names no profile")],
)
def test_a_channel_is_opened_by_its_profile(tmp_path, url, problem):
    settings = dataclasses.replace(
        Settings.from_environment({"TALLYSTICK_HOME": str(tmp_path)}), ledger_url=url
    )
    for opened in (wiring.open_ledger, wiring.open_for_reading, wiring.open_workspace, wiring.stored_ledger):
        with pytest.raises(InvalidInput, match=problem):
            opened(settings)


def test_a_channel_is_not_changed_from_one_home(tmp_path):
    settings = dataclasses.replace(
        Settings.from_environment({"TALLYSTICK_HOME": str(tmp_path)}), ledger_url="fabric:///p.yaml"
    )
    with pytest.raises(InvalidInput, match="not changed from one home"):
        wiring.config_in_force(settings)


def test_only_whoever_writes_needs_the_key_of_the_log(tmp_path):
    settings = make_home(tmp_path)
    settings.log_key.chmod(0o644)
    with pytest.raises(CouldNotCheck, match=r"log\.pem"):
        wiring.open_workspace(settings)
    with wiring.open_workspace(settings, writing=False) as workspace:
        assert workspace.ledger.height == 2
