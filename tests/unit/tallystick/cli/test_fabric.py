"""`tally fabric` where there is nothing yet, or not what is needed: in words, with an exit code."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from support.fabric_network import free_base_port
from support.fabric_programs import write_programs

from tallystick.cli import main
from tallystick.network import binaries

pytestmark = pytest.mark.usefixtures("directory")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tallystick"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["up"], 3, "Build them once with: make fabric"),
        (["status"], 3, "Build them once with: make fabric"),
        (["activate"], 3, "Build them once with: make fabric"),
        (["revoke", "reader"], 3, "Build them once with: make fabric"),
        (["revoke"], 2, "tally fabric revoke [-h]"),
        (["down"], 3, "tally fabric up\n"),
        (["logs"], 3, "tally fabric up\n"),
        (["logs", "--lines", "0"], 2, "Use 1 or more."),
        (["up", "--orderers", "solo"], 2, "tally fabric up [-h]"),
        (["up", "--port", "seventeen"], 2, "tally fabric up [-h]"),
        ([], 2, "tally fabric [-h]"),
    ],
)
def test_what_is_missing_is_said_with_what_to_do(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fabric", *arguments]) == code
    assert said in capsys.readouterr().err


def test_with_the_programs_the_next_thing_missing_is_the_network(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_programs(binaries.place(cache))
    assert main(["fabric", "status", "--json"]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "CouldNotCheck"
    assert error["hint"].endswith("tally fabric up")


def test_erasing_what_is_not_there_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fabric", "down", "--erase", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"stopped": [], "erased": True}


def test_a_network_that_is_down_is_told_at_once_with_what_starts_it(
    cache: Path, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_programs(binaries.place(cache), orderer="exit 7")
    assert main(["fabric", "up", "--port", str(free_base_port())]) == 3
    profile = directory / "home" / "fabric" / "profiles" / "operator.yaml"
    monkeypatch.setenv("TALLYSTICK_LEDGER", f"fabric://{profile}")
    for command in (["log"], ["members"], ["verify"]):
        capsys.readouterr()
        began = time.monotonic()
        assert main(command) == 3
        told = capsys.readouterr().err
        assert "does not run" in told
        assert told.rstrip().endswith("tally fabric up")
        assert time.monotonic() - began < 5
