"""`enrol`, `renew` and `revoke`, and what a user meets whose certificate does not count."""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.ledgers import dataset

from tallystick import wiring
from tallystick.cli import main
from tallystick.files import write_atomic
from tallystick.identity import Authority, load_user
from tallystick.identity.keys import write_key
from tallystick.ledger.port import Call
from tallystick.settings import Settings

OPERATOR = "OperatorMSP"
RETIRE = ["retire", "people", "--reason", "superseded"]


def answer(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> Any:
    """The JSON that a command prints."""
    capsys.readouterr()
    assert main([*argv, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_an_expired_user_is_told_to_renew_and_what_both_certificates_wrote_verifies(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    old = Authority.load(home.msp / OPERATOR).issue(
        "pipeline", ["pipeline"], not_before=now - timedelta(days=1), not_after=now - timedelta(minutes=2)
    )
    directory = home.msp / OPERATOR / "users" / "pipeline"
    write_key(directory / "keystore" / "key.pem", old.key)
    write_atomic(directory / "signcerts" / "cert.pem", old.certificate_pem, 0o644)
    claimed = time.time_ns() // 1_000_000 - 180_000  # three minutes ago, within the skew
    with closing(wiring.open_ledger(home)) as ledger:
        written = ledger.submit(old, Call("provenance", "register_dataset", dataset()), time_ms=claimed).block

    error = answer(capsys, *RETIRE, code=1)["error"]
    assert "EXPIRED" in error["message"]
    assert "tally renew" in error["hint"]

    renewed = answer(capsys, "renew", "pipeline")
    assert (renewed["msp"], renewed["user"], renewed["roles"]) == (OPERATOR, "pipeline", ["pipeline"])
    retired = answer(capsys, *RETIRE)["block"]
    assert retired > written
    capsys.readouterr()
    main(["verify", "--json"])
    subjects = json.loads(capsys.readouterr().out)["subjects"]
    assert {each["status"] for each in subjects if each["kind"] == "ledger"} == {"verified"}


def test_an_enrolled_user_writes_what_its_roles_allow(
    home: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = answer(capsys, "enrol", "alice")
    assert made["roles"] == ["reader"]
    assert made["until"] > time.time() * 1000
    assert answer(capsys, "enrol", "bob", "--role", "pipeline", "--role", "reader")["roles"] == [
        "pipeline",
        "reader",
    ]
    monkeypatch.setenv("TALLYSTICK_USER", "alice")
    assert main(RETIRE) == 1
    assert "FORBIDDEN" in capsys.readouterr().err
    monkeypatch.setenv("TALLYSTICK_USER", "bob")
    assert main(RETIRE) == 0
    assert main(["enrol", "bob"]) == 2
    assert "tally renew bob" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["renew", "revoke"])
def test_somebody_who_is_not_here_is_answered_with_who_is(
    home: Settings, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    error = answer(capsys, command, "nobody", code=2)["error"]
    assert "admin, pipeline" in error["hint"]
    assert "tally init" not in error["hint"]
    error = answer(capsys, command, "admin", "--msp", "NobodyMSP", code=2)["error"]
    assert OPERATOR in error["hint"]


def test_the_last_administrator_stays(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    error = answer(capsys, "revoke", "admin", code=1)["error"]
    assert "tally enrol USER --role admin" in error["hint"]
    assert main(["enrol", "second", "--role", "admin"]) == 0
    block = answer(capsys, "revoke", "admin")["block"]
    assert answer(capsys, "revoke", "admin")["block"] is None
    assert main(["revoke", "pipeline"]) == 0
    assert f"block {block + 1}" in capsys.readouterr().out


def test_a_user_whose_key_others_can_read_signs_nothing(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_user(home.msp, OPERATOR, "pipeline")
    (home.msp / OPERATOR / "users/pipeline/keystore/key.pem").chmod(0o640)
    error = answer(capsys, *RETIRE, code=3)["error"]
    assert "chmod 600" in error["hint"]


@pytest.mark.parametrize(("days", "told"), [(31, 0), (29, 1)])
def test_status_speaks_of_what_ends_soon(
    home: Settings, capsys: pytest.CaptureFixture[str], days: int, told: int
) -> None:
    ends = datetime.now(UTC) + timedelta(days=days)
    soon = Authority.load(home.msp / OPERATOR).issue("pipeline", ["pipeline"], not_after=ends)
    soon.replace(home.msp / OPERATOR / "users" / "pipeline")
    certificates = answer(capsys, "status")["certificates"]
    assert [(each["user"], each["ended"]) for each in certificates] == [("pipeline", False)] * told
    assert main(["status"]) == 0
    assert ("tally renew pipeline" in capsys.readouterr().out) == bool(told)
