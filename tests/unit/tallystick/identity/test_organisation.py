"""An organisation's users: enrolled once, renewed whole or not at all, and named to whoever errs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.identity import Authority, create_organisation, load_msp, load_user, member
from tallystick.identity import organisation as organisations
from tallystick.proof.membership import Member, Membership

MSP = "OperatorMSP"


class Killed(BaseException):
    """Stands for a process that was killed at this point."""


@pytest.fixture
def msp(tmp_path: Path) -> Path:
    create_organisation(tmp_path / "msp", MSP, {"admin": ("admin",), "pipeline": ("pipeline", "reader")})
    return tmp_path / "msp"


def judged(msp: Path, name: str) -> Member:
    """The member that the loaded user is, its signature included."""
    user = load_user(msp, MSP, name)
    now = int(time.time() * 1000)
    return Membership([load_msp(msp / MSP)]).verify(user.serialised, user.sign(b"x"), b"x", now)


def files(msp: Path, name: str) -> list[str]:
    directory = msp / MSP / "users" / name
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def test_an_enrolled_user_is_a_member_with_its_roles(msp: Path) -> None:
    organisations.enrol(msp, MSP, "alice", ["pipeline", "admin", "pipeline"])
    assert judged(msp, "alice") == Member(MSP, "alice", frozenset({"admin", "pipeline"}))
    assert organisations.users(msp, MSP) == ["admin", "alice", "pipeline"]


def test_nobody_is_enrolled_twice_or_without_the_authoritys_key(msp: Path) -> None:
    before = organisations.certificates(msp, MSP, "pipeline")
    with pytest.raises(InvalidInput, match="already") as refused:
        organisations.enrol(msp, MSP, "pipeline", ["reader"])
    assert "tally renew pipeline" in refused.value.hint
    assert organisations.certificates(msp, MSP, "pipeline") == before
    (msp / MSP / "ca" / "key.pem").unlink()
    with pytest.raises(InvalidInput, match=r"ca/key\.pem is missing") as refused:
        organisations.enrol(msp, MSP, "alice", ["reader"])
    assert "tally init" not in refused.value.hint
    assert organisations.users(msp, MSP) == ["admin", "pipeline"]


def test_a_renewed_user_has_another_key_and_the_same_name_and_roles(msp: Path) -> None:
    old = load_user(msp, MSP, "pipeline")
    new = organisations.renew(msp, MSP, "pipeline")
    assert judged(msp, "pipeline") == Member(MSP, "pipeline", frozenset({"pipeline", "reader"}))
    assert new.key.public_key() != old.key.public_key()
    assert organisations.certificates(msp, MSP, "pipeline") == [new.certificate_pem, old.certificate_pem]
    serial = x509.load_pem_x509_certificate(old.certificate_pem).serial_number
    assert files(msp, "pipeline") == [f"former/{serial:x}.pem", "keystore/key.pem", "signcerts/cert.pem"]


def test_a_user_whose_key_is_lost_is_renewed(msp: Path) -> None:
    (msp / MSP / "users" / "pipeline" / "keystore" / "key.pem").unlink()
    with pytest.raises(InvalidInput, match="missing"):
        load_user(msp, MSP, "pipeline")
    organisations.renew(msp, MSP, "pipeline")
    assert judged(msp, "pipeline").enrolment_id == "pipeline"


def _kill_at(number: int, write: Callable[..., None]) -> Callable[..., None]:
    calls = iter(range(100))

    def killed(*arguments: object, **options: object) -> None:
        if next(calls) == number:
            raise Killed
        write(*arguments, **options)

    return killed


@pytest.mark.parametrize(
    ("name", "number", "renewed"),
    [
        ("write_atomic", 0, False),
        ("write_key", 0, False),
        ("write_atomic", 1, False),
        ("complete_renewal", 0, True),
    ],
)
def test_a_renewal_that_was_killed_leaves_the_old_or_the_new_and_is_completed(
    msp: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int, renewed: bool
) -> None:
    old = load_user(msp, MSP, "pipeline").certificate_pem
    with monkeypatch.context() as patched:
        patched.setattr(member, name, _kill_at(number, getattr(member, name)))
        with pytest.raises(Killed):
            organisations.renew(msp, MSP, "pipeline")
    left = load_user(msp, MSP, "pipeline").certificate_pem
    assert (left != old) == renewed
    assert judged(msp, "pipeline").enrolment_id == "pipeline"
    completed = organisations.renew(msp, MSP, "pipeline").certificate_pem
    assert completed != old
    assert (completed == left) == renewed
    assert judged(msp, "pipeline").enrolment_id == "pipeline"
    assert organisations.certificates(msp, MSP, "pipeline") == [completed, old]
    assert [path for path in files(msp, "pipeline") if "keystore" in path] == ["keystore/key.pem"]


def test_what_a_killed_enrolment_left_is_in_nobodys_way(msp: Path) -> None:
    left = msp / MSP / "users" / ".alice.new" / "keystore"
    left.mkdir(parents=True)
    (left / "key.pem").write_bytes(b"half a key")
    assert organisations.users(msp, MSP) == ["admin", "pipeline"]
    organisations.enrol(msp, MSP, "alice", ["reader"])
    assert not left.exists()
    assert judged(msp, "alice").enrolment_id == "alice"


def test_what_a_killed_creation_left_is_in_nobodys_way(tmp_path: Path) -> None:
    left = tmp_path / f".{MSP}.new" / "ca"
    left.mkdir(parents=True)
    (left / "key.pem").write_bytes(b"half a key")
    assert create_organisation(tmp_path, MSP, {"admin": ("admin",)}).msp_id == MSP
    assert [path.name for path in tmp_path.iterdir()] == [MSP]


def test_a_renewal_between_certificate_and_key_is_no_mismatch(
    msp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = member.read

    def renewed_meanwhile(path: Path) -> bytes:
        data = read(path)
        monkeypatch.setattr(member, "read", read)
        organisations.renew(msp, MSP, "pipeline")
        return data

    monkeypatch.setattr(member, "read", renewed_meanwhile)
    assert judged(msp, "pipeline").enrolment_id == "pipeline"


def test_who_is_here_is_told_to_whoever_looks_for_another(msp: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no user nobody") as refused:
        load_user(msp, MSP, "nobody")
    assert "admin, pipeline" in refused.value.hint
    assert "tally init" not in refused.value.hint
    with pytest.raises(InvalidInput, match="AuditorMSP") as refused:
        load_user(msp, "AuditorMSP", "admin")
    assert MSP in refused.value.hint
    with pytest.raises(InvalidInput, match="AuditorMSP") as refused:
        load_user(tmp_path / "empty", "AuditorMSP", "admin")
    assert "tally init" in refused.value.hint


def test_users_keys_and_authorities_keys_are_refused_where_others_may_read_them(msp: Path) -> None:
    user, authority = msp / MSP / "users/admin/keystore/key.pem", msp / MSP / "ca/key.pem"
    user.chmod(0o640)
    with pytest.raises(CouldNotCheck, match="others"):
        load_user(msp, MSP, "admin")
    authority.chmod(0o644)
    with pytest.raises(CouldNotCheck, match="others") as refused:
        Authority.load(msp / MSP)
    assert "chmod 600" in refused.value.hint
    user.chmod(0o600)
    assert load_user(msp, MSP, "admin")
