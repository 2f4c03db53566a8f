"""Adapters are chosen by URL."""

from __future__ import annotations

import dataclasses

import pytest

from tallystick import wiring
from tallystick.errors import InvalidInput
from tallystick.settings import Settings


@pytest.mark.parametrize("url", ["sqlite://host/ledger.db", "fabric:///profile.yaml", "sqlite:"])
def test_a_ledger_of_another_kind_is_not_opened(tmp_path, url):
    settings = dataclasses.replace(
        Settings.from_environment({"TALLYSTICK_HOME": str(tmp_path)}), ledger_url=url
    )
    with pytest.raises(InvalidInput, match="no ledger answers"):
        wiring.open_ledger(settings)
