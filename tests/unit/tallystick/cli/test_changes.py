"""Commands that change something: init, rebuild after damage, verify against kept heads, retire, revoke."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from support.datasets import made_up

from tallystick import wiring
from tallystick.cli import main
from tallystick.clients.provenance import Request
from tallystick.errors import CouldNotCheck
from tallystick.settings import Settings
from tallystick.store import Store


def test_init_makes_one_organisation(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--name", "hospital.example/lab", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["origin"].startswith("hospital.example/lab/")
    assert [path.name for path in (directory / "home/msp").iterdir()] == ["OperatorMSP"]
    assert main(["init"]) == 2
    assert "already" in capsys.readouterr().err


def test_rebuild_puts_a_changed_state_right_and_says_so(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(home.home / "ledger.db") as connection:
        connection.execute("UPDATE state SET value = X'00' WHERE key = 'provenance/latest/dataset/people'")
        connection.execute("DELETE FROM hashes WHERE start > 8")
    assert main(["rebuild", "--json"]) == 1
    differences = json.loads(capsys.readouterr().out)["differences"]
    assert differences["state"] == 1
    assert differences["hashes"] > 0
    assert main(["rebuild"]) == 0
    assert main(["show", "people"]) == 0


@pytest.mark.parametrize("table", ["head", "state", "transactions", "hashes"])
def test_rebuild_makes_a_derived_table_again_that_was_lost(
    table: str, home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(home.home / "ledger.db") as connection:
        rows = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        connection.execute(f"DELETE FROM {table}")
    assert main(["rebuild", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["differences"][table] == rows > 0
    assert main(["rebuild"]) == 0
    assert main(["show", "people"]) == 0


def test_rebuild_of_a_file_that_is_no_ledger_says_so(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    (home.home / "ledger.db").write_bytes(b"not a database" * 1000)
    assert main(["rebuild"]) == 1
    assert "ledger.db" in capsys.readouterr().err


def test_rebuild_changes_nothing_where_a_block_was_changed(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(home.home / "ledger.db") as connection:
        connection.execute("UPDATE blocks SET first_leaf = first_leaf + 1 WHERE number = 3")
    assert main(["rebuild"]) == 1
    assert "block 3" in capsys.readouterr().err


def test_the_index_follows_a_ledger_that_was_put_back(
    home: Settings, empty_template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "people"]) == 0
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (home.home / name).unlink(missing_ok=True)
    shutil.copy(empty_template / "home/ledger.db", home.home / "ledger.db")
    home.log_key.unlink()
    capsys.readouterr()
    assert main(["log", "--json"]) == 0
    assert [record["kind"] for record in json.loads(capsys.readouterr().out)["records"]] == ["charter"]


def test_verify_against_a_kept_head_and_against_one_of_another_ledger(
    home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["checkpoint", "--out", str(tmp_path)]) == 0
    kept = ["--since", str(tmp_path / "checkpoint.txt"), "--trust", str(tmp_path / "trust.txt")]
    capsys.readouterr()
    main(["verify", *kept, "--json"])
    report = json.loads(capsys.readouterr().out)
    heads = [each for each in report["subjects"] if each["kind"] in ("ledger", "trust", "checkpoint")]
    assert {each["status"] for each in heads} == {"verified"}
    assert report["witnessed"]
    note = (tmp_path / "checkpoint.txt").read_text().replace("tallystick.example", "elsewhere.example")
    (tmp_path / "other.txt").write_text(note)
    assert main(["verify", "--since", str(tmp_path / "other.txt"), "--json"]) == 1
    assert "CHANGED" in {each["status"] for each in json.loads(capsys.readouterr().out)["subjects"]}


def test_without_a_kept_head_verify_never_says_witnessed(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["verify"])
    assert "NOT witnessed" in capsys.readouterr().out


def test_retire_stands_in_the_history(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retire", "people", "--reason", "superseded"]) == 0
    capsys.readouterr()
    assert main(["show", "people"]) == 0
    shown = capsys.readouterr().out
    assert "RETIRED" in shown
    assert "superseded" in shown
    assert main(["retire", "people", "--reason", "again"]) == 1


def test_an_erasure_that_was_stopped_after_its_record_is_finished(
    home: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = Store(home.objects)
    digest = objects.add_bytes(b"age,cost\n40,10\n")
    with wiring.open_workspace(home) as w:
        key, file = w.keyring.create("people").key_id, {"sha256": digest}
        second = made_up(version=2, file=file, size=15, key=key, schema=file)
        w.provenance.register_dataset(Request("second"), **second)

    def stop(*_: object) -> int:
        raise KeyboardInterrupt

    erase = ["retire", "people/2", "--reason", "the subjects asked for it", "--erase", "--json"]
    with monkeypatch.context() as killed:
        killed.setattr("tallystick.steps.erasure.erase", stop)
        assert main(erase) == 130
    assert objects.verify(digest)
    capsys.readouterr()
    assert main(erase) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["block"], told["objects_removed"], told["key_destroyed"]) == (None, 1, True)
    with pytest.raises(CouldNotCheck):
        objects.verify(digest)
    assert main(["retire", "people/2", "--reason", "again"]) == 1
    assert "RETIRED" in capsys.readouterr().err


def test_only_a_dataset_can_be_erased(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retire", "risk", "--reason", "no", "--erase"]) == 2
    assert "key" in capsys.readouterr().err


def test_a_revoked_member_writes_no_more(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["revoke", "pipeline"]) == 0
    assert main(["retire", "people", "--reason", "too late"]) == 1
    assert "REVOKED" in capsys.readouterr().err
    assert main(["rebuild"]) == 0
