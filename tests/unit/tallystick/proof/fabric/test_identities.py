"""Which certificate a peer judges in an identity, and what becomes of identities that are no plain ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2, msp_config_pb2
from fabric_protos.peer import proposal_response_pb2, transaction_pb2
from support import certificates as certs
from support import creators, fabric_signed
from support.fabric_blocks import stored
from support.fabric_signed import judge, plain

from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.fabric import policies
from tallystick.proof.fabric.endorsements import definition_of
from tallystick.proof.fabric.identities import Identity, Members, Organisation
from tallystick.proof.fabric.judged import JudgedTransaction, judge_content
from tallystick.proof.fabric.pem import first_block
from tallystick.proof.fabric.validity import Found, _alone
from tallystick.proof.protobuf import bytes_field

#: What Decode of Go 1.26 finds; None for nothing.
BLOCKS: dict[bytes, bytes | None] = {
    b"-----BEGIN A-----\nQUJD\n-----END A-----\n": b"ABC",
    b"-----BEGIN A-----\nQUJD\n-----END A-----": b"ABC",
    b"-----BEGIN A----- \t\r\nQU\r\n JD\n-----END A-----\t\r\n": b"ABC",
    b"text\n-----BEGIN A-----\nQUJD\n-----END A-----\n-----BEGIN B-----\nQUI=\n-----END B-----\n": b"ABC",
    b"-----BEGIN A-----\nk: v\n\nQUJD\n-----END A-----\n": b"ABC",
    b"-----BEGIN B-----\n-----BEGIN A-----\nQUJD\n-----END A-----\n": b"ABC",
    b"-----BEGIN B-----\nQUI\n-----END B-----\n-----BEGIN A-----\nQUJD\n-----END A-----\n": b"ABC",
    b"-----BEGIN A-----\n-----END A-----\n": b"",
    b"text-----BEGIN A-----\nQUJD\n-----END A-----\n": None,
    b"-----BEGIN A-----\nQUJD\n-----END B-----\n": None,
    b"-----BEGIN A-----\nQUJD\n-----END A-----text\n": None,
    b"-----BEGIN A-----\nQUJD=\n-----END A-----\n": None,
    b"-----BEGIN A----\nQUJD\n-----END A----\n": None,
    b"-----BEGIN A-----\nQUJD\n": None,
    b"-----BEGIN A:-----\nk: v\n-----END A:-----\n": None,
    b"": None,
}


@pytest.mark.parametrize(("data", "content"), BLOCKS.items())
def test_the_first_block_is_the_one_that_a_peer_finds(data: bytes, content: bytes | None) -> None:
    if content is None:
        with pytest.raises(Malformed):
            first_block(data)
    else:
        assert first_block(data) == content


_CONFIG = msp_config_pb2.FabricMSPConfig(name=creators.MSP, root_certs=[certs.root()])
MSP = msp_config_pb2.MSPConfig(config=_CONFIG.SerializeToString()).SerializeToString()


@pytest.fixture
def members() -> Members:
    return Members([Organisation(MSP)])


@pytest.mark.parametrize("name", [b"WHATEVER", b"CERTIFICATE"])
def test_the_first_certificate_is_judged_whatever_it_is_called(members: Members, name: bytes) -> None:
    first = creators.called(creators.OWN, name)
    plain = members.examine(creators.serialised(creators.OWN))
    found = members.examine(creators.serialised(first + creators.INVENTED))
    assert (found.name, found.problem) == (plain.name, "")
    with pytest.raises(NotProven, match="not issued by"):
        members.examine(creators.serialised(creators.INVENTED + first))


@pytest.mark.parametrize("what", ["no certificate", "DER", "nothing", "no message"])
def test_an_endorsement_by_what_cannot_be_read_is_passed_over(members: Members, what: str) -> None:
    unread = policies.Signed(creators.REFUSED[what], b"data", b"signature")
    read = policies.Signed(creators.serialised(creators.OWN), b"data", b"signature")
    with patch.object(Identity, "signed", lambda *_: True):
        (found,) = policies.signers(members, [unread, read])
    assert found.certificate.serial == 7


@pytest.mark.parametrize("what", ["a name of X.400", "an unknown feature of TLS"])
def test_an_extension_that_nobody_has_to_read_spoils_no_certificate(members: Members, what: str) -> None:
    assert members.examine(creators.REFUSED[what]).problem == ""


def respelt(data: bytes, outer: Any, inner: Any, *, endorsed: bool) -> bytes:
    """An envelope whose creator, and who was endorsed, are spelt anew; everything else fits again."""
    envelope = common_pb2.Envelope.FromString(data)
    payload = common_pb2.Payload.FromString(envelope.payload)
    signature = common_pb2.SignatureHeader.FromString(payload.header.signature_header)
    transaction = transaction_pb2.Transaction.FromString(payload.data)
    action = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)
    channel = common_pb2.ChannelHeader.FromString(payload.header.channel_header)

    inside = common_pb2.SignatureHeader(nonce=signature.nonce, creator=inner(signature.creator))
    signature.creator = outer(signature.creator)
    channel.tx_id = hashlib.sha256(signature.nonce + signature.creator).hexdigest()
    payload.header.channel_header = channel.SerializeToString()
    payload.header.signature_header = signature.SerializeToString()
    transaction.actions[0].header = inside.SerializeToString()
    asked = payload.header.channel_header + transaction.actions[0].header + action.chaincode_proposal_payload
    answer = proposal_response_pb2.ProposalResponsePayload.FromString(action.action.proposal_response_payload)
    answer.proposal_hash = hashlib.sha256(asked).digest()
    action.action.proposal_response_payload = answer.SerializeToString()
    if not endorsed:
        del action.action.endorsements[:]
    transaction.actions[0].payload = action.SerializeToString()
    payload.data = transaction.SerializeToString()
    envelope.payload = payload.SerializeToString()
    return bytes(envelope.SerializeToString())


def as_it_is(creator: bytes) -> bytes:
    return creator


def with_another_behind(creator: bytes) -> bytes:
    identity = identities_pb2.SerializedIdentity.FromString(creator)
    identity.id_bytes = creators.called(identity.id_bytes, b"WHATEVER") + creators.INVENTED
    return bytes(identity.SerializeToString())


def with_a_field_more(creator: bytes) -> bytes:
    return creator + bytes_field(15, b"more")


@pytest.fixture
def every_signature_is_right() -> Iterator[None]:
    with patch.object(Identity, "signed", lambda *_: True):
        yield


def judged(outer: Any, inner: Any, *, endorsed: bool) -> tuple[Found, Any]:
    """A transaction spelt anew: what is found of it, and how its content is judged."""
    network = stored("raft")
    channel = network.channel_before("batch")
    data = common_pb2.Block.FromString(network["batch"]).data.data[0]
    found = _alone(respelt(data, outer, inner, endorsed=endorsed), channel.rules, channel._state, set())
    definition = definition_of("tallystick", channel._state)
    assert definition is not None

    def content() -> JudgedTransaction:
        return judge_content(found, 0, "tallystick", definition.version, 1)

    return found, content


@pytest.mark.usefixtures("every_signature_is_right")
class TestOurs:
    def test_one_that_is_spelt_as_it_has_to_be_counts(self) -> None:
        found, content = judged(as_it_is, as_it_is, endorsed=True)
        assert found.code == "VALID"
        assert content().call.caller.enrolment_id == "pipeline"

    @pytest.mark.parametrize(
        ("spelling", "named"),
        [(with_another_behind, "more than the certificate in its plain form"),
         (with_a_field_more, "bytes after the last field")],
    )  # fmt: skip
    def test_one_that_counts_though_its_proposer_is_no_plain_one_is_named(
        self, spelling: Any, named: str
    ) -> None:
        found, content = judged(spelling, spelling, endorsed=True)
        assert found.code == "VALID"
        with pytest.raises(Malformed, match=named):
            content()

    def test_one_that_was_endorsed_for_another_signer_is_named(self) -> None:
        found, content = judged(as_it_is, with_a_field_more, endorsed=True)
        assert found.code == "VALID"
        with pytest.raises(NotProven, match="endorsed for another signer"):
            content()

    @pytest.mark.parametrize("inner", [with_another_behind, as_it_is])
    def test_one_that_does_not_count_stops_nobody(self, inner: Any) -> None:
        found, content = judged(with_another_behind, inner, endorsed=False)
        assert found.code == "ENDORSEMENT_POLICY_FAILURE"
        assert (content().verdict, content().call) == (found.code, None)


UNFOLLOWED = {
    "of no root": b"",
    "of an unknown hash": bytes_field(8, bytes_field(2, b"MD5")),
    "of a list that is none": bytes_field(5, b"\xff"),
    "of an authority that is none": bytes_field(2, creators.OWN),
}


@pytest.mark.parametrize("what", UNFOLLOWED)
def test_an_organisation_that_cannot_be_followed_stops_no_other(what: str) -> None:
    made = fabric_signed._msp

    def odd(name: str) -> bytes:
        return made(name) if name != "AuditorMSP" else bytes_field(1, name.encode()) + UNFOLLOWED[what]

    auditor, operator, regulator = plain().endorsers
    cases = [((regulator, operator), b"1", 0), ((regulator, auditor), b"2", 10)]
    sent = [(replace(plain(), endorsers=by, nonce=nonce), flag) for by, nonce, flag in cases]
    with patch.object(fabric_signed, "_msp", odd):
        (block,) = judge(sent)
    assert [each.verdict for each in block.transactions] == ["VALID", "ENDORSEMENT_POLICY_FAILURE"]


def test_an_msp_of_another_kind_has_no_members() -> None:
    config = msp_config_pb2.IdemixMSPConfig(name="IdemixMSP", ipk=b"key").SerializeToString()
    made = Organisation(msp_config_pb2.MSPConfig(type=1, config=config).SerializeToString())
    assert (made.msp_id, made.roots, made.revoked) == ("IdemixMSP", (), ())
    with pytest.raises(NotProven, match=r"IdemixMSP, which is not followed here: MSP: not of X\.509"):
        made.examine(creators.OWN)


@pytest.mark.parametrize(
    ("network", "block", "counts"), [("bft", "revocation", True), ("raft", "batch", False)]
)
def test_ed25519_counts_since_fabrics_third(network: str, block: str, counts: bool) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    client = creators.serialised(certs.member(creators.EXTENSIONS, key=key))
    made = stored(network).channel_before(block).rules._organisation(MSP)
    assert (not Members([made]).examine(client).problem) is counts


def test_an_orderer_whom_nobody_certifies_any_more_spoils_no_block() -> None:
    # The first one did not sign this block; a quorum of all four did.
    channel = stored("bft").channel_before("revocation")
    consenters = {**channel.rules.consenters, 1: creators.serialised(creators.OWN, "OrdererMSP")}
    with patch.dict(vars(channel.rules), consenters=consenters):
        channel.judge(stored("bft")["revocation"])
    assert channel.height == stored("bft").names["revocation"] + 1
