"""The channel's first configuration says who must agree to what."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallystick.network.genesis import policy, profile
from tallystick.network.layout import CONSENSUS, Layout


def layout(consensus: str = "raft") -> Layout:
    return Layout(Path("/network"), consensus, 20_000)


def test_the_regulator_and_one_other_agree_to_transactions_contracts_and_members() -> None:
    application = profile(layout())["Application"]
    expected = {
        "Endorsement": "AND('RegulatorMSP.peer',OR('OperatorMSP.peer','AuditorMSP.peer'))",
        "LifecycleEndorsement": "AND('RegulatorMSP.peer',OR('OperatorMSP.peer','AuditorMSP.peer'))",
        "Admins": "AND('RegulatorMSP.admin',OR('OperatorMSP.admin','AuditorMSP.admin'))",
    }
    for name, rule in expected.items():
        assert application["Policies"][name] == {"Type": "Signature", "Rule": rule}
    assert policy("peer") == expected["Endorsement"]


@pytest.mark.parametrize(("consensus", "count"), CONSENSUS.items())
def test_every_orderer_orders(consensus: str, count: int) -> None:
    orderer = profile(layout(consensus))["Orderer"]
    consenters = orderer.get("ConsenterMapping") or orderer["EtcdRaft"]["Consenters"]
    assert len({consenter["Port"] for consenter in consenters}) == count
    assert (orderer["OrdererType"] == "BFT") == (consensus == "bft")


@pytest.mark.parametrize("consensus", CONSENSUS)
def test_no_port_is_used_twice(consensus: str) -> None:
    ports = [port for ports in layout(consensus).ports.values() for port in ports]
    assert len(set(ports)) == len(ports)
    assert 20_000 <= min(ports) <= max(ports) <= 20_000 + 304
