"""Our client on a live network: real transactions, kills, conflicts, events, blocks."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fabric_protos.common import common_pb2
from support import ledgers
from support.deadline import within
from support.fabric_client import ORGANISATIONS, connected, evaluate, propose, submit, write_profile
from support.fabric_network import CHARTER, Live

from chaincode import canonical
from tallystick.identity import Authority
from tallystick.ledger.fabric import (
    Checkpoint,
    Deadlines,
    EndorseError,
    EvaluateError,
    Gateway,
    Position,
    blocks,
    follow,
    height,
)
from tallystick.network.layout import CHAINCODE, CHANNEL, HOST

SECONDS = 120
REGISTER = "provenance:register_dataset"


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    with within(SECONDS):
        yield


@pytest.fixture
def gateway(live: Live, tmp_path: Path) -> Iterator[Gateway]:
    """The pipeline's, with the operator's peer first and the others to fall back to."""
    with connected(write_profile(live, tmp_path / "profile.yaml")) as connection:
        yield connection


def latest(gateway: Gateway, name: str) -> Any:
    return evaluate(gateway, "provenance:latest", {"kind": "dataset", "name": name})


def test_a_record_is_committed_through_any_peer_and_read_from_each(live: Live, tmp_path: Path) -> None:
    for first in ORGANISATIONS:
        name = f"through-{first}"
        with connected(write_profile(live, tmp_path / f"{first}.yaml", first)) as gateway:
            committed = submit(gateway, REGISTER, ledgers.dataset(name=name))
            assert latest(gateway, name) == 1
            assert height(gateway, seconds=5) > committed.block
    assert canonical.decode(committed.payload)["id"] == "dataset/through-auditor/1"


def test_a_refusal_of_the_contracts_arrives_whole(gateway: Gateway) -> None:
    with pytest.raises(EndorseError) as caught:
        submit(gateway, "charter:adopt", CHARTER)
    refusal = caught.value.refusal
    assert refusal is not None
    assert canonical.decode(refusal.message.encode())["code"] == "CHARTER_EXISTS"
    assert (caught.value.code, caught.value.reasons[0].msp_id) == ("ABORTED", "OperatorMSP")
    with pytest.raises(EvaluateError) as asked:
        evaluate(gateway, "provenance:read", {"id": 7})
    assert asked.value.refusal is not None


def test_64_in_flight_are_all_committed_once(gateway: Gateway) -> None:
    def register(number: int) -> str:
        return submit(gateway, REGISTER, ledgers.dataset(name=f"flight-{number}")).transaction_id

    start = height(gateway, seconds=5)
    with ThreadPoolExecutor(64) as pool:
        ids = list(pool.map(register, range(192)))
    assert len(set(ids)) == 192
    assert set(ids) <= {
        event.transaction_id for event in follow(gateway, CHAINCODE, Position(start), seconds=3)
    }


def test_those_who_write_the_same_stream_all_get_their_turn(gateway: Gateway) -> None:
    registered = canonical.decode(submit(gateway, REGISTER, ledgers.dataset(name="hot")).payload)
    proposed = []

    def screen(number: int) -> None:
        request = ledgers.screening(registered, request_id=f"hot-{number}")

        def new() -> Any:
            proposed.append(number)
            return propose(gateway, "provenance:record_screening", request)

        gateway.submit(new)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(screen, range(12)))
    assert len(proposed) > 12, "some met, and were proposed anew"


def test_a_peer_that_is_killed_under_load_costs_nothing(live: Live, gateway: Gateway) -> None:
    start = height(gateway, seconds=5)

    def register(number: int) -> str:
        return submit(gateway, REGISTER, ledgers.dataset(name=f"killed-{number}")).transaction_id

    with ThreadPoolExecutor(16) as pool:
        pending = [pool.submit(register, number) for number in range(120)]
        while not pending[20].done():
            time.sleep(0.01)
        live.kill("peer-operator", signal.SIGKILL)
        acknowledged = [each.result() for each in pending]
    live.again()
    seen = [event.transaction_id for event in follow(gateway, CHAINCODE, Position(start), seconds=3)]
    assert set(acknowledged) <= set(seen)
    assert len(seen) == len(set(seen))
    assert all(latest(gateway, f"killed-{number}") == 1 for number in (0, 60, 119))


def test_a_peer_whose_chaincode_is_gone_is_passed_over(live: Live, gateway: Gateway) -> None:
    live.kill("chaincode-operator", signal.SIGKILL)
    assert submit(gateway, REGISTER, ledgers.dataset(name="elsewhere")).block
    live.again()


def test_a_peer_that_is_frozen_is_given_up(live: Live, tmp_path: Path) -> None:
    hasty = Deadlines(evaluate=1.5)
    with connected(write_profile(live, tmp_path / "profile.yaml"), hasty) as gateway:
        assert latest(gateway, "nothing") == 0
        with live.frozen("peer-operator"):
            with pytest.raises(EvaluateError, match="DEADLINE_EXCEEDED"):
                latest(gateway, "nothing")
            assert latest(gateway, "nothing") == 0, "the next peer is asked first"


def test_an_orderer_that_is_away_is_waited_for(live: Live, gateway: Gateway) -> None:
    live.kill("orderer1", signal.SIGKILL)
    back = threading.Timer(1, live.again)
    back.start()
    try:
        committed = submit(gateway, REGISTER, ledgers.dataset(name="waited"))
    finally:
        back.join()
    assert latest(gateway, "waited") == 1
    assert committed.block < height(gateway, seconds=5)


def test_an_expired_identity_is_told_so_and_no_other_peer_is_asked(live: Live, tmp_path: Path) -> None:
    msp = tmp_path / "msp"
    msp.mkdir(mode=0o700)
    authority = Authority.load(live.layout.organisations / "OperatorMSP")
    begins, ends = (datetime.now(UTC) - timedelta(minutes=number) for number in (50, 10))
    authority.issue("late", ("pipeline",), not_before=begins, not_after=ends).save(msp)
    with connected(write_profile(live, tmp_path / "profile.yaml", identity=str(msp))) as gateway:
        with pytest.raises(EvaluateError, match="expired") as caught:
            latest(gateway, "nothing")
        asked = f"{HOST}:{live.peer('operator').port}"
        assert (caught.value.code, caught.value.peer) == ("UNAVAILABLE", asked)
        with pytest.raises(EndorseError, match="expired"):
            submit(gateway, REGISTER, ledgers.dataset(name="expired"))


def test_events_are_resumed_at_another_peer(live: Live, gateway: Gateway, tmp_path: Path) -> None:
    start = height(gateway, seconds=5)
    names = [f"event-{number}" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        expected = {
            each.transaction_id
            for each in pool.map(lambda name: submit(gateway, REGISTER, ledgers.dataset(name=name)), names)
        }
    path = tmp_path / "checkpoint.json"
    checkpoint = Checkpoint(path, channel=CHANNEL, chaincode=CHAINCODE)
    seen = []
    for event in follow(gateway, CHAINCODE, Position(start), seconds=5):
        seen.append(event.transaction_id)
        checkpoint.handled(event)
        if len(seen) == 3:
            break
    again = Checkpoint(path, channel=CHANNEL, chaincode=CHAINCODE)
    with connected(write_profile(live, tmp_path / "other.yaml", "auditor")) as other:
        seen += [event.transaction_id for event in follow(other, CHAINCODE, again.position, seconds=2)]
    assert len(seen) == len(expected)
    assert set(seen) == expected


def test_every_peer_gives_the_same_blocks(live: Live, tmp_path: Path) -> None:
    found = []
    for name in ORGANISATIONS:
        with connected(write_profile(live, tmp_path / f"{name}.yaml", name)) as gateway:
            read = [common_pb2.Block.FromString(block.raw) for block in blocks(gateway, 0, 3, seconds=10)]
            found.append([(block.header.SerializeToString(), block.data) for block in read])
    assert found[0] == found[1] == found[2]
    genesis = common_pb2.Block.FromString(live.layout.genesis.read_bytes())
    assert found[0][0] == (genesis.header.SerializeToString(), genesis.data)


@pytest.mark.parametrize("wrong", ["port", "orderer", "authority", "client"])
def test_a_profile_that_leads_astray_says_how(live: Live, tmp_path: Path, wrong: str) -> None:
    peer = live.peer("operator")
    address, roots = f"{HOST}:{peer.port}", str(live.layout.tls_root("OperatorMSP"))
    change: dict[str, Any] = {}
    if wrong == "port":
        address, said = f"{HOST}:{peer.port + 60}", "Nobody listens there"
    elif wrong == "orderer":
        address, said = f"{HOST}:{live.layout.orderers[0].port}", "is not a peer with its gateway enabled"
        roots = str(live.layout.tls_root("OrdererMSP"))
    elif wrong == "authority":
        roots, said = str(live.layout.tls_root("AuditorMSP")), "is not of the tls_roots"
    else:
        stranger = live.layout.user("OrdererMSP", "admin") / "tls"
        change = {
            "client_certificate": str(stranger / "cert.pem"),
            "client_key": str(stranger / "key.pem"),
        }
        said = "did not accept the client's TLS certificate"
    change["peers"] = [{"address": address, "tls_roots": roots}]
    began = time.monotonic()
    with (
        connected(write_profile(live, tmp_path / "profile.yaml", **change)) as gateway,
        pytest.raises(EvaluateError, match=said) as caught,
    ):
        latest(gateway, "nothing")
    assert caught.value.peer == address
    assert time.monotonic() - began < 12
