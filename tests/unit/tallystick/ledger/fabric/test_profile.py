"""Profiles: what is right is read, and what is not is refused with its line and a hint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from fakes.fabric_gateway import CHAINCODE, FakePeer

from tallystick.ledger.fabric import ConfigurationError, load_profile, profile_path

TEXT = """\
channel: audit
chaincode: ledger
msp_id: OperatorMSP
identity: msp
client_certificate: client.pem
client_key: client.key
peers:
  - address: {address}
    tls_roots: roots.pem
  - address: peer.example:7051
    tls_roots: roots.pem
    host_name: localhost
"""


@pytest.fixture
def directory(tmp_path: Path, keys: Any) -> Path:
    (tmp_path / "msp").symlink_to(keys.msp)
    (tmp_path / "roots.pem").write_bytes(keys.tls_root)
    (tmp_path / "client.pem").write_bytes(keys.client.certificate)
    (tmp_path / "client.key").write_bytes(keys.client.key)
    (tmp_path / "client.key").chmod(0o600)
    return tmp_path


def write(directory: Path, text: str = TEXT, address: str = "127.0.0.1:7051") -> Path:
    path = directory / "profile.yaml"
    path.write_text(text.replace("{address}", address))
    return path


def test_a_profile_leads_to_its_network(directory: Path, peers: list[FakePeer]) -> None:
    profile = load_profile(write(directory, address=peers[0].address))
    assert (profile.channel, profile.chaincode, profile.msp_id) == ("audit", "ledger", "OperatorMSP")
    assert [peer.host_name for peer in profile.peers] == ["", "localhost"]
    with profile.connect() as connections:
        gateway = profile.gateway(connections)
        proposal = gateway.propose(CHAINCODE, [b"get"], time_ms=0)
        assert gateway.evaluate(proposal) == b"get"


def test_identity_and_client_pair_may_be_left_out(directory: Path) -> None:
    lines = [line for line in TEXT.splitlines() if not line.startswith(("identity", "client_"))]
    profile = load_profile(write(directory, "\n".join(lines)))
    assert (profile.identity, profile.client) == (None, None)
    with pytest.raises(ConfigurationError, match="names no identity"):
        profile.member()


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("chaincode:", "chaincod:", 2, 'unknown key "chaincod"\nDid you mean chaincode?'),
        ("    host_name:", "    hostname:", 12, 'unknown key "hostname"\nDid you mean host_name?'),
        ("channel:", "zzz:", 1, 'unknown key "zzz"\nA profile has: channel, chaincode'),
        ("channel: audit\n", "", 1, '"channel" is missing'),
        ("    tls_roots: roots.pem\n  -", "  -", 8, '"tls_roots" is missing'),
        ("msp_id: OperatorMSP", "msp_id: 12", 3, '"msp_id" must be text'),
        ("msp_id: OperatorMSP", "msp_id: [a]", 3, '"msp_id" must be text'),
        ("msp_id: OperatorMSP", "msp_id: ' '", 3, '"msp_id" must be text'),
        ("msp_id: OperatorMSP", "msp_id: X\nmsp_id: Y", 4, '"msp_id" is there twice'),
        ("? [a]", "", 1, ""),
        ("identity: msp", "identity: away", 4, "away is not a directory"),
        ("client_key: client.key", "client_key: away", 6, "away is missing"),
        ("client_key: client.key", "client_key: roots.pem", 6, "can be read by others"),
        ("client_certificate: client.pem", "client_certificate: roots.pem", 6, "does not belong"),
        ("client_certificate: client.pem", "client_certificate: profile.yaml", 5, "holds no certificate"),
        ("client_key: client.key\n", "", 1, "given together"),
        ("7051\n    tls_roots: roots.pem\n    h", "7051\n    tls_roots: msp\n    h", 11, "cannot be read"),
        ("peer.example:7051", "peer.example", 10, "is not host:port"),
        ("peer.example:7051", "peer.example:70510", 10, "is not host:port"),
        ("peer.example:7051", "grpcs://peer.example:7051", 10, "is not host:port"),
        ("client_certificate: client.pem", 'client_certificate: "a\\0b"', 5, "a control character"),
        ("tls_roots: roots.pem", 'tls_roots: "\\ud800"', 9, "a control character"),
        ("tls_roots: roots.pem", f"tls_roots: {'x' * 300}", 9, "cannot be read: File name too long"),
        ("identity: msp", f"identity: {'x' * 300}", 4, "is not a directory"),
        ("identity: msp", 'identity: "\\0"', 4, "a control character"),
        ("host_name: localhost", "host_name: {}", 12, '"host_name" must be text'),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    directory: Path, old: str, new: str, line: int, said: str
) -> None:
    if not said:
        old, new, said = "channel: audit", "? [a]\n: b", 'unknown key ""'
    assert old in TEXT
    path = write(directory, TEXT.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        load_profile(path)
    assert str(caught.value).startswith(f"{path}:{line}  ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("- a", "a profile is a list of"),
        ("a: [", "this is not YAML"),
        ("a: \x07", "this is not YAML"),
        ('a: "\\UFFFFFFFF"', "this is not YAML"),
        ("%YAML " + "1" * 5000 + ".1\n---\na: b", "this is not YAML"),
        ("[" * 5000, "it is nested too deep"),
        ("a: " + "{a: " * 5000, "it is nested too deep"),
        ("channel: a\nchaincode: b\nmsp_id: c\npeers: []\n", '"peers" must be a list'),
        ("channel: a\nchaincode: b\nmsp_id: c\npeers: [x]\n", "a peer is a list of"),
    ],
)
def test_what_is_no_profile_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load_profile(write(tmp_path, text))


def test_a_file_that_is_not_there_or_no_text_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is missing"):
        load_profile(tmp_path / "profile.yaml")
    (tmp_path / "profile.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigurationError, match="is not text"):
        load_profile(tmp_path / "profile.yaml")


def test_a_url_names_a_file() -> None:
    assert profile_path("fabric:///etc/a b/profile.yaml") == Path("/etc/a b/profile.yaml")
    for url in (
        "fabric://host/profile.yaml",
        "fabric:///",
        "sqlite:///etc/profile.yaml",
        "/etc/profile.yaml",
    ):
        with pytest.raises(ConfigurationError, match="names no profile"):
            profile_path(url)


def test_the_example_on_the_format_page_is_a_profile(tmp_path: Path, keys: Any) -> None:
    page = Path(__file__).parents[5] / "docs" / "formats" / "fabric-profile.md"
    path = tmp_path / "profile.yaml"
    path.write_text(page.read_text().split("```\n")[1])
    tls = tmp_path / "users" / "pipeline" / "tls"
    tls.mkdir(parents=True)
    (tls / "cert.pem").write_bytes(keys.client.certificate)
    (tls / "key.pem").write_bytes(keys.client.key)
    (tls / "key.pem").chmod(0o600)
    for name in ("operator", "regulator"):
        (tmp_path / f"{name}-tls-ca.pem").write_bytes(keys.tls_root)
    profile = load_profile(path)
    assert [peer.address for peer in profile.peers] == ["peer.operator.example:7051", "10.0.0.7:7051"]
    assert profile.identity == tmp_path / "users" / "pipeline"


def test_a_pipe_in_a_files_place_is_refused_with_its_line(directory: Path) -> None:
    os.mkfifo(directory / "pipe")
    path = write(directory, TEXT.replace("tls_roots: roots.pem", "tls_roots: pipe", 1))
    with pytest.raises(ConfigurationError, match=r"yaml:9  .*pipe cannot be read: it is not a regular"):
        load_profile(path)
    with pytest.raises(ConfigurationError, match="pipe cannot be read: it is not a regular"):
        load_profile(directory / "pipe")
