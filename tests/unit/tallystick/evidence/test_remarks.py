"""A sound ledger's line says what its reader would otherwise miss."""

from __future__ import annotations

from contextlib import closing

import pytest
from support import ledgers

from tallystick.evidence.chain import Chain
from tallystick.evidence.verify import verify
from tallystick.ledger.embedded.genesis import reconfigure
from tallystick.ledger.embedded.stored import StoredFile


def test_what_changed_the_rules_is_told(case):
    with closing(case.open()) as ledger:
        reconfigure(
            ledger, ledgers.load_user(case.directory / "msp", "OperatorMSP", "admin"), package="e" * 64
        )
    changed = "(members, contracts; by whom: tally members)"
    expected = f"rules changed 2 times {changed}, last in block {case.last_block}:"
    assert expected in case.verify().subjects[0].detail


@pytest.mark.parametrize(("hours", "told"), [(2, True), (0.15, False)])
def test_claimed_times_that_run_back_are_remarked(tmp_path, hours, told):
    """Two streams never meet, so no contract refuses it; two honest claims may be ten minutes apart."""
    host = ledgers.make_host(tmp_path)
    host.clock.offset = int(hours * 3_600_000)
    host.submit("register_dataset", ledgers.dataset("early"))
    host.clock.offset = 0
    host.submit("register_dataset", ledgers.dataset("late"))
    host.ledger.close()
    with StoredFile(tmp_path / "ledger.db") as stored:
        report = verify(stored, Chain(stored.blocks()))
    assert report.verified
    detail = report.subjects[0].detail
    assert ("block 3 claims a time 7," in detail and "s before an earlier block's" in detail) == told
    assert detail.startswith("blocks 0-3, 3 transactions, 3 records, rules never changed")


def test_who_signs_heads_is_the_hosts_to_say(tmp_path):
    class Consortium(Chain):
        signers = "two of three members"

    ledgers.make_host(tmp_path).ledger.close()
    with StoredFile(tmp_path / "ledger.db") as stored:
        report = verify(stored, Consortium(stored.blocks()))
    assert "consistent, signed by two of three members, NOT witnessed" in report.subjects[0].detail
