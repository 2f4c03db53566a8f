"""Processes that are killed, replaced or strange: an error within a deadline, and nothing half done."""

from __future__ import annotations

import asyncio
import signal
import sys
import time

import grpc
import pytest
from fakes.fabric_peer import channel_to, connect
from support import ledgers
from support.fabric_network import Live

from tallystick.network import processes
from tallystick.network.configuration import server_environment
from tallystick.network.layout import ORDERER_MSP


def register(live: Live, name: str, **how: tuple[str, ...]) -> tuple[int, str]:
    return live.invoke("provenance:register_dataset", ledgers.dataset(name=name), **how)


def latest(live: Live, name: str) -> int:
    found = live.query("provenance:latest", {"kind": "dataset", "name": name}, "auditor", "reader")
    assert isinstance(found, int)
    return found


def test_a_killed_chaincode_server_is_missed_at_once_and_restarted(live: Live) -> None:
    live.kill("chaincode-operator", signal.SIGKILL)
    began = time.monotonic()
    code, told = register(live, "killed")
    assert code == 1
    assert "endorse" in told or "chaincode" in told
    assert time.monotonic() - began < 15
    code, told = register(live, "without-operator", endorsers=("regulator", "auditor"))
    assert code == 0, "the other two are enough"
    live.again()
    code, told = register(live, "killed")
    assert code == 0, told
    assert latest(live, "killed") == 1


def test_a_chaincode_that_crashes_in_the_middle_leaves_nothing(live: Live) -> None:
    with live.served_badly("dies", "regulator"):
        began = time.monotonic()
        code, told = register(live, "crashed")
        assert code == 1
        assert time.monotonic() - began < 15
    assert latest(live, "crashed") == 0
    code, told = register(live, "crashed")
    assert code == 0, told


def test_contracts_other_than_those_committed_do_not_start(live: Live) -> None:
    peer = live.peer("auditor")
    environment = server_environment(live.layout, peer, live.network.package_id, "0" * 64)
    process = processes.start(live.root, "other", [sys.executable, "-m", "chaincode.fabric"], environment)
    while process.ended() is None:
        time.sleep(0.05)
    assert process.ended() == 2
    assert "is what was committed" in processes.last_lines(live.root, "other", 1)[0]


@pytest.mark.parametrize("shown", ["the regulator's peer", "an administrator", "an orderer"])
def test_a_chaincode_server_admits_its_own_peer_alone(live: Live, shown: str) -> None:
    peer = live.peer("operator")
    tls = {
        "the regulator's peer": live.layout.node("peer-regulator") / "tls",
        "an administrator": live.layout.user("OperatorMSP", "admin") / "tls",
        "an orderer": live.layout.node("orderer1") / "tls",
    }[shown]
    root = live.layout.tls_root(peer.organisation.msp_id).read_bytes()
    assert live.layout.tls_root(ORDERER_MSP).read_bytes() != root

    async def main(directory) -> object:
        pair = (directory / "cert.pem").read_bytes(), (directory / "key.pem").read_bytes()
        async with channel_to(peer.server_port, *pair, root) as channel:
            return await asyncio.wait_for(connect(channel).read(), 10)

    with pytest.raises(grpc.aio.AioRpcError) as error:
        asyncio.run(main(tls))
    expected = (
        grpc.StatusCode.PERMISSION_DENIED if shown == "an administrator" else grpc.StatusCode.UNAVAILABLE
    )
    assert error.value.code() == expected
    assert asyncio.run(main(live.layout.node("peer-operator") / "tls")) is not None
