"""A command is printed as it works where the user stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tallystick.cli import main
from tallystick.reports.words import typed
from tallystick.settings import Settings


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with an environment that is not on PATH; the working directory."""
    programs = tmp_path / ".venv/bin"
    programs.mkdir(parents=True)
    for name in ("python", "tally", "mlflow"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_not_on_path_is_named_by_its_path(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed("tally log") == ".venv/bin/tally log"
    assert typed("See them: tally log") == "See them: .venv/bin/tally log"
    assert typed("`tally init` made it") == "`.venv/bin/tally init` made it"
    assert typed("mlflow ui --x; tally verify") == ".venv/bin/mlflow ui --x; .venv/bin/tally verify"
    monkeypatch.chdir(checkout / ".venv/bin")
    assert typed("tally log") == "./tally log"
    (checkout / "docs").mkdir()
    monkeypatch.chdir(checkout / "docs")
    assert typed("tally log") == f"{checkout}/.venv/bin/tally log"


def test_what_the_shell_would_find_is_named_alone(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{checkout}/.venv/bin:/usr/bin")
    assert typed("tally log") == "tally log"
    other = checkout / "other"
    other.mkdir()
    (other / "tally").write_text("#!/bin/sh\n")
    (other / "tally").chmod(0o755)
    monkeypatch.setenv("PATH", f"{other}:{checkout}/.venv/bin")
    assert typed("tally log") == ".venv/bin/tally log"


def test_words_that_are_no_command_stay(checkout: Path) -> None:
    for text in ("tally", "by one tally, tally-error-1.txt", "/x/tally log", "docs/tally log", "Tally log"):
        assert typed(text) == text


def test_a_directory_with_a_blank_is_quoted(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spaced = checkout / "a b"
    (checkout / ".venv").rename(spaced)
    monkeypatch.setattr(sys, "executable", str(spaced / "bin/python"))
    assert typed("tally log") == "'a b/bin/tally' log"


def test_next_commands_hints_and_help_say_it(
    home: Settings, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["log", "--limit", "1"]) == 0
    out = capsys.readouterr().out
    assert "next:  .venv/bin/tally show pipeline/" in out
    assert ".venv/bin/tally log --before" in out
    assert main(["show", "nosuch"]) == 2
    assert "See what there is: .venv/bin/tally log" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "Start with: .venv/bin/tally demo" in capsys.readouterr().out


def test_make_demo_leaves_path_as_the_users_shell_has_it() -> None:
    asked = [
        "make",
        "-s",
        "-C",
        str(Path(__file__).parents[4]),
        "--eval",
        'where: ; @printf %s "$$PATH"',
        "where",
    ]
    done = subprocess.run(asked, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True)
    assert done.stdout == "/usr/bin:/bin"
