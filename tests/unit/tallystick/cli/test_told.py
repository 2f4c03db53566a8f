"""What is told where not all is well: in the same words everywhere, and with what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tallystick.cli import main
from tallystick.cli.screen import Screen
from tallystick.cli.verification import _show_next, show_report
from tallystick.errors import CouldNotCheck
from tallystick.evidence.report import ABANDONED, CHANGED, UNCHECKED, UNRECORDED, Report, Subject
from tallystick.evidence.training import HANDED_OUT
from tallystick.settings import Settings


def test_an_empty_ledger_file_is_told_with_what_to_do(
    empty_home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    (empty_home.home / "ledger.db").write_bytes(b"")
    assert main(["log"]) == 1
    told = capsys.readouterr().err
    assert "its first page is damaged" in told
    assert "restore a copy" in told
    assert main(["verify"]) == 1
    out = capsys.readouterr().out
    assert "tally verify --since FILE" in out
    assert "tally log" not in out


def test_where_the_index_cannot_be_read_status_tells_the_rest(
    empty_home: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify"]) == 0

    def full(*_: object) -> None:
        raise CouldNotCheck("the read index cannot be used: disk I/O error", hint="See the disk.")

    monkeypatch.setattr("tallystick.reports.index.open_index", full)
    capsys.readouterr()
    assert main(["status"]) == 3
    told = capsys.readouterr()
    assert str(empty_home.home) in told.out
    assert "all as recorded up to block 1" in told.out
    assert "not held against the ledger now" in told.out
    assert "disk I/O error\n  See the disk." in told.err
    assert main(["status", "--json"]) == 3
    value = json.loads(capsys.readouterr().out)
    assert value["error"]["exit"] == 3
    assert value["last_verification"]["verified"] is True


def test_several_problems_of_a_policy_are_told_alike(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "p.yaml").write_text("name: EDIT-ME\ntitle: EDIT-ME\n")
    assert main(["policy", "check", "p.yaml"]) == 2
    first, *told = capsys.readouterr().err.splitlines()
    assert first == "p.yaml:1  2 problems, from this line on"
    assert [line.partition('  "')[0] for line in told] == ["  p.yaml:1", "  p.yaml:2"]


def test_json_and_text_print_the_same_commands(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tallystick.reports.words._program", lambda name: f"bin/{name}")
    assert main(["log"]) == 3
    assert "Make one with: bin/tally init" in capsys.readouterr().err
    assert main(["log", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["hint"] == "Make one with: bin/tally init"


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [
        ("ledger", CHANGED, "tally verify --since FILE"),
        ("checkpoint", CHANGED, "tally verify --since FILE"),
        ("index", CHANGED, "tally rebuild"),
        ("row of state", CHANGED, "tally rebuild"),
        ("model", CHANGED, "tally show ID"),
        ("run", UNRECORDED, "tally log"),
        ("intent", ABANDONED, "tally show ID"),
        ("ledger", UNCHECKED, ""),
        ("index", UNCHECKED, ""),
    ],
)
def test_after_a_verification_comes_what_helps(
    kind: str, status: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report.of([Subject(kind, "ID", status)], witnessed=False)
    _show_next(Screen.standard(as_json=False), report, since=None)
    out = capsys.readouterr().out
    assert said.removeprefix("tally ") in out
    assert bool(out) is bool(said)


@pytest.mark.parametrize(
    ("status", "detail", "told"),
    [
        (UNCHECKED, f"artifacts: {HANDED_OUT} /elsewhere", True),
        (CHANGED, f"artifact a: recorded; artifacts: {HANDED_OUT} /elsewhere", False),
        (UNCHECKED, "no tracking server at hand to compare with", False),
    ],
)
def test_what_cannot_be_checked_of_a_copied_home_comes_with_what_to_do(
    status: str, detail: str, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = Subject("run", "run/1", status, detail)
    show_report(Screen.standard(as_json=False), Report.of([subject, subject], witnessed=False))
    assert ("MLflow keeps absolute places" in capsys.readouterr().out) is told
