"""Output that cannot be written, streams that are closed, terminals of ASCII: never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.home import move_in
from support.records import make_recorded_home

from tallystick.cli import run
from tallystick.settings import Settings

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home with a chain of records for all: nothing here changes it."""
    directory = tmp_path_factory.mktemp("recorded")
    make_recorded_home(directory, source="a source\x1b[2J that clears screens")
    return directory


@pytest.fixture
def home(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(directory)
    return move_in(directory, monkeypatch)


CODE = "import sys; from tallystick.cli import main; sys.exit(main())"
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this machine")


def tally(
    *argv: str | bytes, redirect: str = "", buffered: bool = True, **env: str
) -> subprocess.CompletedProcess[bytes]:
    """`tally` in a process of its own, its streams as the shell's ``redirect`` says."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **env}
    environment.pop("PYTHONUNBUFFERED", None)
    if not buffered:
        environment["PYTHONUNBUFFERED"] = "1"
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-c", CODE, *argv],
        capture_output=True,
        env=environment,
        check=False,
    )


@needs_full
@pytest.mark.parametrize("argv", [["log"], ["log", "--json"], ["--help"], ["checkpoint"]])
@pytest.mark.parametrize("buffered", [True, False])
def test_a_full_standard_output_is_said_on_the_other_stream(argv: list[str], buffered: bool) -> None:
    done = tally(*argv, redirect=">/dev/full", buffered=buffered)
    assert done.returncode == 3
    assert b"standard output could not be written: No space left" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@needs_full
def test_an_error_that_cannot_be_told_as_json_is_told_in_words() -> None:
    done = tally("show", "nosuch", "--json", redirect=">/dev/full")
    assert done.returncode == 3
    assert b"could not be written" in done.stderr


@needs_full
def test_a_full_standard_error_changes_no_answer() -> None:
    assert tally("checkpoint", redirect="2>/dev/full").returncode == 0
    assert tally("show", "nosuch", redirect="2>/dev/full").returncode == 2


@pytest.mark.parametrize("argv", [["log"], ["log", "--json"], ["--help"], ["show", "people"]])
def test_a_reader_that_left_ends_it_quietly(argv: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", CODE, *argv],
        stdout=write,
        stderr=subprocess.PIPE,
        env=environment,
        check=False,
    )
    os.close(write)
    assert done.returncode == run.BROKEN_PIPE
    assert done.stderr == b""


@pytest.mark.parametrize(("redirect", "code"), [(">&-", 3), ("2>&-", 0), ("<&-", 0), ("<&- >&- 2>&-", 3)])
def test_closed_streams_get_no_file_and_an_answer_for_a_closed_output_is_lost(
    redirect: str, code: int, home: Settings
) -> None:
    before = (home.home / "ledger.db").read_bytes()
    assert tally("log", redirect=redirect).returncode == code
    assert tally("show", "nosuch", redirect=redirect).returncode == 2
    assert tally("nosuch", redirect=redirect).returncode == 2
    assert (home.home / "ledger.db").read_bytes() == before


def test_a_terminal_of_ascii_gets_the_drawing_in_ascii() -> None:
    done = tally("show", "people", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"`- model risk v1" in done.stdout
    assert done.stdout.isascii()
    assert "└─ model risk v1" in tally("show", "people", PYTHONIOENCODING="utf-8").stdout.decode()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_the_json_is_the_same_whatever_the_stream_can_write(encoding: str) -> None:
    done = tally("log", "--json", PYTHONIOENCODING=encoding)
    assert "a source\x1b[2J" in [
        each["record"]["body"].get("source", "")[:12] for each in json.loads(done.stdout)["records"]
    ]
    assert done.stdout.isascii()


@pytest.mark.parametrize(
    "argv",
    [
        ["show", b"\xff"],
        ["prove", b"\xff"],
        ["log", "--stream", b"\xff"],
        ["retire", "people", "--reason", b"\xff"],
    ],
)
def test_an_argument_that_is_not_utf_8_is_named(argv: list[str | bytes]) -> None:
    done = tally(*argv)
    assert done.returncode == 2
    assert b"is not UTF-8 text" in done.stderr
    assert tally("verify", "--since", b"\xff").returncode == 2


@pytest.mark.parametrize("leaf", ["-1", str(2**63), "9" * 30])
def test_a_leaf_beyond_every_log_is_invalid_input(leaf: str) -> None:
    done = tally("log", "--before", leaf)
    assert done.returncode == 2
    assert b"--before is no leaf" in done.stderr
    assert tally("log", "--before", str(2**63 - 1)).returncode == 0
