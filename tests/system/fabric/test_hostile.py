"""Organisations, clients and orderers' customers that lie, on a live network: refused, or detected.

docs/fabric-hostile.md lists what is tried where.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from fabric_protos.common import common_pb2, configtx_pb2, policies_pb2
from fabric_protos.peer import transaction_pb2
from support import creators, ledgers
from support.channels import begin_channel
from support.deadline import within
from support.fabric_changes import signed_update
from support.fabric_client import connected, evaluate, propose, submit, write_profile
from support.fabric_forger import BOTH, Forger, transaction_of
from support.fabric_network import Live
from support.fabric_vectors import sets

from chaincode import canonical
from tallystick.identity import Authority
from tallystick.ledger.fabric import CommitError, EndorseError, Gateway, SubmitError, blocks, height
from tallystick.network.configuration import server_command
from tallystick.network.layout import CHAINCODE
from tallystick.proof.errors import NotProven
from tallystick.proof.fabric.channel import Channel

REGISTER = "provenance:register_dataset"
AGREE = ("OperatorMSP", "RegulatorMSP")


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    with within(120):
        yield


@pytest.fixture
def gateway(live: Live, tmp_path: Path) -> Iterator[Gateway]:
    """Of the operator's pipeline, through the auditor's peer, which nobody here has altered."""
    with connected(write_profile(live, tmp_path / "profile.yaml", "auditor")) as connection:
        yield connection


def latest(gateway: Gateway, name: str) -> Any:
    return evaluate(gateway, "provenance:latest", {"kind": "dataset", "name": name})


def verdict(gateway: Gateway, envelope: Any) -> str:
    """What the peers made of a transaction."""
    try:
        gateway.block_of(transaction_of(envelope), seconds=10)
    except CommitError as error:
        return error.validation_code
    return "VALID"


def member(live: Live, directory: Path, **times: datetime) -> Path:
    """A new certificate of the operator's pipeline, as an MSP."""
    msp = directory / "msp"
    msp.mkdir(mode=0o700)
    authority = Authority.load(live.layout.organisations / "OperatorMSP")
    authority.issue("another", ("pipeline",), **times).save(msp)
    return msp


@pytest.fixture
def altered(live: Live) -> Iterator[Live]:
    """The operator runs contracts that approve of everything."""
    with live.served_badly("approves", "operator"):
        yield live


@pytest.mark.parametrize("through", ["operator", "regulator"])
@pytest.mark.parametrize("user", ["pipeline", "admin"])
def test_contracts_that_one_has_altered_change_nothing(
    altered: Live, gateway: Gateway, tmp_path: Path, through: str, user: str
) -> None:
    """What the others' contracts would allow (the pipeline's) and what they refuse (an administrator's)."""
    name = f"altered-{through}-{user}"
    request = ledgers.dataset(name=name)
    with (
        connected(write_profile(altered, tmp_path / "liar.yaml", through, user=user)) as liar,
        pytest.raises(EndorseError) as caught,
    ):
        liar.submit(lambda: propose(liar, REGISTER, request), organisations=AGREE)
    if user == "pipeline":
        assert "ProposalResponsePayloads do not match" in str(caught.value)
    else:
        assert caught.value.refusal is not None
        assert canonical.decode(caught.value.refusal.message.encode())["code"] == "FORBIDDEN"
    assert caught.value.transaction_id in str(caught.value)
    assert {reason.msp_id for reason in caught.value.reasons} <= {*AGREE}
    assert latest(gateway, name) == 0


def test_the_honest_two_go_on_without_the_altered_one(altered: Live, gateway: Gateway) -> None:
    request = ledgers.dataset(name="honest-two")
    gateway.submit(lambda: propose(gateway, REGISTER, request), organisations=("RegulatorMSP", "AuditorMSP"))
    assert latest(gateway, "honest-two") == 1


def test_a_server_of_another_package_endorses_nothing(live: Live, gateway: Gateway, tmp_path: Path) -> None:
    """It runs the right contracts; the peer was told of another package, and so would a changed one be."""
    other = {"CHAINCODE_ID": f"tallystick_other:{'0' * 64}"}
    with live.served_by(server_command(), "operator", env=other):
        profile = write_profile(live, tmp_path / "profile.yaml", "operator")
        with connected(profile) as own, pytest.raises(EndorseError) as caught:
            submit(own, REGISTER, ledgers.dataset(name="another-package"))
        assert "OperatorMSP" in str(caught.value)
        assert caught.value.hint
        assert submit(gateway, REGISTER, ledgers.dataset(name="others-package")).block
    assert latest(gateway, "another-package") == 0


@pytest.mark.parametrize("lie", ["signature", "write set", "one organisation twice", "operator and auditor"])
def test_what_was_not_endorsed_does_not_count(live: Live, gateway: Gateway, lie: str) -> None:
    liar, name = Forger(live), f"forged-{lie.replace(' ', '-')}"
    version, written = live.network.package, {CHAINCODE: sets({"provenance/forged": b'"1"'})}
    if lie == "signature":
        # The operator signs as the regulator.
        liar.peers["regulator"].key = liar.peers["operator"].key
        envelope = liar.forged(written, version=version)
    elif lie == "write set":
        honest = liar.endorsed(REGISTER, ledgers.dataset(name=name))
        envelope = liar.edited(honest, name.encode(), name[::-1].encode())
    elif lie == "one organisation twice":
        envelope = liar.forged(written, version=version, by=("operator", "operator"))
    else:
        envelope = liar.forged(written, version=version, by=("operator", "auditor"))
    liar.send(envelope)
    assert verdict(gateway, envelope) == "ENDORSEMENT_POLICY_FAILURE"
    assert (latest(gateway, name), latest(gateway, name[::-1])) == (0, 0)


def test_what_both_have_endorsed_counts(live: Live, gateway: Gateway) -> None:
    """The nearest to the lies above."""
    client = Forger(live)
    envelope = client.endorsed(REGISTER, ledgers.dataset(name="not-forged"), BOTH)
    client.send(envelope)
    assert verdict(gateway, envelope) == "VALID"
    assert latest(gateway, "not-forged") == 1


def test_a_transaction_that_is_sent_again_counts_once(live: Live, gateway: Gateway) -> None:
    client = Forger(live)
    envelope = client.endorsed(REGISTER, ledgers.dataset(name="replayed"))
    client.send(envelope)
    assert verdict(gateway, envelope) == "VALID"
    first = gateway.block_of(transaction_of(envelope))
    client.send(envelope, envelope)
    submit(gateway, REGISTER, ledgers.dataset(name="after-the-replay"))
    assert gateway.block_of(transaction_of(envelope)) == first
    flags = [
        flag
        for block in blocks(gateway, first, height(gateway, seconds=5) - 1, seconds=10)
        for envelope_again, flag in judged(block.raw)
        if envelope_again == envelope.SerializeToString()
    ]
    assert flags == ["VALID", "DUPLICATE_TXID", "DUPLICATE_TXID"]
    assert latest(gateway, "replayed") == 1


def judged(raw: bytes) -> list[tuple[bytes, str]]:
    """Each envelope of a block with the peer's verdict."""
    block = common_pb2.Block.FromString(raw)
    codes = transaction_pb2.TxValidationCode
    return [
        (envelope, codes.Name(flag))
        for envelope, flag in zip(block.data.data, block.metadata.metadata[2], strict=True)
    ]


@pytest.mark.parametrize(
    ("party", "user"), [("operator", "admin"), ("regulator", "reader"), ("auditor", "reader")]
)
def test_a_client_of_the_wrong_role_is_refused_by_every_endorser(live: Live, party: str, user: str) -> None:
    for endorser in ("operator", "regulator", "auditor"):
        request = ledgers.dataset(name="role")
        code, told = live.invoke(REGISTER, request, party, user, endorsers=(endorser,))
        assert code == 1
        assert "FORBIDDEN" in told


def test_a_certificate_behind_the_one_that_fabric_judged_makes_nobody_of_it(
    live: Live, gateway: Gateway
) -> None:
    """Fabric judges the first block of an identity, whatever it is called: here the administrator's own."""
    liar, pipeline = Forger(live, "operator", "admin"), Forger(live).signer
    own, another = (
        signer.certificate.public_bytes(serialization.Encoding.PEM) for signer in (liar.signer, pipeline)
    )
    liar.signer.identity = creators.serialised(creators.called(own, b"WHATEVER") + another, "OperatorMSP")
    everybody = ("operator", "regulator", "auditor")
    answers = liar.answers(liar.propose(REGISTER, ledgers.dataset(name="two-blocks")), everybody)
    assert [answer.response.status for answer in answers] == [400] * 3
    for answer in answers:
        assert canonical.decode(answer.response.message.encode())["code"] == "NOT_A_MEMBER"

    written = {CHAINCODE: sets({"provenance/two-blocks": b'"1"'})}
    envelope = liar.forged(written, version=live.network.package, by=("operator",))
    liar.send(envelope)
    with pytest.raises(CommitError) as caught:
        gateway.block_of(transaction_of(envelope), seconds=10)
    assert caught.value.validation_code == "ENDORSEMENT_POLICY_FAILURE", "the peers took the first block"
    channel = Channel("audit.example/live")
    for block in blocks(gateway, 0, caught.value.block, seconds=20):
        told = channel.judge(block.raw)
    assert "ENDORSEMENT_POLICY_FAILURE" in [each.verdict for each in told.transactions]


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_time_outside_the_window_is_endorsed_by_nobody(gateway: Gateway, minutes: int) -> None:
    claimed = time.time_ns() // 1_000_000 + minutes * 60_000
    arguments = [REGISTER.encode(), canonical.encode(ledgers.dataset(name="another-time"))]
    with pytest.raises(EndorseError, match=r"incorrect timestamp|CLOCK_SKEW"):
        gateway.submit(lambda: gateway.propose(CHAINCODE, arguments, time_ms=claimed))
    nearly = claimed - (1 if minutes > 0 else -1) * 90_000
    assert gateway.endorse(gateway.propose(CHAINCODE, arguments, time_ms=nearly))


def test_a_certificate_that_expires_after_the_endorsement_sends_nothing(live: Live, tmp_path: Path) -> None:
    ends = (datetime.now(UTC) + timedelta(seconds=4)).replace(microsecond=0)
    msp = member(live, tmp_path, not_after=ends)
    with connected(write_profile(live, tmp_path / "profile.yaml", identity=str(msp))) as gateway:
        endorsed = gateway.endorse(propose(gateway, REGISTER, ledgers.dataset(name="expires")))
        time.sleep(max(0.0, (ends - datetime.now(UTC)).total_seconds()) + 1.1)
        began = time.monotonic()
        with pytest.raises(SubmitError, match="expired") as caught:
            gateway.commit(endorsed)
        assert time.monotonic() - began < 5, "it is not tried again"
        assert not caught.value.outcome_unknown
        assert caught.value.transaction_id == endorsed.transaction_id
        assert "Enrol it anew" in caught.value.hint


def test_a_certificate_that_is_not_valid_yet_is_refused_through_every_gateway(
    live: Live, tmp_path: Path
) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    msp = member(live, tmp_path, not_before=tomorrow)
    for through in ("operator", "regulator", "auditor"):
        profile = write_profile(live, tmp_path / "profile.yaml", through, identity=str(msp))
        with connected(profile) as gateway, pytest.raises(EndorseError, match="NOT_YET_VALID"):
            submit(gateway, REGISTER, ledgers.dataset(name="early"))


def test_a_member_of_another_authority_is_admitted_nowhere(live: Live, tmp_path: Path) -> None:
    stranger = Authority.create("OperatorMSP", tmp_path / "authority")
    msp = tmp_path / "msp"
    msp.mkdir(mode=0o700)
    stranger.issue("pipeline", ("pipeline",)).save(msp)
    profile = write_profile(live, tmp_path / "profile.yaml", identity=str(msp))
    with connected(profile) as gateway, pytest.raises(EndorseError, match="does not admit this identity"):
        submit(gateway, REGISTER, ledgers.dataset(name="stranger"))


def redefinition(genesis: bytes, name: str, channel: str) -> bytes:
    """An update of the channel's configuration by which any member alone fulfils one of its policies."""
    envelope = common_pb2.Envelope.FromString(common_pb2.Block.FromString(genesis).data.data[0])
    payload = common_pb2.Payload.FromString(envelope.payload)
    group = configtx_pb2.ConfigEnvelope.FromString(payload.data).config.channel_group
    application = group.groups["Application"]
    update = configtx_pb2.ConfigUpdate(channel_id=channel)
    for each in (update.read_set, update.write_set):
        each.version = group.version
        each.groups["Application"].version = application.version
    standing = application.policies[name]
    written = update.write_set.groups["Application"].policies[name]
    written.CopyFrom(standing)
    written.version = standing.version + 1
    weaker = policies_pb2.ImplicitMetaPolicy(
        sub_policy="Endorsement" if name != "Admins" else "Admins", rule=policies_pb2.ImplicitMetaPolicy.ANY
    )
    written.policy.type = policies_pb2.Policy.IMPLICIT_META
    written.policy.value = weaker.SerializeToString()
    return update.SerializeToString()


@pytest.fixture(scope="module")
def contested(live: Live) -> Live:
    """A channel of its own, whose policies may change."""
    return begin_channel(live, "contested")


@pytest.mark.parametrize("name", ["Endorsement", "LifecycleEndorsement", "Admins"])
def test_operator_and_auditor_alone_cannot_change_the_channels_policies(contested: Live, name: str) -> None:
    genesis = contested.layout.genesis.read_bytes()
    update = redefinition(genesis, name, contested.layout.channel)
    admins = {each: Forger(contested, each, "admin") for each in ("operator", "auditor", "regulator")}

    def offer(*who: str) -> tuple[str, str]:
        signed = signed_update(update, [admins[each].signer for each in who])
        sender = admins["operator"]
        header = sender.header(common_pb2.CONFIG_UPDATE)
        (answer,) = sender.offer(
            sender.signed(common_pb2.Payload(header=header, data=signed.SerializeToString()))
        )
        return answer

    for alone in (("operator", "auditor"), ("operator",), ("regulator",), ("operator", "operator")):
        status, told = offer(*alone)
        assert (status, "policy" in told) == ("BAD_REQUEST", True), told
    if name == "Admins":
        assert offer("operator", "regulator")[0] == "SUCCESS", "with the regulator it is theirs to change"


def test_a_validity_flag_that_is_turned_in_an_exported_block_is_named(
    live: Live, gateway: Gateway, tmp_path: Path
) -> None:
    client = Forger(live)
    alone = client.endorsed(REGISTER, ledgers.dataset(name="flag"), ("operator",))
    client.send(alone)
    assert verdict(gateway, alone) == "ENDORSEMENT_POLICY_FAILURE"
    target = next(
        number
        for number, block in enumerate(blocks(gateway, 0, height(gateway, seconds=5) - 1, seconds=10))
        if alone.SerializeToString() in block.raw
    )
    channel = Channel("audit.example/live")
    exported = list(blocks(gateway, 0, target, seconds=10))
    for block in exported[:-1]:
        channel.judge(block.raw)
    turned = common_pb2.Block.FromString(exported[-1].raw)
    position = list(turned.data.data).index(alone.SerializeToString())
    flags = bytearray(turned.metadata.metadata[2])
    flags[position] = 0
    turned.metadata.metadata[2] = bytes(flags)
    with pytest.raises(NotProven, match="is marked VALID and is ENDORSEMENT_POLICY_FAILURE"):
        channel.judge(turned.SerializeToString())
