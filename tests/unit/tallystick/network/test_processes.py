"""Processes are found again by what they are, not by a number that another may have by now."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path

import pytest

from tallystick.errors import CouldNotCheck
from tallystick.network import processes

SLEEP = ["/bin/sleep", "60"]


def test_a_process_is_started_found_and_stopped(tmp_path: Path) -> None:
    started = processes.start(tmp_path, "one", SLEEP, {})
    assert processes.pid_of(tmp_path, "one") == started.pid
    assert started.ended() is None
    assert os.getsid(started.pid) == started.pid, "what ends this process must not end that one"
    assert processes.stop(tmp_path, ["one", "absent"]) == ["one"]
    assert processes.pid_of(tmp_path, "one") is None
    assert started.ended() == -15
    assert processes.stop(tmp_path, ["one"]) == []


def test_one_whose_note_cannot_be_written_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: nobody would find the process again, and it would keep its ports."""
    mark = tmp_path / "pid"

    def full(*_: object) -> None:
        while not (mark.exists() and mark.read_text().endswith("\n")):
            time.sleep(0.01)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(processes, "write_atomic", full)
    with pytest.raises(OSError, match="No space"):
        processes.start(tmp_path, "one", ["/bin/sh", "-c", f"echo $$ >{mark}; exec sleep 60"], {})
    assert not Path(f"/proc/{mark.read_text().strip()}").exists()


def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    script = (
        "import signal,time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    started = processes.start(tmp_path, "deaf", [sys.executable, "-c", script], {})
    while not processes.last_lines(tmp_path, "deaf", 1):
        time.sleep(0.02)
    assert processes.stop(tmp_path, ["deaf"], seconds=0.2) == ["deaf"]
    assert started.ended() == -9


@pytest.mark.parametrize("note", [{"pid": os.getpid(), "started": 1}, {"pid": os.getpid(), "started": None}])
def test_yesterdays_number_is_not_taken_for_the_process(tmp_path: Path, note: dict[str, int | None]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "one.json").write_text(json.dumps(note))
    assert processes.pid_of(tmp_path, "one") is None
    assert processes.stop(tmp_path, ["one"]) == []


def test_one_that_is_ending_still_holds_its_ports(tmp_path: Path) -> None:
    """Its first thread has ended and is a zombie; another lives on for a while."""
    script = (
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(1,)).start()\n"
        "ctypes.CDLL(None).syscall(60, 0)\n"
    )
    started = processes.start(tmp_path, "one", [sys.executable, "-c", script], {})
    stat = Path(f"/proc/{started.pid}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    assert processes.pid_of(tmp_path, "one") == started.pid
    while processes.pid_of(tmp_path, "one") is not None:
        time.sleep(0.01)
    assert started.ended() == 0


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": "x", "started": 1}'])
def test_a_damaged_note_is_of_no_process(tmp_path: Path, text: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "one.json").write_text(text)
    assert processes.pid_of(tmp_path, "one") is None


def test_the_last_lines_of_a_log_are_read(tmp_path: Path) -> None:
    script = "echo first; echo second >&2; echo third"
    started = processes.start(tmp_path, "one", ["/bin/sh", "-c", script], {})
    while started.ended() is None:
        time.sleep(0.02)
    assert processes.last_lines(tmp_path, "one", 2) == ["second", "third"]
    assert processes.last_lines(tmp_path, "absent", 2) == []
    assert (tmp_path / "log" / "one.log").stat().st_mode & 0o777 == 0o600


def test_the_environment_of_this_process_does_not_configure_fabric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORE_PEER_ID", "of the shell")
    started = processes.start(tmp_path, "one", ["/usr/bin/env"], {"GIVEN": "yes"})
    while started.ended() is None:
        time.sleep(0.02)
    lines = processes.last_lines(tmp_path, "one", 100)
    assert "GIVEN=yes" in lines
    assert not [line for line in lines if line.startswith("CORE_")]


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()
        with pytest.raises(CouldNotCheck, match=f"port {port} is taken, and peer-operator needs it"):
            processes.check_ports({"peer-operator": [port]})
    processes.check_ports({"peer-operator": [port]})


def test_a_program_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(CouldNotCheck, match="/absent cannot be run"):
        processes.start(tmp_path, "one", ["/absent"], {})
