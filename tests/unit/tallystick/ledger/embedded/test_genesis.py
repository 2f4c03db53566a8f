"""What a verifier would not read is not written."""

from __future__ import annotations

import dataclasses

import pytest
from support import ledgers

from tallystick.errors import InvalidInput
from tallystick.identity import load_msp
from tallystick.ledger.embedded.genesis import reconfigure


def test_more_than_a_configuration_holds_is_the_users_mistake(tmp_path):
    host = ledgers.make_host(tmp_path, adopt=False)
    msp = load_msp(tmp_path / "msp" / "OperatorMSP")
    crowded = dataclasses.replace(msp, roots=msp.roots * 65)
    with pytest.raises(InvalidInput, match="more than 64 roots"):
        reconfigure(host.ledger, host.user("operator", "admin"), msps=[crowded])
    assert host.ledger.height == 1
    host.ledger.close()
