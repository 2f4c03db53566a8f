"""Identities from MSP directories and from PEM."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from fakes.fabric_gateway import HALF_ORDER
from support import certificates

from tallystick import identity
from tallystick.ledger.fabric import ConfigurationError, Member
from tallystick.ledger.fabric.identity import MOST, read_file


@pytest.fixture
def msp(keys: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(keys.msp, tmp_path / "msp"))


def pem(key: Any) -> bytes:
    return bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def test_a_signature_holds_and_is_low(keys: Any) -> None:
    public = x509.load_pem_x509_certificate(keys.member.certificate_pem).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    for number in range(50):
        data = b"%d" % number
        signature = keys.member.sign(data)
        assert decode_dss_signature(signature)[1] <= HALF_ORDER
        public.verify(signature, data, ec.ECDSA(hashes.SHA256()))


def test_it_is_the_same_creator_as_the_houses_own_identity(keys: Any) -> None:
    ours = identity.Identity.load(keys.msp, "OperatorMSP")
    assert keys.member.serialised == ours.serialised


def test_from_pem_is_the_same_as_from_a_directory(keys: Any, msp: Path) -> None:
    certificate = (msp / "signcerts" / "cert.pem").read_bytes()
    key = (msp / "keystore" / "key.pem").read_bytes()
    assert Member.from_pem("OperatorMSP", certificate, key).serialised == keys.member.serialised
    assert "PRIVATE" not in repr(keys.member)


def test_of_a_file_that_holds_more_only_the_certificate_is_sent(keys: Any, msp: Path) -> None:
    """Our contracts read an identity in its one spelling."""
    path = msp / "signcerts" / "cert.pem"
    plain = path.read_bytes()
    path.write_bytes(b"Certificate:\n    Data:\n" + plain.replace(b"\n", b"\r\n") + certificates.root())
    assert Member.from_msp(msp, "OperatorMSP").serialised == keys.member.serialised


def test_whatever_the_files_are_called(msp: Path, keys: Any) -> None:
    (msp / "keystore" / "key.pem").rename(msp / "keystore" / "priv_sk")
    (msp / "keystore" / ".hidden").write_text("x")
    assert Member.from_msp(msp, "OperatorMSP").serialised == keys.member.serialised


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda msp: shutil.rmtree(msp / "keystore"), "keystore is missing"),
        (lambda msp: (msp / "keystore" / "key.pem").unlink(), "holds 0 files"),
        (lambda msp: shutil.copy(msp / "keystore" / "key.pem", msp / "keystore" / "two"), "holds 2 files"),
        (lambda msp: (msp / "keystore" / "key.pem").chmod(0o644), "can be read by others"),
        (lambda msp: (msp / "keystore" / "key.pem").write_text("x"), "is not PEM"),
        (lambda msp: (msp / "signcerts" / "cert.pem").write_bytes(b"\xff"), "is not PEM"),
        (
            lambda msp: (msp / "keystore" / "key.pem").write_bytes(pem(certificates.KEYS["other"])),
            "does not belong",
        ),
        (
            lambda msp: (shutil.rmtree(msp / "signcerts"), (msp / "signcerts").write_text("")),
            "cannot be read",
        ),
    ],
)
def test_what_cannot_be_used_is_said(msp: Path, spoil: Any, said: str) -> None:
    spoil(msp)
    with pytest.raises(ConfigurationError, match=said):
        Member.from_msp(msp, "OperatorMSP")


def test_a_key_of_another_kind_is_refused() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    certificate = certificates.member(key=key)
    with pytest.raises(ConfigurationError, match="P-256"):
        Member.from_pem("OperatorMSP", certificate, pem(key))


def test_only_a_regular_file_is_read_and_nobody_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", tmp_path / "link", tmp_path):
        with pytest.raises(ConfigurationError, match=f"{path} cannot be read: it is not a regular file"):
            read_file(path)


def test_a_file_is_read_up_to_a_bound_also_through_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to(path)
    path.write_bytes(b"x" * MOST)
    assert read_file(link) == path.read_bytes()
    path.write_bytes(b"x" * (MOST + 1))
    with pytest.raises(ConfigurationError, match=r"cannot be read: it is longer than 1,048,576 bytes"):
        read_file(link)


def test_a_name_that_no_file_can_have_is_said(tmp_path: Path) -> None:
    for name in ("a\0b", "\ud800", "x" * 300):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            read_file(tmp_path / name)
