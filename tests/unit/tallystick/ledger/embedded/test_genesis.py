"""What a verifier would not read is not written, and no ledger is written over."""

from __future__ import annotations

import dataclasses
import os
from contextlib import closing

import pytest
from support import ledgers

from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.identity import create_organisation, generate_log_key, load_msp, load_user
from tallystick.ledger.embedded import database
from tallystick.ledger.embedded.genesis import create_ledger, reconfigure
from tallystick.ledger.embedded.ledger import EmbeddedLedger


def test_more_than_a_configuration_holds_is_the_users_mistake(tmp_path):
    host = ledgers.make_host(tmp_path, adopt=False)
    msp = load_msp(tmp_path / "msp" / "OperatorMSP")
    crowded = dataclasses.replace(msp, roots=msp.roots * 65)
    with pytest.raises(InvalidInput, match="more than 64 roots"):
        reconfigure(host.ledger, host.user("operator", "admin"), msps=[crowded])
    assert host.ledger.height == 1
    host.ledger.close()


def founding(directory, name):
    """What `create_ledger` takes, for a ledger at the same path whoever makes it."""
    msp = directory / name / "msp"
    create_organisation(msp, "OperatorMSP", {"admin": ("admin",)})
    return {
        "path": directory / "ledger.db",
        "name": f"tallystick.example/{name}",
        "msps": [load_msp(msp / "OperatorMSP")],
        "admin": load_user(msp, "OperatorMSP", "admin"),
        "log_key": generate_log_key(directory / name / "log.pem"),
    }


def test_of_two_who_make_a_ledger_at_once_one_is_told_so(tmp_path, monkeypatch):
    one, other = founding(tmp_path, "one"), founding(tmp_path, "other")
    create = database.create
    origins = []

    def overtaken(path):
        if not origins:
            origins.append("")
            origins[0] = create_ledger(**one)
        create(path)

    monkeypatch.setattr(database, "create", overtaken)
    with pytest.raises(InvalidInput, match="a ledger already"):
        create_ledger(**other)
    with closing(EmbeddedLedger(tmp_path / "ledger.db")) as ledger:
        assert [ledger.origin] == origins
    assert [each for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_what_a_killed_process_left_is_removed_and_what_one_is_at_is_not(tmp_path):
    names = [".ledger.db.0123456789abcdef-wal", ".ledger.db.bak", ".ledger.db.fedcba9876543210"]
    left, own, new = (tmp_path / name for name in names)
    for each in (left, own, new):
        each.write_bytes(b"half")
    for each in (left, own):
        os.utime(each, (0, 0))
    create_ledger(**founding(tmp_path, "one"))
    assert [each.exists() for each in (left, own, new)] == [False, True, True]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    arguments = founding(tmp_path, "one") | {"path": tmp_path / "no where" / "ledger.db"}
    with pytest.raises(CouldNotCheck, match=r"no where/ledger\.db") as caught:
        create_ledger(**arguments)
    assert f"mkdir -p '{tmp_path}/no where'" in caught.value.hint


def test_the_number_of_a_configurations_block_is_its_own(tmp_path, monkeypatch):
    """Also where another writes before anybody could ask how high the ledger is."""
    host = ledgers.make_host(tmp_path)
    configure = EmbeddedLedger.configure

    def overtaken(self, *arguments):
        number = configure(self, *arguments)
        host.submit("register_dataset", ledgers.dataset())
        return number

    monkeypatch.setattr(EmbeddedLedger, "configure", overtaken)
    number = reconfigure(host.ledger, host.user("operator", "admin"))
    assert number == [each.block for each in host.ledger.configurations()][-1]
    assert host.ledger.height == number + 2
