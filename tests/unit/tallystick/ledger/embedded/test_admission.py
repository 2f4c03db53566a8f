"""Who gets a transaction in: the certificate, the signature, the ledger meant, and what the host notes."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest
from support import ledgers
from support.ledgers import make_host

from tallystick.errors import CouldNotCheck, InvalidInput, Refused
from tallystick.identity import load_msp
from tallystick.ledger.embedded.genesis import create_ledger, reconfigure
from tallystick.ledger.embedded.ledger import EmbeddedLedger, Endorsed
from tallystick.ledger.port import Call
from tallystick.proof.block import parse_block
from tallystick.proof.membership import Membership


@pytest.fixture
def host(tmp_path):
    return make_host(tmp_path)


def code(call, *arguments, **options):
    with pytest.raises(Refused) as refused:
        call(*arguments, **options)
    return refused.value.code


def refusals(host):
    return [json.loads(line) for line in (host.directory / "refusals.jsonl").read_text().splitlines()]


def _msps(host):
    return [load_msp(host.directory / "msp" / msp_id) for msp_id in ledgers.PARTIES.values()]


def test_a_certificate_of_another_authority_is_refused(host, tmp_path):
    stranger = make_host(tmp_path / "elsewhere").pipeline
    assert code(host.submit, "register_dataset", ledgers.dataset(), identity=stranger) == "NOT_A_MEMBER"
    (note,) = refusals(host)
    assert (note["msp"], note["enrolment_id"]) == ("", "")  # whoever that is, nobody here certified it


def test_a_signer_is_judged_once_whatever_the_judgement_is(host, tmp_path, monkeypatch):
    stranger, verify, judged = make_host(tmp_path / "elsewhere").pipeline, Membership.verify, []

    def counting(self, *arguments):
        judged.append(arguments)
        return verify(self, *arguments)

    monkeypatch.setattr(Membership, "verify", counting)
    assert code(host.submit, "register_dataset", ledgers.dataset(), identity=stranger) == "NOT_A_MEMBER"
    assert len(judged) == 1
    host.submit("register_dataset", ledgers.dataset())
    assert len(judged) == 2


@pytest.mark.parametrize(("start", "end", "why"), [(-3, -1, "EXPIRED"), (1, 3, "NOT_YET_VALID")])
def test_a_certificate_counts_only_in_its_time(host, start, end, why):
    now = datetime.now(UTC)
    identity = host.authorities["operator"].issue(
        "late", ("pipeline",), not_before=now + timedelta(hours=start), not_after=now + timedelta(hours=end)
    )
    assert code(host.submit, "register_dataset", ledgers.dataset(), identity=identity) == why
    (note,) = refusals(host)
    assert (note["msp"], note["enrolment_id"], note["code"]) == ("OperatorMSP", "late", why)


def test_a_revoked_certificate_writes_no_more_and_what_it_wrote_stands(host):
    host.submit("register_dataset", ledgers.dataset())
    revoked = host.pipeline
    host.authorities["operator"].revoke([revoked.certificate_pem])
    reconfigure(host.ledger, host.user("operator", "admin"), msps=_msps(host))
    assert code(host.submit, "register_dataset", ledgers.dataset(version=2), identity=revoked) == "REVOKED"
    (note,) = refusals(host)
    assert (note["msp"], note["enrolment_id"], note["code"]) == ("OperatorMSP", "pipeline", "REVOKED")
    fresh = host.authorities["operator"].issue("pipeline", ("pipeline",))
    assert (
        host.submit("register_dataset", ledgers.dataset(version=2), identity=fresh)["id"]
        == "dataset/claims/2"
    )


def test_what_was_endorsed_before_a_revocation_does_not_commit_after_it(host):
    call = Call("provenance", "register_dataset", ledgers.dataset())
    endorsed = host.ledger.endorse(host.pipeline, call)
    host.authorities["operator"].revoke([host.pipeline.certificate_pem])
    reconfigure(host.ledger, host.user("operator", "admin"), msps=_msps(host))
    assert code(host.ledger.commit, endorsed) == "REVOKED"


def test_a_proposal_for_another_ledger_is_refused(host, tmp_path):
    # The same organisations run a second ledger; what was signed for one must not be played to the other.
    create_ledger(
        tmp_path / "second.db",
        name="tallystick.example/second",
        msps=_msps(host),
        admin=host.user("operator", "admin"),
        log_key=host.ledger._log_key,
    )
    second = EmbeddedLedger(tmp_path / "second.db", log_key=host.ledger._log_key)
    endorsed = host.ledger.endorse(host.pipeline, Call("provenance", "register_dataset", ledgers.dataset()))
    assert code(second.commit, endorsed) == "OTHER_LEDGER"


def test_a_changed_proposal_is_refused(host):
    endorsed = host.ledger.endorse(host.pipeline, Call("provenance", "register_dataset", ledgers.dataset()))
    data = endorsed.proposal.data.replace(b"a survey", b"b survey")
    changed = endorsed.proposal._replace(data=data)
    assert code(host.ledger.commit, Endorsed(changed, endorsed.simulation)) == "NOT_A_MEMBER"


@pytest.mark.parametrize("field", ["contract", "transaction", "request", "time", "origin", "transaction_id"])
def test_what_runs_is_what_was_signed(host, field):
    """The fields beside the signed bytes are a convenience: a caller who changes them is refused."""
    endorsed = host.ledger.endorse(host.pipeline, Call("provenance", "register_dataset", ledgers.dataset()))
    value = getattr(endorsed.proposal, field)
    other = {"time": lambda: value + 1, "request": lambda: value[:-1] + b" }"}.get(
        field, lambda: value[:-1] + "~"
    )
    changed = endorsed.proposal._replace(**{field: other()})
    assert code(host.ledger.commit, Endorsed(changed, endorsed.simulation)) == "NOT_A_MEMBER"


def test_a_time_that_is_not_whole_milliseconds_is_refused_and_spoils_nothing(host):
    request = ledgers.dataset()
    host.submit("register_dataset", request)
    for time_ms in (host.clock() + 0.5, float(host.clock()), True):
        assert code(host.submit, "register_dataset", request, time_ms=time_ms) == "NOT_A_MEMBER"
    for block in host.ledger.blocks():
        parse_block(block.header, block.data)


def test_an_endorsement_that_was_not_made_here_is_refused(host):
    endorsed = host.ledger.endorse(host.pipeline, Call("provenance", "register_dataset", ledgers.dataset()))
    writes = {**endorsed.simulation.writes, "provenance/latest/dataset/claims": b"9"}
    forged = endorsed.simulation._replace(writes=writes)
    assert code(host.ledger.commit, Endorsed(endorsed.proposal, forged)) == "ENDORSEMENT_DIFFERS"


def test_the_host_notes_who_was_refused_and_never_what_was_asked(host):
    request = ledgers.dataset(source="patient-4711-canary", licence="")
    assert code(host.submit, "register_dataset", request) == "MALFORMED"
    (note,) = refusals(host)
    assert (note["msp"], note["enrolment_id"], note["code"]) == ("OperatorMSP", "pipeline", "MALFORMED")
    assert note["facts"]["field"] == "request.licence"
    assert "canary" not in (host.directory / "refusals.jsonl").read_text()
    assert (host.directory / "refusals.jsonl").stat().st_mode & 0o777 == 0o600


def test_only_an_administrator_configures(host):
    with pytest.raises(InvalidInput, match="administrator"):
        reconfigure(host.ledger, host.pipeline, msps=_msps(host))


def test_a_configuration_signed_under_one_that_is_out_of_force_is_not_appended(host, monkeypatch):
    admin, appended = host.user("operator", "admin"), EmbeddedLedger.configure

    def overtaken(ledger, *arguments):
        monkeypatch.setattr(EmbeddedLedger, "configure", appended)
        reconfigure(host.ledger, admin, msps=_msps(host))
        ledger.configure(*arguments)

    monkeypatch.setattr(EmbeddedLedger, "configure", overtaken)
    height = host.ledger.height
    with pytest.raises(CouldNotCheck, match="meanwhile"):
        reconfigure(host.ledger, admin, msps=_msps(host))
    assert host.ledger.height == height + 1
    reconfigure(host.ledger, admin, msps=_msps(host))
    assert host.ledger.config.number == 2


@pytest.mark.parametrize(("start", "end", "command"), [(-3, -1, "tally renew"), (1, 3, "clock")])
def test_an_administrator_configures_only_in_his_time(host, start, end, command):
    now = datetime.now(UTC)
    admin = host.authorities["operator"].issue(
        "admin", ("admin",), not_before=now + timedelta(hours=start), not_after=now + timedelta(hours=end)
    )
    with pytest.raises(InvalidInput, match="certificate") as refused:
        reconfigure(host.ledger, admin, msps=_msps(host))
    assert command in refused.value.hint


def test_a_configuration_under_which_nobody_could_be_judged_is_not_appended(host):
    first, second, *rest = _msps(host)
    strange = dataclasses.replace(first, crls=second.crls)
    height = host.ledger.height
    with pytest.raises(InvalidInput, match="nobody could use"):
        reconfigure(host.ledger, host.user("operator", "admin"), msps=[strange, second, *rest])
    assert host.ledger.height == height


def test_a_ledger_is_not_made_twice(host):
    with pytest.raises(InvalidInput, match="already"):
        create_ledger(
            host.directory / "ledger.db",
            name="tallystick.example/test",
            msps=_msps(host),
            admin=host.user("operator", "admin"),
            log_key=host.ledger._log_key,
        )


def test_without_its_key_a_ledger_is_read_and_not_written(host):
    reader = EmbeddedLedger(host.directory / "ledger.db")
    assert reader.height == host.ledger.height
    with pytest.raises(CouldNotCheck, match="reading only"):
        reader.submit(host.pipeline, Call("provenance", "register_dataset", ledgers.dataset()))


def test_another_key_does_not_open_it(host, tmp_path):
    other = make_host(tmp_path / "elsewhere").ledger._log_key
    with pytest.raises(InvalidInput, match="does not belong"):
        EmbeddedLedger(host.directory / "ledger.db", log_key=other)


def test_contracts_that_are_not_activated_write_nothing(host, monkeypatch):
    from tallystick.execution import packages

    monkeypatch.setattr(packages, "current_digest", lambda: "f" * 64)
    assert code(host.submit, "register_dataset", ledgers.dataset()) == "PACKAGE_NOT_ACTIVE"
    reconfigure(host.ledger, host.user("operator", "admin"), package="f" * 64)
    assert host.submit("register_dataset", ledgers.dataset())["id"] == "dataset/claims/1"
