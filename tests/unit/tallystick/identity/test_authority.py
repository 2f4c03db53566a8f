"""Issuing and holding identities: modes, refusals, and signatures that the judgement accepts."""

from __future__ import annotations

import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tallystick import identity
from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.identity import Authority, Identity
from tallystick.proof.errors import NotProven
from tallystick.proof.membership import P256_ORDER, Member, Membership


def now_ms() -> int:
    return int(time.time() * 1000)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create("OperatorMSP", tmp_path / "OperatorMSP")


def test_an_issued_member_signs_and_is_judged(authority: Authority) -> None:
    member = authority.issue("pipeline", ("admin", "pipeline"))
    membership = Membership([identity.load_msp(authority.directory)])
    judged = membership.verify(member.serialised, member.sign(b"data"), b"data", now_ms())
    assert judged == Member("OperatorMSP", "pipeline", frozenset({"admin", "pipeline"}))


def test_every_signature_has_a_low_s(authority: Authority) -> None:
    member = authority.issue("pipeline", ())
    assert all(decode_dss_signature(member.sign(bytes([n])))[1] <= P256_ORDER // 2 for n in range(64))


def test_an_organisation_is_made_whole_with_private_modes(tmp_path: Path) -> None:
    users = {"pipeline": ("pipeline",), "admin": ("admin",)}
    identity.create_organisation(tmp_path / "msp", "OperatorMSP", users)
    root = tmp_path / "msp" / "OperatorMSP"
    modes = {
        path.relative_to(root).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in root.rglob("*")
        if path.is_file()
    }
    assert modes == {
        "ca/key.pem": 0o600,
        "cacerts/ca.pem": 0o644,
        "crls/crl.pem": 0o644,
        **{f"users/{name}/signcerts/cert.pem": 0o644 for name in users},
        **{f"users/{name}/keystore/key.pem": 0o600 for name in users},
    }
    directories = [tmp_path / "msp", root, *(path for path in root.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in directories} == {0o700}
    assert [path.name for path in (tmp_path / "msp").iterdir()] == ["OperatorMSP"]

    loaded = identity.load_user(tmp_path / "msp", "OperatorMSP", "admin")
    judged = Membership([identity.load_msp(root)]).judge(loaded.serialised, now_ms())
    assert judged == Member("OperatorMSP", "admin", frozenset({"admin"}))


def test_nothing_is_overwritten(tmp_path: Path, authority: Authority) -> None:
    before = (authority.directory / "ca/key.pem").read_bytes()
    with pytest.raises(InvalidInput, match="already"):
        Authority.create("OperatorMSP", authority.directory)
    with pytest.raises(InvalidInput, match="already"):
        identity.create_organisation(authority.directory.parent, "OperatorMSP", {})
    member = authority.issue("pipeline", ())
    member.save(tmp_path / "user")
    with pytest.raises(InvalidInput, match="already"):
        member.save(tmp_path / "user")
    identity.generate_log_key(tmp_path / "keys" / "log.pem")
    with pytest.raises(InvalidInput, match="already"):
        identity.generate_log_key(tmp_path / "keys" / "log.pem")
    assert (authority.directory / "ca/key.pem").read_bytes() == before


def test_an_organisation_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="enrolment id"):
        identity.create_organisation(tmp_path, "OperatorMSP", {"good": (), "not/good": ()})
    assert list(tmp_path.iterdir()) == []


def test_authority_and_identity_come_back_from_disk(tmp_path: Path, authority: Authority) -> None:
    again = Authority.load(authority.directory)
    assert (again.msp_id, again.certificate) == ("OperatorMSP", authority.certificate)
    member = again.issue("auditor-1", ("reader",))
    member.save(tmp_path / "user")
    loaded = Identity.load(tmp_path / "user", "OperatorMSP")
    assert loaded.serialised == member.serialised
    Membership([identity.load_msp(authority.directory)]).verify(
        member.serialised, loaded.sign(b"x"), b"x", now_ms()
    )


def test_the_log_key_comes_back_from_disk(tmp_path: Path, authority: Authority) -> None:
    path = tmp_path / "keys" / "log.pem"
    key = identity.generate_log_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key.public_key().verify(identity.load_log_key(path).sign(b"head"), b"head")
    with pytest.raises(InvalidInput, match="Ed25519"):
        identity.load_log_key(authority.directory / "ca/key.pem")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "log.pem"
    identity.generate_log_key(path)
    path.chmod(mode)
    with pytest.raises(CouldNotCheck, match="others") as caught:
        identity.load_log_key(path)
    assert f"chmod 600 {path}" in caught.value.hint
    path.chmod(0o400)
    assert identity.load_log_key(path)


def test_damaged_files_are_named(tmp_path: Path, authority: Authority) -> None:
    authority.issue("pipeline", ()).save(tmp_path / "user")
    key, certificate = tmp_path / "user/keystore/key.pem", tmp_path / "user/signcerts/cert.pem"
    good_key, good_certificate = key.read_bytes(), certificate.read_bytes()

    key.write_bytes(good_key[:60])
    with pytest.raises(InvalidInput, match=r"key\.pem is not a private key"):
        Identity.load(tmp_path / "user", "OperatorMSP")
    key.write_bytes(
        authority.issue("other", ()).key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    with pytest.raises(InvalidInput, match="does not belong"):
        Identity.load(tmp_path / "user", "OperatorMSP")
    key.write_bytes(good_key)
    certificate.write_bytes(good_certificate[:60])
    with pytest.raises(InvalidInput, match=r"cert\.pem is not a certificate"):
        Identity.load(tmp_path / "user", "OperatorMSP")
    certificate.unlink()
    with pytest.raises(InvalidInput, match=r"cert\.pem is missing"):
        Identity.load(tmp_path / "user", "OperatorMSP")
    certificate.mkdir()
    with pytest.raises(CouldNotCheck, match=r"cert\.pem"):
        Identity.load(tmp_path / "user", "OperatorMSP")
    with pytest.raises(InvalidInput, match="cacerts"):
        identity.load_msp(tmp_path / "user")


def test_no_repr_shows_a_key(tmp_path: Path, authority: Authority) -> None:
    member = authority.issue("pipeline", ())
    member.save(tmp_path)
    secret = (tmp_path / "keystore/key.pem").read_text().splitlines()[1]
    assert repr(member) == "Identity(msp_id='OperatorMSP')"
    assert repr(authority) == f"Authority(msp_id='OperatorMSP', directory={authority.directory!r})"
    assert secret not in repr(member) + repr(authority)


def test_revocation_is_kept_and_numbered(authority: Authority) -> None:
    first, second, third = (authority.issue(name, ()) for name in ("a", "b", "c"))
    authority.revoke([first.certificate_pem])
    serial = x509.load_pem_x509_certificate(second.certificate_pem).serial_number
    pem = Authority.load(authority.directory).revoke([serial, first.certificate_pem])
    crl = x509.load_pem_x509_crl(pem)
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 3
    assert len(list(crl)) == 2
    assert (authority.directory / "crls/crl.pem").read_bytes() == pem
    membership = Membership([identity.load_msp(authority.directory)])
    for member in (first, second):
        with pytest.raises(NotProven, match="revoked"):
            membership.judge(member.serialised, now_ms())
    assert membership.judge(third.serialised, now_ms()).enrolment_id == "c"


def test_a_revocation_list_names_its_authority(authority: Authority) -> None:
    own = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    for pem in ((authority.directory / "crls/crl.pem").read_bytes(), authority.revoke([7])):
        extensions = x509.load_pem_x509_crl(pem).extensions
        named = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
        assert (named.value.key_identifier, named.critical) == (own, False)


def test_a_list_of_before_lists_named_their_authority_counts_and_is_made_anew(authority: Authority) -> None:
    member = authority.issue("a", ())
    serial = x509.load_pem_x509_certificate(member.certificate_pem).serial_number
    now = datetime.now(UTC)
    old = (
        x509.CertificateRevocationListBuilder(authority.certificate.subject, now, now + timedelta(days=1))
        .add_revoked_certificate(x509.RevokedCertificateBuilder(serial, now).build())
        .add_extension(x509.CRLNumber(2), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    path = authority.directory / "crls/crl.pem"
    path.write_bytes(old.public_bytes(Encoding.PEM))
    with pytest.raises(NotProven, match="revoked"):
        Membership([identity.load_msp(authority.directory)]).judge(member.serialised, now_ms())
    anew = x509.load_pem_x509_crl(authority.revoke([serial]))
    assert [entry.serial_number for entry in anew] == [serial]
    assert anew.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)


def test_only_its_own_certificates_are_revoked(tmp_path: Path, authority: Authority) -> None:
    other = Authority.create("AuditorMSP", tmp_path / "AuditorMSP").issue("a", ())
    before = (authority.directory / "crls/crl.pem").read_bytes()
    with pytest.raises(InvalidInput, match="not issued by"):
        authority.revoke([other.certificate_pem])
    assert (authority.directory / "crls/crl.pem").read_bytes() == before


@pytest.mark.parametrize(("enrolment_id", "roles"), [("", ()), ("a b", ()), ("ok", ("a,b",)), ("ok", ("",))])
def test_names_that_are_none_are_refused(
    authority: Authority, enrolment_id: str, roles: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidInput, match="not a name"):
        authority.issue(enrolment_id, roles)


def test_a_certificate_must_not_end_before_it_starts(authority: Authority) -> None:
    now = datetime.now(UTC)
    with pytest.raises(InvalidInput, match="before it starts"):
        authority.issue("a", (), not_before=now, not_after=now - timedelta(hours=1))


def test_members_do_not_outlive_their_authority(tmp_path: Path) -> None:
    start = datetime.now(UTC) - timedelta(days=3600)
    old = Authority.create("OldMSP", tmp_path / "OldMSP", not_before=start)
    certificate = x509.load_pem_x509_certificate(old.issue("a", ()).certificate_pem)
    assert certificate.not_valid_after_utc == old.certificate.not_valid_after_utc


def test_an_authority_that_has_ended_issues_no_more(tmp_path: Path) -> None:
    start = datetime.now(UTC) - timedelta(days=3654)
    old = Authority.create("OldMSP", tmp_path / "OldMSP", not_before=start)
    with pytest.raises(InvalidInput, match="ended") as refused:
        old.issue("a", ())
    assert "stays valid" in refused.value.hint


def test_revoking_again_makes_no_other_list(authority: Authority) -> None:
    member = authority.issue("a", ())
    first = authority.revoke([member.certificate_pem])
    assert authority.revoke([member.certificate_pem]) == first
