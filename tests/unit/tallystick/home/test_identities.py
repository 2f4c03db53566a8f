"""Members are enrolled, renewed and revoked; somebody can always configure; what was killed is completed."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.home import make_home, settings_of

from tallystick import wiring
from tallystick.errors import CouldNotCheck, InvalidInput, Refused
from tallystick.files import write_atomic
from tallystick.home import configure, create, identities
from tallystick.home.administrators import administrators
from tallystick.identity import Authority, load_user
from tallystick.ledger.port import Call
from tallystick.proof.membership import Membership, NotInForce
from tallystick.settings import Settings

OPERATOR, AUDITOR = "OperatorMSP", "AuditorMSP"


class Killed(BaseException):
    """Stands for a process that was killed at this point."""


def _kill(*arguments: object, **options: object) -> None:
    raise Killed


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("identities")
    make_home(directory)
    return directory / "home"


@pytest.fixture
def settings(template: Path, tmp_path: Path) -> Settings:
    shutil.copytree(template, tmp_path / "home")
    return settings_of(tmp_path)


def in_force(settings: Settings, msp_id: str, user: str) -> str:
    """What the ledger thinks of the user's certificate: nothing, or why it does not count."""
    with closing(wiring.open_embedded(settings)) as ledger:
        membership = Membership(ledger.config.msps)
    try:
        now = int(datetime.now(UTC).timestamp() * 1000)
        membership.judge(load_user(settings.msp, msp_id, user).serialised, now)
    except NotInForce as error:
        return error.code
    return ""


def blocks(settings: Settings) -> int:
    with closing(wiring.open_embedded(settings)) as ledger:
        return ledger.height


def let_end(settings: Settings, user: str, *roles: str, ends: timedelta = timedelta(minutes=-1)) -> None:
    """Give the user a certificate that ends so long from now."""
    now = datetime.now(UTC)
    identity = Authority.load(settings.msp / OPERATOR).issue(
        user, roles, not_before=now - timedelta(days=2), not_after=now + ends
    )
    shutil.rmtree(settings.msp / OPERATOR / "users" / user)
    identity.save(settings.msp / OPERATOR / "users" / user)


def revoke_and_die(settings: Settings, monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    """A revocation that is killed after its list was written, before its block."""
    with monkeypatch.context() as patched:
        patched.setattr(wiring, "reconfigure", _kill)
        with pytest.raises(Killed):
            identities.revoke(settings, OPERATOR, user)


def test_an_enrolled_user_counts_at_once_without_a_block(settings: Settings) -> None:
    before = blocks(settings)
    certified = identities.enrol(settings, OPERATOR, "alice", ["pipeline"])
    assert (certified.user, certified.roles) == ("alice", ("pipeline",))
    assert timedelta(days=364) < certified.until - datetime.now(UTC) <= timedelta(days=365)
    assert in_force(settings, OPERATOR, "alice") == ""
    assert blocks(settings) == before


def test_a_renewed_administrator_still_configures(settings: Settings) -> None:
    identities.renew(settings, OPERATOR, "admin")
    assert identities.revoke(settings, AUDITOR, "reader") == 2
    let_end(settings, "admin", "admin")
    with pytest.raises(InvalidInput, match="admin: certificate: expired") as refused:
        identities.revoke(settings, AUDITOR, "admin")
    assert "tally renew" in refused.value.hint
    assert identities.renew(settings, OPERATOR, "admin").roles == ("admin",)
    assert identities.revoke(settings, AUDITOR, "admin") == 3


def test_the_last_administrator_is_not_revoked(settings: Settings) -> None:
    before = (settings.msp / OPERATOR / "crls" / "crl.pem").read_bytes()
    with pytest.raises(Refused, match="last administrator") as refused:
        identities.revoke(settings, OPERATOR, "admin")
    assert (refused.value.exit_code, refused.value.code) == (1, "LAST_ADMINISTRATOR")
    assert "tally enrol USER --role admin" in refused.value.hint
    assert (settings.msp / OPERATOR / "crls" / "crl.pem").read_bytes() == before
    assert in_force(settings, OPERATOR, "admin") == ""


def test_one_of_two_administrators_is_revoked_and_the_other_configures(settings: Settings) -> None:
    identities.enrol(settings, OPERATOR, "second", ["admin"])
    assert identities.revoke(settings, OPERATOR, "admin") == 2
    assert in_force(settings, OPERATOR, "admin") == "REVOKED"
    with pytest.raises(Refused, match="last administrator"):
        identities.revoke(settings, OPERATOR, "second")
    assert identities.revoke(settings, OPERATOR, "pipeline") == 3


@pytest.mark.parametrize("spoilt", ["ended", "without its key", "revoked but not yet in force", "reader"])
def test_only_an_administrator_who_can_sign_counts_as_another(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, spoilt: str
) -> None:
    identities.enrol(settings, OPERATOR, "second", ["reader" if spoilt == "reader" else "admin"])
    directory = settings.msp / OPERATOR / "users" / "second"
    if spoilt == "ended":
        let_end(settings, "second", "admin")
    elif spoilt == "without its key":
        (directory / "keystore" / "key.pem").unlink()
    elif spoilt == "revoked but not yet in force":
        revoke_and_die(settings, monkeypatch, "second")
    with pytest.raises(Refused, match="last administrator"):
        identities.revoke(settings, OPERATOR, "admin")


def test_a_revocation_that_was_killed_is_completed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    revoke_and_die(settings, monkeypatch, "pipeline")
    assert in_force(settings, OPERATOR, "pipeline") == ""
    assert identities.revoke(settings, OPERATOR, "pipeline") == 2
    assert in_force(settings, OPERATOR, "pipeline") == "REVOKED"
    assert identities.revoke(settings, OPERATOR, "pipeline") is None
    assert blocks(settings) == 3


def test_revoking_reaches_the_certificates_before_a_renewal(settings: Settings) -> None:
    old = load_user(settings.msp, OPERATOR, "pipeline")
    identities.renew(settings, OPERATOR, "pipeline")
    identities.revoke(settings, OPERATOR, "pipeline")
    with closing(wiring.open_ledger(settings)) as ledger, pytest.raises(Refused) as refused:
        ledger.submit(old, Call("provenance", "read", {"id": "charter/1"}))
    assert refused.value.code == "REVOKED"
    assert in_force(settings, OPERATOR, "pipeline") == "REVOKED"
    identities.renew(settings, OPERATOR, "pipeline")
    assert in_force(settings, OPERATOR, "pipeline") == ""


def test_revoking_somebody_who_is_not_here_names_who_is(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="no user nobody") as refused:
        identities.revoke(settings, OPERATOR, "nobody")
    assert "admin, pipeline" in refused.value.hint


def test_on_a_channel_another_command_revokes(settings: Settings) -> None:
    on_channel = replace(settings, ledger_url="fabric:///somewhere/operator.yaml")
    before = (settings.msp / OPERATOR / "crls" / "crl.pem").read_bytes()
    for change in (
        lambda: identities.revoke(on_channel, OPERATOR, "pipeline"),
        lambda: configure.activate(on_channel),
    ):
        with pytest.raises(InvalidInput, match="not changed from one home") as error:
            change()
        assert "tally fabric revoke" in error.value.hint
    assert (settings.msp / OPERATOR / "crls" / "crl.pem").read_bytes() == before


def test_an_organisation_beside_the_ledger_does_not_come_in_by_a_revocation(settings: Settings) -> None:
    shutil.copytree(settings.msp / AUDITOR, settings.msp / "OtherMSP")
    with pytest.raises(InvalidInput, match="OtherMSP is not an organisation") as refused:
        identities.revoke(settings, "OtherMSP", "reader")
    assert OPERATOR in refused.value.hint


def test_a_root_beside_the_ledgers_does_not_come_in_by_a_revocation(settings: Settings) -> None:
    other = Authority.create(AUDITOR, settings.home / "elsewhere")
    write_atomic(
        settings.msp / OPERATOR / "cacerts" / "other.pem",
        (other.directory / "cacerts" / "ca.pem").read_bytes(),
    )
    identities.revoke(settings, OPERATOR, "pipeline")
    with closing(wiring.open_embedded(settings)) as ledger:
        assert [len(msp.roots) for msp in ledger.config.msps] == [1, 1, 1]


def test_a_damaged_list_is_told_and_nothing_is_recorded(settings: Settings) -> None:
    (settings.msp / OPERATOR / "crls" / "crl.pem").write_bytes(b"not a list")
    with pytest.raises(InvalidInput, match="revocation list"):
        identities.revoke(settings, OPERATOR, "pipeline")
    with pytest.raises(InvalidInput, match="revocation list"):
        identities.ending(settings)
    assert blocks(settings) == 2


def test_any_administrator_here_activates(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    identities.enrol(settings, OPERATOR, "second", ["admin"])
    identities.revoke(settings, OPERATOR, "admin")
    monkeypatch.setattr(configure.packages, "keep_current", lambda _: "f" * 64)
    assert configure.activate(settings)[1] == "f" * 64
    shutil.rmtree(settings.msp / OPERATOR / "users" / "second")
    monkeypatch.setattr(configure.packages, "keep_current", lambda _: "e" * 64)
    with pytest.raises(InvalidInput, match="admin: certificate: revoked"):
        configure.activate(settings)


def test_a_key_open_to_others_is_no_administrators(settings: Settings) -> None:
    (settings.msp / OPERATOR / "users/admin/keystore/key.pem").chmod(0o644)
    with closing(wiring.open_embedded(settings)) as ledger:
        msps = ledger.config.msps
    with pytest.raises(InvalidInput, match="read by others"):
        administrators(settings, msps)
    (settings.msp / OPERATOR / "ca/key.pem").chmod(0o640)
    with pytest.raises(CouldNotCheck, match="read by others"):
        identities.enrol(settings, OPERATOR, "alice", ["reader"])


@pytest.mark.parametrize(("days", "told"), [(31, False), (29, True), (-1, True)])
def test_what_ends_within_thirty_days_is_told(settings: Settings, days: int, told: bool) -> None:
    assert identities.ending(settings) == []
    let_end(settings, "pipeline", "pipeline", ends=timedelta(days=days))
    found = [(each.msp_id, each.user, each.ended) for each in identities.ending(settings)]
    assert found == ([(OPERATOR, "pipeline", days < 0)] if told else [])
    if told:
        (told_of,) = identities.ending(settings)
        assert "tally renew pipeline --msp OperatorMSP" in told_of.sentence
        assert ("ENDED" in told_of.sentence) == (days < 0)
        identities.renew(settings, OPERATOR, "pipeline")
        assert identities.ending(settings) == []


@pytest.mark.parametrize(("days", "told"), [(31, False), (29, True), (-1, True)])
def test_on_a_channel_the_users_of_the_profile_are_told_of(
    settings: Settings, tmp_path: Path, days: int, told: bool
) -> None:
    """And not those of a ledger of one's own in the same home, whom the channel does not know."""
    users = tmp_path / "profile" / "users"
    shutil.copytree(settings.msp / OPERATOR / "users", users)
    shutil.copy(settings.msp / OPERATOR / "cacerts" / "ca.pem", users.parent)
    profile = users.parent / "operator.yaml"
    profile.write_text(
        "channel: audit\nchaincode: tallystick\nmsp_id: OperatorMSP\nidentity: users/pipeline\n"
        "peers:\n  - address: 127.0.0.1:1\n    tls_roots: ca.pem\n"
    )
    let_end(settings, "pipeline", "pipeline", ends=timedelta(days=days))
    on_channel = replace(settings, ledger_url=f"fabric://{profile}")
    assert identities.ending(on_channel) == []
    shutil.copytree(settings.msp / OPERATOR / "users" / "pipeline", users / "pipeline", dirs_exist_ok=True)
    found = identities.ending(on_channel)
    assert [(each.msp_id, each.user, each.ended) for each in found] == (
        [(OPERATOR, "pipeline", days < 0)] if told else []
    )
    assert all("docs/deployment.md" in each.sentence for each in found)


def test_what_is_revoked_is_not_told_and_an_authority_is_a_year_ahead(settings: Settings) -> None:
    identities.revoke(settings, AUDITOR, "reader")
    now = datetime.now(UTC)
    users = identities.ending(settings, at=now + timedelta(days=340))
    assert [(each.msp_id, each.user) for each in users if each.msp_id == AUDITOR] == [(AUDITOR, "admin")]
    later = [each for each in identities.ending(settings, at=now + timedelta(days=3300)) if not each.user]
    assert {(each.msp_id, each.ended) for each in later} == {
        (OPERATOR, False),
        ("RegulatorMSP", False),
        (AUDITOR, False),
    }
    assert all("identity.md" in each.sentence for each in later)


def test_a_home_without_keys_is_told(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    assert identities.ending(settings) == []
    with pytest.raises(InvalidInput, match="no keys") as refused:
        identities.enrol(settings, OPERATOR, "alice", ["reader"])
    assert "tally init" in refused.value.hint


def test_refusals_name_whom_they_met(settings: Settings) -> None:
    let_end(settings, "pipeline", "pipeline")
    call = Call("provenance", "read", {"id": "charter/1"})
    with closing(wiring.open_ledger(settings)) as ledger, pytest.raises(Refused, match="EXPIRED") as refused:
        ledger.evaluate(load_user(settings.msp, OPERATOR, "pipeline"), call)
    assert "tally renew" in refused.value.hint
    note = json.loads(settings.refusals.read_text().splitlines()[-1])
    assert (note["msp"], note["enrolment_id"], note["code"]) == (OPERATOR, "pipeline", "EXPIRED")


def test_what_only_reads_needs_no_key_of_the_ledger(settings: Settings) -> None:
    settings.log_key.chmod(0o644)
    assert configure.package_status(settings)["active"]
    assert create.has_charter(settings)
    assert identities.enrol(settings, OPERATOR, "alice", ["reader"]).user == "alice"
    with pytest.raises(CouldNotCheck, match=r"log\.pem can be read by others") as refused:
        identities.revoke(settings, OPERATOR, "pipeline")
    assert "chmod 600" in refused.value.hint
    settings.log_key.chmod(0o600)
    assert identities.revoke(settings, OPERATOR, "pipeline") == 2
