"""What leads a user on: help in the order in which commands are met, and what a misspelt id may mean."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import pytest
from support.datasets import made_up

from tallystick import wiring
from tallystick.cli import main
from tallystick.clients.provenance import Request
from tallystick.settings import Settings

PAGE = Path(__file__).parents[4] / "docs" / "cli.md"


def test_help_lists_commands_as_the_page_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    helped = re.findall(r"^    ([a-z-]+)", capsys.readouterr().out, re.MULTILINE)
    paged = [name for name, _ in groupby(re.findall(r"^tally ([a-z-]+)", PAGE.read_text(), re.MULTILINE))]
    assert helped == paged
    assert helped[:8] == ["init", "demo", "run", "policy", "status", "log", "show", "verify"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["show", "peopel"], 'no record is called "peopel"; did you mean "people"?'),
        (["verify", "dataset/peple/1"], 'did you mean "dataset/people"?'),
        (["show", "xyzzy"], 'no record is called "xyzzy"\n'),
    ],
)
def test_a_misspelt_id_is_answered_with_the_nearest_name(
    argv: list[str], said: str, home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    assert said in capsys.readouterr().err


def test_so_is_the_beginning_of_several_ids(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with wiring.open_workspace(home) as w:
        w.provenance.register_dataset(Request("second"), **made_up(version=2))
    assert main(["show", "peop"]) == 2
    assert '"peop" could be more than one record; did you mean "people"?' in capsys.readouterr().err
