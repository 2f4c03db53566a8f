"""Adapters are chosen by URL."""

from __future__ import annotations

import dataclasses

import pytest
from support.home import make_home

from tallystick import wiring
from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.settings import Settings


@pytest.mark.parametrize("url", ["sqlite://host/ledger.db", "fabric:///profile.yaml", "sqlite:"])
def test_a_ledger_of_another_kind_is_not_opened(tmp_path, url):
    settings = dataclasses.replace(
        Settings.from_environment({"TALLYSTICK_HOME": str(tmp_path)}), ledger_url=url
    )
    with pytest.raises(InvalidInput, match="no ledger answers"):
        wiring.open_ledger(settings)


def test_only_whoever_writes_needs_the_key_of_the_log(tmp_path):
    settings = make_home(tmp_path)
    settings.log_key.chmod(0o644)
    with pytest.raises(CouldNotCheck, match=r"log\.pem"):
        wiring.open_workspace(settings)
    with wiring.open_workspace(settings, writing=False) as workspace:
        assert workspace.ledger.height == 2
