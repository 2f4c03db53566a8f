"""What the owner of the orderers may change alone, and what not (docs/adr/0009-who-owns-the-orderers.md)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from fabric_protos.common import common_pb2, policies_pb2
from fabric_protos.msp import msp_principal_pb2
from fabric_protos.orderer import configuration_pb2
from support.channels import SteppingLedger, begin_channel
from support.fabric_changes import changing, config_block, signed_update
from support.fabric_forger import Forger, Signer
from support.fabric_network import CHARTER, Live

from tallystick.identity import Identity, generate_log_key
from tallystick.ledger.fabric import load_profile
from tallystick.network.layout import ORDERER_MSP

Change = tuple[tuple[str, ...], str, str, Callable[[Any], None]]


@dataclass
class Channel:
    """A channel, whose every block is judged here."""

    live: Live
    ledger: SteppingLedger

    def ask(self, change: Change, *msps: str) -> None:
        """Have the administrators of ``msps`` make a change, and wait for its block."""
        before = self.ledger.height
        self.send(change, *msps)
        ends = time.monotonic() + 20
        while self.ledger.height == before:
            assert time.monotonic() < ends, "it was taken, and is in no block"
            time.sleep(0.1)

    def send(self, change: Change, *msps: str) -> None:
        """Have the first of ``msps`` send a change that the administrators of all of them signed."""
        signers = [Signer(each, self.live.layout.user(each, "admin")) for each in msps]
        sender = Forger(self.live, user="admin")
        sender.signer = signers[0]
        update = changing(config_block(self.live), *change)
        data = signed_update(update, signers).SerializeToString()
        payload = common_pb2.Payload(header=sender.header(common_pb2.CONFIG_UPDATE), data=data)
        sender.send(sender.signed(payload))


@pytest.fixture(scope="module")
def channel(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Channel]:
    home = tmp_path_factory.mktemp("orderers")
    own = begin_channel(live, "orderers")
    ledger = SteppingLedger(
        load_profile(own.layout.profiles / "operator.yaml"),
        home,
        reader=Identity.load(own.layout.user("OperatorMSP", "pipeline"), "OperatorMSP"),
        log_key=generate_log_key(home / "log.pem"),
    )
    with closing(ledger):
        yield Channel(own, ledger)


def _timeout(value: Any) -> None:
    value.value = configuration_pb2.BatchTimeout(timeout="200ms").SerializeToString()


def _size(value: Any) -> None:
    size = configuration_pb2.BatchSize.FromString(value.value)
    size.max_message_count -= 1
    value.value = size.SerializeToString()


def _consensus(value: Any) -> None:
    """What is meant for moving to another way of ordering."""
    consensus = configuration_pb2.ConsensusType.FromString(value.value)
    consensus.state = configuration_pb2.ConsensusType.STATE_MAINTENANCE
    value.value = consensus.SerializeToString()


def _by_operator(policy: Any) -> None:
    """The operator alone."""
    operator = msp_principal_pb2.MSPRole(msp_identifier="OperatorMSP", role=msp_principal_pb2.MSPRole.PEER)
    principal = msp_principal_pb2.MSPPrincipal(principal=operator.SerializeToString())
    one = policies_pb2.SignaturePolicy(
        n_out_of=policies_pb2.SignaturePolicy.NOutOf(n=1, rules=[policies_pb2.SignaturePolicy(signed_by=0)])
    )
    policy.policy.type = policies_pb2.Policy.SIGNATURE
    policy.policy.value = policies_pb2.SignaturePolicyEnvelope(
        rule=one, identities=[principal]
    ).SerializeToString()


def _version(value: Any) -> None:
    """The same once more: what counts is who may."""


TIMEOUT: Change = (("Orderer",), "values", "BatchTimeout", _timeout)
SIZE: Change = (("Orderer",), "values", "BatchSize", _size)
CONSENSUS: Change = (("Orderer",), "values", "ConsensusType", _consensus)
SIGNERS: Change = (("Orderer",), "policies", "BlockValidation", _version)
ENDORSEMENT: Change = (("Application",), "policies", "Endorsement", _by_operator)
LIFECYCLE: Change = (("Application",), "policies", "LifecycleEndorsement", _by_operator)
ADMINS: Change = (("Application",), "policies", "Admins", _by_operator)
MEMBER: Change = (("Application", "AuditorMSP"), "values", "MSP", _version)
CHANNEL_ADMINS: Change = ((), "policies", "Admins", _by_operator)
CAPABILITIES: Change = ((), "values", "Capabilities", _version)


@pytest.mark.parametrize("change", [TIMEOUT, SIZE, SIGNERS], ids=lambda change: change[2])
def test_how_blocks_are_cut_and_who_signs_them_is_the_owners_of_the_orderers(
    channel: Channel, change: Change
) -> None:
    with pytest.raises(AssertionError, match="BAD_REQUEST"):
        channel.ask(change, "RegulatorMSP", "OperatorMSP", "AuditorMSP")
    channel.ask(change, ORDERER_MSP)


@pytest.mark.parametrize(
    "change",
    [ENDORSEMENT, LIFECYCLE, ADMINS, MEMBER, CHANNEL_ADMINS, CAPABILITIES],
    ids=lambda change: "/".join((*change[0], change[2])),
)
def test_the_law_and_its_members_are_not(channel: Channel, change: Change) -> None:
    height = channel.ledger.height
    for helped_by in ((), ("OperatorMSP",), ("OperatorMSP", "AuditorMSP")):
        if change is MEMBER and "AuditorMSP" in helped_by:
            continue
        with pytest.raises(AssertionError, match="BAD_REQUEST"):
            channel.ask(change, ORDERER_MSP, *helped_by)
    assert channel.ledger.height == height


def test_the_regulator_and_one_other_change_the_law_without_it(channel: Channel) -> None:
    path, kind, name, _ = ENDORSEMENT
    height = channel.ledger.height
    channel.ask((path, kind, name, _version), "RegulatorMSP", "AuditorMSP")
    assert channel.ledger.height == height + 1


def test_its_owner_can_stop_a_channel_and_then_nobody_writes(channel: Channel) -> None:
    """In maintenance orderers take nothing from members and hand them no block, this change's neither."""
    sender = Forger(channel.live, user="admin")
    height, late = channel.ledger.height, sender.endorsed("charter:adopt", CHARTER)
    channel.send(CONSENSUS, ORDERER_MSP)
    ends = time.monotonic() + 20
    while True:
        try:
            sender.send(late)
        except AssertionError as refused:
            assert "FORBIDDEN" in str(refused) or "SERVICE_UNAVAILABLE" in str(refused)  # noqa: PT017
            break
        assert time.monotonic() < ends
        time.sleep(0.1)
    assert channel.ledger.height <= height + 1
