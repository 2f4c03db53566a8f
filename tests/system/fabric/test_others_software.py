"""Others' software with ours: Fabric's Gateway client for Node, and a chaincode on Fabric's library for Go.

Fabric's own `peer` program is the client of test_contracts.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import ledgers
from support.channels import begin_channel
from support.deadline import within
from support.fabric_client import ORGANISATIONS, connected, evaluate, write_profile
from support.fabric_network import CHARTER, Live

from chaincode import canonical
from tallystick.ledger.fabric import EndorseError, EvaluateError, Gateway, Position, follow
from tallystick.network.layout import CHAINCODE, CHANNEL, HOST

HERE = Path(__file__).parent
REGISTER = "provenance:register_dataset"


@pytest.fixture(scope="module")
def node(live: Live, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the Node client did and was told."""
    program = shutil.which("node")
    if program is None or not (HERE / "node" / "node_modules").is_dir():
        pytest.skip("Node or the client is not installed: make node")
    member, peer = live.layout.user("OperatorMSP", "pipeline"), live.peer("operator")
    told = {
        "address": f"{HOST}:{peer.port}",
        "tlsRoots": str(live.layout.tls_root("OperatorMSP")),
        "clientCertificate": str(member / "tls" / "cert.pem"),
        "clientKey": str(member / "tls" / "key.pem"),
        "mspId": "OperatorMSP",
        "certificate": str(member / "signcerts" / "cert.pem"),
        "key": str(member / "keystore" / "key.pem"),
        "channel": CHANNEL,
        "chaincode": CHAINCODE,
        "charter": canonical.encode(CHARTER).decode(),
        "request": canonical.encode(ledgers.dataset(name="of-node")).decode(),
        "another": canonical.encode(ledgers.dataset(name="of-node-alone")).decode(),
    }
    path = tmp_path_factory.mktemp("node") / "told.json"
    path.write_text(json.dumps(told))
    command = [program, str(HERE / "node" / "client.mjs"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


@pytest.fixture
def gateway(live: Live, tmp_path: Path) -> Iterator[Gateway]:
    with within(60), connected(write_profile(live, tmp_path / "profile.yaml")) as connection:
        yield connection


def test_nodes_client_reads_and_writes(node: dict[str, Any], gateway: Gateway) -> None:
    assert json.loads(node["charter"])["parties"] == CHARTER["parties"]
    assert node["committed"]["successful"]
    assert json.loads(node["committed"]["result"])["id"] == "dataset/of-node/1"
    assert set(evaluate(gateway, "provenance:read", {"id": "dataset/of-node/1"})["facts"]) == {"digest"}


def test_nodes_client_hears_the_event_that_ours_hears(node: dict[str, Any], gateway: Gateway) -> None:
    committed, event = node["committed"], node["event"]
    assert (event["name"], event["block"]) == ("records", committed["block"])
    (ours,) = [
        each
        for each in follow(gateway, CHAINCODE, Position(committed["block"]), seconds=3)
        if each.transaction_id == committed["transactionId"]
    ]
    assert ours.payload.decode() == event["payload"]
    assert json.loads(event["payload"])


def test_nodes_client_is_told_refusals_whole(node: dict[str, Any], gateway: Gateway) -> None:
    refusal = {"code": "CHARTER_EXISTS", "facts": {}}
    for way, kind in (("refusedByContract", "EndorseError"), ("refusedAsQuery", "GatewayError")):
        assert node[way]["name"] == kind
        (reason,) = node[way]["details"]
        assert reason["mspId"] == "OperatorMSP"
        assert refusal == json.loads(reason["message"][reason["message"].index("{") :])
    by_peers = node["refusedByPeers"]
    assert (by_peers["name"], by_peers["code"]) == ("CommitError", 10)
    assert len(by_peers["transactionId"]) == 64
    assert evaluate(gateway, "provenance:latest", {"kind": "dataset", "name": "of-node-alone"}) == 0


@pytest.fixture(scope="module")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed")  # under CI=true the shared conftest makes this a failure
    binary = tmp_path_factory.mktemp("go") / "chaincode"
    environment = os.environ | {"GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
    build = [go, "build", "-trimpath", "-o", str(binary), "."]
    subprocess.run(build, cwd=HERE / "go_chaincode", env=environment, check=True, timeout=590)
    return binary


@pytest.fixture(scope="module")
def in_go(live: Live, go_program: Path) -> Iterator[Live]:
    """A channel whose chaincode is the one in Go, which stands where our servers stood, under their id."""
    channel = begin_channel(live, "go")
    with live.served_by([str(go_program)], *ORGANISATIONS):
        yield channel


@pytest.fixture
def driver(in_go: Live, tmp_path: Path) -> Iterator[Gateway]:
    with within(60), connected(write_profile(in_go, tmp_path / "profile.yaml", channel="go")) as connection:
        yield connection


def run(gateway: Gateway, *arguments: str) -> bytes:
    return gateway.evaluate(proposal(gateway, *arguments))


def proposal(gateway: Gateway, *arguments: str) -> Any:
    return gateway.propose(
        CHAINCODE, [each.encode() for each in arguments], time_ms=time.time_ns() // 1_000_000
    )


def test_our_client_drives_a_chaincode_in_go(driver: Gateway) -> None:
    committed = driver.submit(lambda: proposal(driver, "put", "key", "value"))
    assert committed.payload.decode() == committed.transaction_id
    assert run(driver, "get", "key") == b"value"
    (event,) = follow(driver, CHAINCODE, Position(committed.block), seconds=3)
    assert (event.transaction_id, event.name, event.payload) == (committed.transaction_id, "put", b"key")
    with pytest.raises(EndorseError, match="no such transaction") as refused:
        driver.submit(lambda: proposal(driver, "nothing"))
    assert refused.value.refusal is not None


def test_fabrics_library_reads_our_role_attribute(in_go: Live, driver: Gateway, tmp_path: Path) -> None:
    expected = {"msp": "OperatorMSP", "hf.EnrollmentID": "pipeline", "tallystick.roles": "pipeline"}
    assert json.loads(run(driver, "caller")) == expected
    assert run(driver, "only", "pipeline") == b""
    with pytest.raises(EvaluateError, match=r"tallystick\.roles"):
        run(driver, "only", "admin")
    profile = write_profile(in_go, tmp_path / "admin.yaml", channel="go", user="admin")
    with connected(profile) as admin:
        assert json.loads(run(admin, "caller"))["tallystick.roles"] == "admin"
