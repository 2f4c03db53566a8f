"""What the commands that read answer, in words and as JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.records import RUN_ID

from tallystick.cli import main
from tallystick.home.memory import remember
from tallystick.proof.checkpoint import parse_checkpoint
from tallystick.proof.leaves import parse_record_leaf
from tallystick.proof.note import parse_note
from tallystick.proof.tlog_proof import verify_tlog_proof
from tallystick.proof.trust import parse_trust
from tallystick.reports.verification import keep_verification
from tallystick.settings import Settings

pytestmark = pytest.mark.usefixtures("home")


def answer(capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    """The JSON that a command prints when it ends well."""
    assert main([*argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_log_is_newest_first_and_pages(capsys: pytest.CaptureFixture[str]) -> None:
    everything = answer(capsys, "log")["records"]
    leaves = [record["leaf"] for record in everything]
    assert leaves == sorted(leaves, reverse=True)
    first = answer(capsys, "log", "--limit", "3")
    assert first["more"]
    rest = answer(capsys, "log", "--before", str(first["records"][-1]["leaf"]))
    assert first["records"] + rest["records"] == everything
    assert not rest["more"]


def test_every_id_that_log_prints_can_be_given_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if " block " in line]
    whole = [record["id"] for record in answer(capsys, "log")["records"]]
    shown = [words[5] for words in lines]
    assert [answer(capsys, "show", each)["record"]["id"] for each in shown] == whole
    assert all(len(each) < 80 for each in shown)


def test_log_of_one_kind_and_of_one_stream(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = {record["kind"] for record in answer(capsys, "log", "--kind", "model")["records"]}
    assert kinds == {"model"}
    stream = answer(capsys, "log", "--stream", "dataset:people")["records"]
    assert [record["kind"] for record in stream] == ["run", "intent", "validation", "screening", "dataset"]


def test_log_for_people_says_what_to_type_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "--limit", "2"]) == 0
    out = capsys.readouterr().out
    assert "risk v1, from run 1f0e1f0e1f0e" in out
    assert RUN_ID not in out
    assert "tally log --before" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("people", "dataset/people/1"),
        ("people/1", "dataset/people/1"),
        ("dataset/people", "dataset/people/1"),
        ("risk", "model/risk/1"),
        (RUN_ID, f"run/{RUN_ID}"),
        ("1f0e", f"run/{RUN_ID}"),
        ("intent/request-tr", "intent/request-train"),
    ],
)
def test_show_finds_what_a_person_types(given: str, found: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "show", given)["record"]["id"] == found


def test_show_draws_history_proof_and_lineage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "people"]) == 0
    out = capsys.readouterr().out
    assert "20,190" in out
    assert "checked against the head" in out
    assert "(this one)" in out
    assert "└─ model risk v1" in out
    assert "\\x1b[2J" in out
    assert "\x1b" not in out


def test_the_history_of_a_run_is_its_own_and_that_of_a_check_its_datasets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # What refers to the run stands there too.
    history = answer(capsys, "show", RUN_ID)["history"]
    assert [record["kind"] for record in history] == ["run", "model"]
    history = answer(capsys, "show", "validation/request-validate")["history"]
    assert [record["kind"] for record in history] == ["dataset", "screening", "validation", "intent", "run"]


def test_show_says_where_a_record_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    shown = answer(capsys, "show", "risk")
    assert {"from": "model/risk/1", "field": "run", "to": f"run/{RUN_ID}"} in shown["came_from"]
    assert {edge["to"] for edge in shown["came_from"]} > {"dataset/people/1", "intent/request-train"}
    assert shown["led_to"] == []


def test_prove_writes_what_verifies_with_the_exported_trust(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proven = answer(capsys, "prove", "people", "--out", str(tmp_path))
    answer(capsys, "checkpoint", "--out", str(tmp_path))
    leaf = Path(proven["leaf_file"]).read_bytes()
    trust = parse_trust((tmp_path / "trust.txt").read_text())
    verdict = verify_tlog_proof(Path(proven["proof_file"]).read_text(), leaf, trust)
    assert (verdict.index, verdict.origin) == (proven["leaf"], proven["origin"])
    assert parse_record_leaf(leaf)["id"] == "dataset/people/1"


def test_a_checkpoint_on_standard_output_is_the_note_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint"]) == 0
    told = capsys.readouterr()
    assert told.out == answer(capsys, "checkpoint")["checkpoint"]
    assert "vkey" in told.err


def test_status_and_rebuild_find_everything_in_place(capsys: pytest.CaptureFixture[str]) -> None:
    status = answer(capsys, "status")
    assert status["blocks"] == 9
    assert status["records"]["dataset"] == 1
    assert status["package"]["active"] == status["package"]["installed"]
    assert set(answer(capsys, "rebuild")["differences"].values()) == {0}


def test_status_does_not_tell_the_way_into_mlflow(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://mlflow:s3cret@db.example/runs")
    assert answer(capsys, "status")["mlflow"] == "postgresql://db.example/runs"
    assert main(["status"]) == 0
    assert "s3cret" not in capsys.readouterr().out


def test_status_says_how_far_the_last_verification_reaches(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(capsys, "status")["last_verification"] is None
    head = parse_checkpoint(parse_note(answer(capsys, "checkpoint")["checkpoint"]).text)
    report = {"verified": True, "witnessed": False, "subjects": []}
    keep_verification(home.home, report, 8, head)
    assert answer(capsys, "status")["last_verification"]["behind"] == 0
    assert main(["retire", "people", "--reason", "superseded"]) == 0
    assert main(["status"]) == 0
    assert "up to block 8; 1 block since is NOT verified" in capsys.readouterr().out


def test_a_home_that_was_put_back_is_told_and_not_written_on(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(home.home, tmp_path / "yesterday")
    assert main(["retire", "people", "--reason", "superseded"]) == 0
    capsys.readouterr()
    remember(home)
    assert answer(capsys, "status")["contradiction"] is None
    shutil.rmtree(home.home)
    shutil.copytree(tmp_path / "yesterday", home.home)
    assert main(["status"]) == 1
    assert "NOT this ledger as it stands" in capsys.readouterr().out
    (tmp_path / "data.csv").write_text("x\n1\n")
    monkeypatch.setattr("tallystick.policy.check_columns", lambda *_: None)
    policy = str(Path(__file__).parents[4] / "policies/datasets/rand_hie.yaml")
    for argv in (
        ["run", "--data", "data.csv", "--policy", policy],
        ["demo"],
        ["retire", "risk", "--reason", "x"],
    ):
        assert main(argv) == 1
        assert "Nothing was recorded" in capsys.readouterr().err
    capsys.readouterr()
    assert answer(capsys, "log")["records"][0]["kind"] == "pipeline"


@pytest.mark.parametrize(
    "argv",
    [
        ["log"],
        ["show", "people"],
        ["status"],
        ["members"],
        ["checkpoint"],
        ["prove", "people"],
        ["verify", "charter/1"],
        ["rebuild"],
    ],
    ids=" ".join,
)
def test_reading_needs_no_key_of_the_log(argv: list[str], home: Settings) -> None:
    home.log_key.chmod(0o644)
    assert main(argv) == 0


@pytest.mark.parametrize("argv", [["prove-row", "people", "0"], ["reproduce", "risk"]], ids=" ".join)
def test_nor_does_reading_what_was_kept(
    argv: list[str], home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """This home has records alone: what is missed is a dataset's own, not the log's key."""
    home.log_key.chmod(0o644)
    assert main(argv) != 0
    assert "log.pem" not in capsys.readouterr().err


def test_activate_records_nothing_where_the_package_is_in_force(capsys: pytest.CaptureFixture[str]) -> None:
    assert not answer(capsys, "activate")["recorded"]
    assert answer(capsys, "status")["blocks"] == 9
