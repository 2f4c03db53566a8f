"""The keys of a network: two authorities for each organisation, and nothing secret where others read."""

from __future__ import annotations

import ipaddress
import json
import stat
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tallystick.identity import load_user
from tallystick.network.certificates import make_certificates, write_connection
from tallystick.network.layout import ORDERER_MSP, ORGANISATIONS, Layout
from tallystick.proof.membership import Membership, Msp

SPKI = PublicFormat.SubjectPublicKeyInfo


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("network"), "raft3", 20_000)
    make_certificates(made)
    return made


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_keys_are_their_owners_alone(layout: Layout) -> None:
    keys = list(layout.root.rglob("key.pem"))
    # Two authorities and their users' two keys each; two keys a node, one a chaincode server.
    assert len(keys) == 4 * 2 + 7 * 2 + 6 * 2 + 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}


def test_what_the_channel_is_told_of_an_organisation_holds_no_key(layout: Layout) -> None:
    for msp_id in (*(organisation.msp_id for organisation in ORGANISATIONS), ORDERER_MSP):
        files = {path.relative_to(layout.msp(msp_id)).as_posix() for path in layout.msp(msp_id).rglob("*.*")}
        assert files == {"cacerts/ca.pem", "tlscacerts/ca.pem", "config.yaml"}
        units = yaml.safe_load((layout.msp(msp_id) / "config.yaml").read_text())["NodeOUs"]
        assert units["Enable"] is True
        assert units["PeerOUIdentifier"]["OrganizationalUnitIdentifier"] == "peer"


def test_members_and_tls_are_certified_by_different_authorities(layout: Layout) -> None:
    roots = [
        certificate(layout.msp(organisation.msp_id) / folder / "ca.pem")
        for organisation in ORGANISATIONS
        for folder in ("cacerts", "tlscacerts")
    ]
    assert len({root.subject for root in roots}) == 6
    assert len({root.public_key().public_bytes(Encoding.DER, SPKI) for root in roots}) == 6
    node = layout.node("peer-operator")
    signer, tls = certificate(node / "msp/signcerts/cert.pem"), certificate(node / "tls/cert.pem")
    signer.verify_directly_issued_by(roots[0])
    tls.verify_directly_issued_by(roots[1])
    with pytest.raises(ValueError, match="Issuer"):
        tls.verify_directly_issued_by(roots[0])


def test_a_server_is_certified_for_this_machine_alone(layout: Layout) -> None:
    names = certificate(layout.node("orderer1") / "tls/cert.pem").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost"]


def test_users_are_members_with_their_roles(layout: Layout) -> None:
    roots = (layout.msp("OperatorMSP") / "cacerts/ca.pem").read_bytes()
    user = load_user(layout.organisations, "OperatorMSP", "pipeline")
    now = int(
        certificate(
            layout.user("OperatorMSP", "pipeline") / "signcerts/cert.pem"
        ).not_valid_before_utc.timestamp()
    )
    member = Membership([Msp("OperatorMSP", (roots,))]).judge(user.serialised, now * 1000)
    assert (member.enrolment_id, member.roles) == ("pipeline", {"pipeline"})


def test_a_peer_is_told_its_own_servers_certificate_and_shows_its_own(layout: Layout) -> None:
    peer = layout.peers[1]
    path = write_connection(layout, peer)
    told = json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert told["address"] == f"127.0.0.1:{peer.server_port}"
    assert (told["tls_required"], told["client_auth_required"]) == (True, True)
    assert told["client_cert"] == (layout.node(peer.name) / "tls/cert.pem").read_text()
    assert told["root_cert"] == (layout.node(peer.server) / "tls/cert.pem").read_text()
