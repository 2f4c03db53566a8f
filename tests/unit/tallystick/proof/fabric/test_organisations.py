"""Whom an organisation counts among its members, and as what."""

from __future__ import annotations

import pytest
from fabric_protos.msp import msp_config_pb2
from support.msp import NOW, Authority, identity, organisation

from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.fabric.identities import ADMIN, CLIENT, MEMBER, PEER, Members, Organisation
from tallystick.proof.fabric.proposer import judge_proposer
from tallystick.proof.membership import NotInForce


def test_an_intermediate_authority_counts_where_the_organisation_names_it() -> None:
    root = Authority("a")
    below = Authority("below", root)
    _, pem = below.issue("client", "client")
    with pytest.raises(NotProven, match="not issued by an authority"):
        organisation(root).examine(pem)
    named = organisation(root, nodes=False, intermediate_certs=[below.pem])
    assert named.examine(pem).problem == ""
    stranger = organisation(Authority("b"), nodes=False, intermediate_certs=[below.pem])
    with pytest.raises(NotProven, match="is not followed here"):
        stranger.examine(pem)
    # The node types' units are the root's own here, and this client's are not.
    typed = organisation(root, intermediate_certs=[below.pem])
    assert typed.examine(pem).problem == "not of exactly one type of node"


def test_a_revoked_certificate_is_nobodys_and_only_its_own_authority_revokes() -> None:
    root, other = Authority("a"), Authority("a")
    _, pem = root.issue("client", "client")
    assert organisation(root, revocation_list=[root.crl(7)]).examine(pem).problem == "revoked"
    for harmless in (root.crl(8), other.crl(7)):
        assert organisation(root, revocation_list=[harmless]).examine(pem).problem == ""
    # So says Fabric: a list that names no authority makes every certificate of the organisation invalid.
    anonymous = organisation(root, revocation_list=[root.crl(8, names_authority=False)])
    assert "names no authority" in anonymous.examine(pem).problem


@pytest.mark.parametrize("units", [(), ("client", "peer"), ("clerk",)])
def test_a_member_is_of_exactly_one_type_of_node(units: tuple[str, ...]) -> None:
    authority = Authority("a")
    found = organisation(authority).examine(authority.issue("who", *units)[1])
    assert found.problem == "not of exactly one type of node"
    assert not organisation(authority).has_role(found, MEMBER)
    without = organisation(authority, nodes=False)
    plain = without.examine(authority.issue("who", *units)[1])
    assert without.has_role(plain, MEMBER)
    assert not without.has_role(plain, PEER)


def test_an_admin_is_one_by_unit_or_by_name() -> None:
    authority = Authority("a")
    _, named = authority.issue("named", "client")
    _, unit = authority.issue("unit", "admin")
    _, plain = authority.issue("plain", "client")
    made = organisation(authority, admins=[named])
    expected = {named: True, unit: True, plain: False}
    assert {pem: made.has_role(made.examine(pem), ADMIN) for pem in expected} == expected
    assert made.has_role(made.examine(named), CLIENT)


def test_an_authority_and_a_critical_extension_make_no_member() -> None:
    authority = Authority("a")
    made = organisation(authority)
    assert made.examine(authority.pem).problem == "an authority's, not a member's"
    _, pem = authority.issue("who", "client", critical=True)
    with pytest.raises(NotProven, match="has a critical extension that is not understood"):
        made.examine(pem)


def test_a_certificate_counts_for_contracts_only_within_its_time() -> None:
    authority = Authority("a")
    proposer = identity(authority.issue("who", "client")[1])
    first = int(NOW.timestamp()) * 1000
    last = first + 30 * 86_400_000
    for time in (first, last):
        assert judge_proposer(proposer, time).msp_id == "AMSP"
    for time, code in ((first - 1, "NOT_YET_VALID"), (last + 1, "EXPIRED")):
        with pytest.raises(NotInForce) as caught:
            judge_proposer(proposer, time)
        assert caught.value.code == code


def test_an_organisation_is_one_however_two_groups_spell_it() -> None:
    authority = Authority("a")
    config = msp_config_pb2.FabricMSPConfig(name="AMSP", root_certs=[authority.pem])
    data = msp_config_pb2.MSPConfig(config=config.SerializeToString()).SerializeToString()
    members = Members([Organisation(data), Organisation(b"\x08\x00" + data)])
    assert members.examine(identity(authority.issue("who", "client")[1])).problem == ""


def test_an_organisation_without_a_root_has_no_members_and_none_is_named_twice() -> None:
    authority = Authority("a")
    _, pem = authority.issue("who", "client")
    no_root = msp_config_pb2.FabricMSPConfig(name="AMSP").SerializeToString()
    leaf = msp_config_pb2.FabricMSPConfig(name="AMSP", root_certs=[pem]).SerializeToString()
    for config in (no_root, leaf):
        made = Organisation(msp_config_pb2.MSPConfig(config=config).SerializeToString())
        assert made.unfollowed
        with pytest.raises(NotProven, match="AMSP, which is not followed here"):
            made.examine(pem)
    with pytest.raises(Malformed, match="named twice"):
        Members([organisation(authority), organisation(Authority("b"))])
