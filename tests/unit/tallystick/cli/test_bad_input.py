"""Whatever is wrong: one clear message on standard error, the right exit code, never a traceback."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.policies import PEOPLE

from tallystick import errors
from tallystick.cli import main, run
from tallystick.reports.words import typed
from tallystick.settings import Settings


@pytest.fixture(autouse=True)
def files(directory: Path) -> None:
    (directory / "good.csv").write_text("age,cost\n40,10.5\n41,11.0\n")
    (directory / "good.yaml").write_text(PEOPLE)
    (directory / "typo.yaml").write_text(PEOPLE.replace("algorithm", "algoritm"))
    (directory / "column.yaml").write_text(PEOPLE.replace("name: age", "name: agee"))
    (directory / "empty.csv").write_text("")


def check(
    capsys: pytest.CaptureFixture[str], argv: list[str], code: int, *said: str, silent: str = ""
) -> None:
    """The command ends with ``code`` and standard error holds each of ``said``, but no traceback."""
    assert main(argv) == code
    told = capsys.readouterr()
    assert "Traceback" not in told.err + told.out
    for each in said:
        assert each in told.err
    if silent:
        assert silent not in told.err + told.out


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["run", "--data", "good.csv", "--policy", "missing.yaml"], 2, "missing.yaml"),
        (["run", "--data", "missing.csv", "--policy", "good.yaml"], 2, "missing.csv"),
        (["run", "--data", "empty.csv", "--policy", "good.yaml"], 2, "empty.csv"),
        (["run", "--data", "good.csv", "--policy", "typo.yaml"], 2, 'typo.yaml:13  unknown key "algoritm"'),
        (["run", "--data", "good.csv", "--policy", "column.yaml"], 2, 'did you mean "age"?'),
        (["policy", "check", "typo.yaml"], 2, 'did you mean "algorithm"?'),
        (["policy", "new", "--data", "empty.csv"], 2, "empty.csv"),
        (["policy", "new", "--data", "good.csv", "--out", "no/such/p.yaml"], 2, "not a directory"),
        (["policy", "new", "--data", "good.csv", "--out", "good.yaml"], 2, "there already"),
        (["init", "--name", "Not A Name"], 2, "no name for a log"),
        (["dashboard", "--port", "0"], 2, "no port"),
        (["verfy"], 2, 'there is no command "verfy"; did you mean "verify"?'),
        (["policy", "chek"], 2, 'there is no command "chek"; did you mean "check"?'),
        (["xyzzy"], 2, 'there is no command "xyzzy"\n'),
    ],
)
def test_what_a_user_gives_wrongly_is_named(
    argv: list[str], code: int, said: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(capsys, argv, code, said)
    assert not (directory / "home").exists()


@pytest.mark.parametrize(
    "argv",
    [
        "log",
        "show people",
        "verify",
        "checkpoint",
        "status",
        "rebuild",
        "activate",
        "retire x --reason y",
        "run --data good.csv --policy good.yaml",
    ],
)
def test_a_home_that_was_never_made_cannot_be_checked(
    argv: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(capsys, argv.split(), 3, "there is no ledger", "tally init")


@pytest.mark.parametrize("argv", [[], ["nosuch"], ["show"], ["log", "--limit", "many"], ["policy"]])
def test_a_wrong_command_line_is_invalid_input(
    argv: list[str], directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(capsys, argv, 2, "usage:")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["show", "nosuch"], 'no record is called "nosuch"\n'),
        (["prove", "nosuch"], "nosuch"),
        (["verify", "nosuch"], "nosuch"),
        (["log", "--kind", "nosuch"], "Kinds here: charter"),
        (["log", "--limit", "0"], "--limit"),
        (["prove", "charter/1", "--out", "good.csv/nowhere"], "is not a directory to write to"),
        (["prove-row", "charter/1", "3"], "is no dataset"),
        (["verify", "--since", "good.csv"], "cannot be read"),
        (["verify", "--trust", "good.csv"], "trust policy"),
        (["verify", "--since", "nosuch.txt"], "nosuch.txt"),
        (["revoke", "nobody"], "no user nobody"),
        (["reproduce", "charter/1"], "neither a run nor a model"),
    ],
)
def test_what_is_not_there_is_named(
    argv: list[str], said: str, empty_home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    check(capsys, argv, 2, said)


def _corrupt(settings: Settings) -> None:
    (settings.home / "ledger.db").write_bytes(b"not a database" * 1000)


def _truncate(settings: Settings) -> None:
    os.truncate(settings.home / "ledger.db", 5000)


@pytest.mark.parametrize("damage", [_corrupt, _truncate])
@pytest.mark.parametrize("command", ["log", "verify", "status"])
def test_a_damaged_ledger_file_is_not_as_recorded(
    damage: Callable[[Settings], None], command: str, empty_home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(empty_home)
    assert main([command]) == 1
    told = capsys.readouterr()
    assert "ledger.db" in told.err + told.out
    assert "Traceback" not in told.err


def test_a_busy_port_is_named_and_the_next_free_one_suggested(
    empty_home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        check(
            capsys, ["dashboard", "--port", str(port)], 2, f"port {port} is taken", "tally dashboard --port "
        )


def test_a_damaged_index_is_made_again(empty_home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log"]) == 0
    empty_home.index.write_bytes(b"not a database" * 1000)
    assert main(["log"]) == 0
    assert "charter" in capsys.readouterr().out


def test_a_key_that_others_can_read_is_refused(
    empty_home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    empty_home.log_key.chmod(0o644)
    check(capsys, ["revoke", "pipeline"], 3, "log.pem can be read by others", "chmod 600")


def test_a_home_that_cannot_be_written(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TALLYSTICK_HOME", "/proc/tallystick")
    check(capsys, ["init"], 3, "/proc/tallystick", "could not be written")


def test_a_file_in_place_of_the_home(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TALLYSTICK_HOME", str(directory / "good.csv"))
    check(capsys, ["log"], 2, "TALLYSTICK_HOME is not a directory")


def test_an_error_is_json_too(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "--json"]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "CouldNotCheck"
    assert error["exit"] == 3
    assert error["hint"] == typed("Make one with: tally init")


def test_the_json_calls_every_error_as_its_page_does() -> None:
    page = (Path(__file__).parents[4] / "docs/formats/cli-json.md").read_text()
    for error in (errors.Missing, errors.Unreachable, errors.OutcomeUnknown, errors.NoLedger):
        assert (error.kind, error.exit_code) == ("CouldNotCheck", 3)
    for error in (errors.TallystickError, errors.Refused, errors.NotAsRecorded, errors.InvalidInput):
        assert error.kind == error.__name__
        assert f"`{error.kind}`" in page
    assert errors.PolicyError.kind == "PolicyError"


@pytest.mark.parametrize("argv", [["log", "--limit", "many"], ["show"], ["nosuch"]])
def test_a_wrong_command_line_is_json_too(
    argv: list[str], directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*argv, "--json"]) == 2
    told = capsys.readouterr()
    error = json.loads(told.out)["error"]
    assert (error["kind"], error["exit"]) == ("InvalidInput", 2)
    assert re.match("usage: .*tally", error["hint"])
    assert main(argv) == 2
    assert capsys.readouterr().out == ""


def test_help_is_no_error(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "--help", "--json"]) == 0
    assert "newest first" in capsys.readouterr().out


def test_a_fault_of_ours_is_one_line_and_keeps_no_value(
    empty_home: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise ZeroDivisionError("-".join(["canary", "4711"]))

    monkeypatch.setattr("tallystick.cli.records.open_records", fail)
    check(capsys, ["log"], 4, "ZeroDivisionError", silent="canary-4711")
    (kept,) = empty_home.home.glob("tally-error-*.txt")
    assert "in fail" in kept.read_text()
    assert "canary-4711" not in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0


def test_a_fault_of_ours_that_cannot_be_written_down_names_no_file(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("tallystick.cli.records.open_records", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(directory / "nowhere"))
    check(capsys, ["log"], 4, "Where it happened could not be written anywhere", silent="/dev/null")


def test_an_interrupted_command_says_nothing(
    empty_home: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("tallystick.cli.records.open_records", stop)
    assert main(["log"]) == run.INTERRUPTED
    assert capsys.readouterr().err == ""


def test_a_reader_that_goes_away_is_no_error(empty_home: Settings) -> None:
    code = "import sys; from tallystick.cli import main; sys.exit(main(['log']))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, env=environment, check=False
    )
    os.close(write)
    assert done.returncode == run.BROKEN_PIPE
    assert done.stderr == b""


def test_help_imports_nothing_heavy_and_answers_at_once() -> None:
    code = (
        "import sys; from tallystick.cli import main; main(['--help']);"
        "print(sorted({'numpy', 'rich', 'sqlite3', 'cryptography', 'streamlit', 'yaml'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    # Twice the goal: the machine that runs the tests does other things too.
    assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize("name", ["pipe.csv", "directory.csv", "/dev/zero"])
def test_what_is_no_plain_file_is_refused_at_once_by_every_reader(
    name: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(directory / "pipe.csv")
    (directory / "directory.csv").mkdir()
    for argv in (
        ["policy", "new", "--data", name, "--out", "new.yaml"],
        ["policy", "check", "good.yaml", "--data", name],
        ["policy", "check", name],
        ["run", "--data", name, "--policy", "good.yaml"],
        ["run", "--data", "good.csv", "--policy", name],
        ["run", "--data", "good.csv", "--policy", "good.yaml", "--parent", "x", "--transformation", name],
    ):
        check(capsys, argv, 2, name)


def test_a_name_with_signs_of_a_pattern_is_a_name(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for argv in (
        ["policy", "new", "--data", "*.csv"],
        ["run", "--data", "go?d.csv", "--policy", "good.yaml"],
    ):
        check(capsys, argv, 2, "csv")
    (directory / "[good].csv").write_text("size,price\n1,2\n")
    check(capsys, ["policy", "new", "--data", "[good].csv"], 0)
    assert '{name: "size"' in (directory / "[good].yaml").read_text()


@pytest.mark.parametrize("command", ["policy new --data", "policy check good.yaml --data"])
def test_a_line_without_end_is_refused_with_the_limit(
    command: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (directory / "long.csv").open("wb") as file:
        file.truncate(3 << 30)  # of zeros, which take no room on the disk
        file.write(b"age,cost")
    check(capsys, [*command.split(), "long.csv"], 2, "longer than 8 MiB")


def test_a_policy_under_a_regime_may_identify_nobody(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = PEOPLE.replace("source: made up", "source: ask canary@example.org")
    under = named.replace("regime: none", "regime: hipaa-safe-harbor")
    (directory / "under.yaml").write_text(under)
    (directory / "none.yaml").write_text(named)
    for argv in (["policy", "check", "under.yaml"], ["run", "--data", "good.csv", "--policy", "under.yaml"]):
        check(capsys, argv, 2, 'under.yaml:3  "source" holds what looks like', "email", silent="canary")
    check(capsys, ["policy", "check", "none.yaml"], 0)


def test_a_transformation_needs_the_parents_it_was_made_of(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["run", "--data", "good.csv", "--policy", "good.yaml", "--transformation", "good.csv"]
    check(capsys, argv, 2, "--parent", "Nothing was recorded")


def test_a_next_command_quotes_the_files_it_names(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "my data.csv").write_text("age,cost\n40,10.5\n41,11.0\n")
    assert main(["policy", "new", "--data", "my data.csv"]) == 0
    assert "run --data 'my data.csv' --policy 'my data.yaml'" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv",
    [
        ["verify", "--since", "pipe"],
        ["verify", "--trust", "pipe"],
        ["check-proof", "pipe", "--trust", "pipe"],
    ],
    ids=lambda argv: " ".join(argv),
)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(
    home: Settings, directory: Path, capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    os.mkfifo(directory / "pipe")
    check(capsys, argv, 2, "regular file")


def test_a_pipe_in_the_home_is_not_waited_for(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    os.mkfifo(home.home / "verification.json")
    assert main(["status"]) == 0
    certificates = next(home.msp.glob("*/cacerts/*.pem")).parent
    os.mkfifo(certificates.with_name("crls") / "pipe.pem")
    check(capsys, ["renew", "pipeline"], 3, "not a regular file")
