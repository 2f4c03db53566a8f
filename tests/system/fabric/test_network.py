"""`tally fabric`: from nothing to an answer, down and up again, and what stands in its way."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fabric_network import CHARTER, Live, free_base_port
from support.fabric_writers import adopt, opened
from support.ledgers import dataset

from tallystick.cli import main
from tallystick.errors import CouldNotCheck
from tallystick.ledger.port import Call
from tallystick.network import operate, processes
from tallystick.network.binaries import Binaries

SECONDS = 15


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a network of the test's own belongs; whatever runs of it afterwards is stopped."""
    monkeypatch.setenv("TALLYSTICK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TALLYSTICK_STATE", str(tmp_path / "state"))
    yield tmp_path / "home" / "fabric"
    operate.down(tmp_path / "home" / "fabric", erase=True)


def tally(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, Any]:
    code = main(["fabric", *argv, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("consensus", ["raft3", "bft"])
def test_it_is_up_in_time_and_its_ledger_outlives_a_stop(
    consensus: str, home: Path, programs: Binaries, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    code, up = tally(capsys, "up", "--orderers", consensus, "--port", str(free_base_port()))
    assert code == 0, up
    live = Live(home, programs, operate.load(home))
    code, told = live.invoke("charter:adopt", CHARTER, user="admin")
    assert code == 0, told
    assert time.monotonic() - began < SECONDS, "from nothing to the first committed record"

    code, status = tally(capsys, "status")
    assert (code, status["running"]) == (0, True)
    assert len(set(status["heights"].values())) == 1
    keys = [path for path in home.rglob("*") if path.name in ("key.pem", "connection.json")]
    assert len(keys) > 20
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}

    code, down = tally(capsys, "down")
    assert (code, len(down["stopped"])) == (0, len(live.layout.ports))
    code, status = tally(capsys, "status")
    assert (code, status["running"]) == (3, False)
    code, again = tally(capsys, "up")
    assert (code, again["package_id"]) == (0, up["package_id"])
    assert live.query("charter:read", {}, "auditor", "reader")["parties"] == CHARTER["parties"]
    code, refused = tally(capsys, "up", "--orderers", "raft")
    assert code == 2
    assert f"there is a network already: {consensus}" in refused["error"]["message"]
    code, logs = tally(capsys, "logs", "orderer1", "--lines", "1")
    assert list(logs["logs"]) == ["orderer1"]


def test_orderers_that_have_no_leader_are_waited_for(home: Path, programs: Binaries, tmp_path: Path) -> None:
    """Two of three are killed: the third one alone can elect nobody."""
    live = Live.up(home, programs, "raft3")
    adopt(live, tmp_path)
    with opened(live, tmp_path / "own") as ledger:
        for name in ("orderer2", "orderer3"):
            live.kill(name, signal.SIGKILL)
        back = threading.Timer(3, live.again)
        began = time.monotonic()
        back.start()
        try:
            ledger.submit(ledger.reader, Call("provenance", "register_dataset", dataset("waited")))
        finally:
            back.join()
        assert 3 < time.monotonic() - began < 40


def test_a_port_that_is_taken_is_named_and_nothing_is_made(
    home: Path, programs: Binaries, capsys: pytest.CaptureFixture[str]
) -> None:
    base = free_base_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base + 201))
        taken.listen()
        code, refused = tally(capsys, "up", "--port", str(base))
    assert code == 3
    assert refused["error"]["message"] == f"port {base + 201} is taken, and peer-regulator needs it"
    assert not home.exists()


def test_a_process_that_dies_during_start_is_named_with_its_last_words(
    home: Path, programs: Binaries, tmp_path: Path
) -> None:
    broken = tmp_path / "programs"
    broken.mkdir()
    for path in programs.directory.iterdir():
        (broken / path.name).symlink_to(path)
    (broken / "orderer").unlink()
    (broken / "orderer").write_text("#!/bin/sh\necho the disk is on fire\nexit 7\n")
    (broken / "orderer").chmod(0o755)
    began = time.monotonic()
    with pytest.raises(CouldNotCheck) as error:
        operate.up(home, Binaries(broken), base_port=free_base_port())
    assert error.value.message == "orderer1 ended while the network was starting (exit code 7)"
    assert error.value.hint == "the disk is on fire"
    assert time.monotonic() - began < 30
    layout = operate.load(home).layout
    assert [name for name in layout.ports if processes.pid_of(home, name)] == []


def test_a_start_that_is_killed_is_completed_by_the_next_one(home: Path, programs: Binaries) -> None:
    base = free_base_port()
    for stage in ("joining the channel", "the organisations install", "waiting for the contracts"):
        script = (
            "import os, pathlib\n"
            "from tallystick.network import binaries, operate\n"
            f"programs = binaries.Binaries(pathlib.Path({str(programs.directory)!r}))\n"
            f"tell = lambda doing: os.kill(os.getpid(), 9) if doing.startswith({stage!r}) else None\n"
            f"operate.up(pathlib.Path({str(home)!r}), programs, base_port={base}, tell=tell)\n"
        )
        killed = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
        assert killed.returncode == -signal.SIGKILL, stage
    live = Live(home, programs, operate.up(home, programs))
    code, told = live.invoke("charter:adopt", CHARTER, user="admin")
    assert code == 0, told


def test_yesterdays_network_is_started_again_whatever_became_of_its_processes(
    home: Path, programs: Binaries
) -> None:
    live = Live.up(home, programs)
    for name in live.layout.ports:
        live.kill(name, signal.SIGKILL)
    # As after a restart of the machine: the pid is another process's now.
    note = home / "run" / "orderer1.json"
    note.write_text(json.dumps({"pid": os.getpid(), "started": 1}))
    live.again()
    assert all(processes.pid_of(home, name) for name in live.layout.ports)
    assert live.query("charter:read", {})["code"] == "NO_CHARTER"
