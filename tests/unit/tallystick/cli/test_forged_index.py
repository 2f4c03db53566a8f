"""A forged read index: no command shows, proves, retires or erases by it, and `verify` names it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import forgery

from tallystick import wiring
from tallystick.cli import main
from tallystick.settings import Settings

CONTENT = "content = replace(CAST(content AS TEXT), '20190', '20191')"


@pytest.fixture
def indexed(home: Settings, capsys: pytest.CaptureFixture[str]) -> Settings:
    assert main(["log"]) == 0
    capsys.readouterr()
    return home


def height(settings: Settings) -> int:
    ledger = wiring.open_ledger(settings)
    try:
        return ledger.height
    finally:
        ledger.close()


@pytest.mark.parametrize("forged", [CONTENT, "member = 'somebody'", "time_ms = 0", "block = 5"])
@pytest.mark.parametrize("command", ["show", "prove", "prove-row", "retire"])
def test_a_forged_record_is_refused(
    indexed: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, forged: str
) -> None:
    forgery.execute(indexed.index, f"UPDATE records SET {forged} WHERE id = 'dataset/people/1'")
    before = height(indexed)
    more = {"prove-row": ["0"], "retire": ["--reason", "no"]}
    assert main([command, "people", *more.get(command, [])]) == 1
    assert "tally rebuild" in capsys.readouterr().err
    assert height(indexed) == before
    assert main(["rebuild"]) == 0
    assert main(["show", "people"]) == 0


@pytest.mark.parametrize(
    "statement", ["DELETE FROM links WHERE role = 'intent'", "DELETE FROM records WHERE kind = 'run'"]
)
def test_an_index_that_hides_something_decides_no_erasure(
    indexed: Settings, capsys: pytest.CaptureFixture[str], statement: str
) -> None:
    forgery.execute(indexed.index, statement)
    before = height(indexed)
    assert main(["retire", "people", "--reason", "asked for", "--erase"]) == 1
    assert "which files to remove" in capsys.readouterr().err
    assert height(indexed) == before


def test_verify_names_the_index_and_rebuild_mends_it(
    indexed: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    def found() -> list[tuple[str, str]]:
        main(["verify", "--json"])
        subjects = json.loads(capsys.readouterr().out)["subjects"]
        return [(each["status"], each["detail"]) for each in subjects if each["kind"] == "index"]

    forgery.execute(indexed.index, "UPDATE links SET target = 'x' WHERE role = 'intent'")
    ((status, detail),) = found()
    assert status == "CHANGED"
    assert "1 in links" in detail
    assert main(["rebuild"]) == 0
    capsys.readouterr()
    assert found() == [("verified", "")]
