"""kill -9 of each process under load, one at a time: nothing acknowledged is missing, nothing there twice."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.channels import begin_channel
from support.deadline import within
from support.fabric_network import Live
from support.fabric_writers import Writers, adopt

from tallystick.network import operate
from tallystick.network.binaries import Binaries

#: As long as a client waits for a commit, and a little.
SECONDS = 75


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    with within(240):
        yield


@pytest.fixture(scope="module")
def four(programs: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A network of its own with four BFT orderers."""
    root = tmp_path_factory.mktemp("four") / "fabric"
    network = Live.up(root, programs, "bft")
    try:
        adopt(network, tmp_path_factory.mktemp("charter"))
        yield network
    finally:
        operate.down(root, erase=True)


def kill(writers: Writers, name: str, *, without: bool) -> None:
    """Kill a process and start it again; ``without`` it the others write on."""
    writers.wait(16, SECONDS)
    writers.live.kill(name, signal.SIGKILL)
    try:
        if without:
            writers.wait(16, SECONDS)
    finally:
        writers.live.again()
    writers.wait(16, SECONDS)


def judge(writers: Writers) -> None:
    """All that was asked for was acknowledged in the end, and is recorded, once."""
    writers.stop(SECONDS)
    recorded = writers.recorded()
    assert set(recorded) == {f"dataset/{each.name}/1" for each in writers.acknowledged}
    assert {len(transactions) for transactions in recorded.values()} == {1}
    assert max(each.seconds for each in writers.acknowledged) < SECONDS


@pytest.mark.parametrize("organisation", ["operator", "regulator", "auditor"])
def test_a_peer_and_its_contracts(four: Live, tmp_path: Path, organisation: str) -> None:
    with Writers(four, tmp_path) as writers:
        for kind in ("peer", "chaincode"):
            kill(writers, f"{kind}-{organisation}", without=organisation != "regulator")
        judge(writers)


def test_one_of_four_orderers_after_the_other(four: Live, tmp_path: Path) -> None:
    """The first one last: it leads, and without it the one that was killed before must have caught up."""
    with Writers(four, tmp_path) as writers:
        kill(writers, "orderer3", without=True)
        kill(writers, "orderer1", without=True)
        judge(writers)


def test_the_only_orderer(live: Live, tmp_path: Path) -> None:
    own = begin_channel(live, "killed")
    adopt(own, tmp_path)
    (tmp_path / "killed").mkdir()
    with Writers(own, tmp_path / "killed") as writers:
        kill(writers, "orderer1", without=False)
        judge(writers)
