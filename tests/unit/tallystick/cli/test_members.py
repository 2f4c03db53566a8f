"""`tally members`: every change of the members and the contracts, newest first, and what is in force."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509

from tallystick import wiring
from tallystick.cli import main
from tallystick.identity import load_msp, load_user
from tallystick.settings import Settings


def members(capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    assert main(["members", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_new_ledger_has_its_first_configuration(
    empty_home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    told = members(capsys)
    (first,) = told["configurations"]
    assert first["added"] == ["AuditorMSP", "OperatorMSP", "RegulatorMSP"]
    assert (first["block"], first["msp"], first["member"]) == (0, "OperatorMSP", "admin")
    assert (first["package"], first["policy"]) == (told["package"], None)
    assert [each["msp"] for each in told["members"]] == first["added"]
    assert {len(each["roots"]) for each in told["members"]} == {1}


def test_a_revocation_names_the_certificate_and_who_revoked_it(
    empty_home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    pem = load_user(empty_home.msp, "RegulatorMSP", "reader").certificate_pem
    serial = f"{x509.load_pem_x509_certificate(pem).serial_number:x}"
    assert main(["revoke", "reader", "--msp", "RegulatorMSP"]) == 0
    told = members(capsys)
    newest, oldest = told["configurations"]
    assert newest["revoked"] == [{"msp": "RegulatorMSP", "serial": serial}]
    assert (newest["block"], newest["member"], newest["package"]) == (2, "admin", None)
    assert newest["added"] == newest["removed"] == newest["restored"] == oldest["revoked"] == []
    assert [each["revoked"] for each in told["members"]] == [[], [], [serial]]
    assert main(["members"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"RegulatorMSP revoked certificate {serial[:12]}" in lines[1]
    assert "OperatorMSP is a member" in "".join(lines[2:5])
    assert lines[-2].startswith("next:")


def test_members_that_leave_come_back_or_change_the_contracts_are_told(
    empty_home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = load_user(empty_home.msp, "OperatorMSP", "admin")
    everyone = [load_msp(empty_home.msp / f"{name}MSP") for name in ("Operator", "Regulator", "Auditor")]
    wiring.reconfigure(empty_home, admin, msps=everyone[:2])
    wiring.reconfigure(empty_home, admin, msps=everyone)
    wiring.reconfigure(empty_home, admin, package="ab" * 32)
    package, back, gone, _ = members(capsys)["configurations"]
    assert gone["removed"] == back["added"] == ["AuditorMSP"]
    assert package["package"] == "ab" * 32
    assert package["added"] == package["other_roots"] == []


def test_what_else_changed_of_the_rules_is_told_and_who_is_not_followed(
    empty_home: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(wiring.open_for_reading(empty_home)) as ledger:
        (first,) = ledger.configurations()
        unfollowed = replace(first.organisations[0], unfollowed="of an unknown hash")
        organisations = (unfollowed, *first.organisations[1:])
        then = replace(first, block=1, organisations=organisations, changed=("who may endorse: all -> any",))
        monkeypatch.setattr(type(ledger), "configurations", lambda self: iter([first, then]))
    assert main(["members"]) == 0
    told = capsys.readouterr().out
    assert "who may endorse: all -> any" in told
    assert "nobody of it counts here: of an unknown hash" in told
    assert "nothing changed" not in told


@pytest.mark.parametrize(("own_network", "named"), [(True, ["tally fabric revoke USER"]), (False, [])])
def test_on_a_channel_only_what_works_there_is_named_for_revoking(
    empty_home: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    own_network: bool,
    named: list[str],
) -> None:
    ledger = wiring.open_for_reading(empty_home)
    monkeypatch.setattr(wiring, "open_for_reading", lambda settings: ledger)
    monkeypatch.setenv("TALLYSTICK_LEDGER", "fabric:///elsewhere/profile.yaml")
    if own_network:
        empty_home.fabric.mkdir()
    assert main(["members"]) == 0
    told = capsys.readouterr().out
    assert [command for command in ("tally revoke", "tally fabric revoke USER") if command in told] == named
    assert "tally verify" in told
