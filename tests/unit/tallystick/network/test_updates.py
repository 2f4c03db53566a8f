"""A revocation as an update of the configuration: the same that protocol buffers' own library wrote."""

from __future__ import annotations

from typing import Any

import pytest
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.msp import msp_config_pb2
from support.fabric_blocks import Stored, stored

from tallystick.network.updates import config_of, revoking, unsigned
from tallystick.proof.errors import NotProven, ProofError


def recorded(network: Stored) -> Any:
    """The ConfigUpdate in the block that revoked a certificate of the operator's."""
    block = common_pb2.Block.FromString(network["revocation"])
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(block.data.data[0]).payload)
    envelope = configtx_pb2.ConfigEnvelope.FromString(payload.data)
    update = common_pb2.Payload.FromString(envelope.last_update.payload).data
    return configtx_pb2.ConfigUpdate.FromString(
        configtx_pb2.ConfigUpdateEnvelope.FromString(update).config_update
    )


def msp_of(update: Any) -> Any:
    value = update.write_set.groups["Application"].groups["OperatorMSP"].values["MSP"]
    return msp_config_pb2.FabricMSPConfig.FromString(msp_config_pb2.MSPConfig.FromString(value.value).config)


def test_an_update_adds_the_list_and_changes_nothing_else() -> None:
    network = stored("raft")
    before = network.channel_before("revocation").rules
    wanted = recorded(network)
    (revocations,) = msp_of(wanted).revocation_list
    update = configtx_pb2.ConfigUpdate.FromString(revoking(before, "OperatorMSP", revocations))
    assert msp_of(update) == msp_of(wanted)
    for each in (update, wanted):
        each.write_set.groups["Application"].groups["OperatorMSP"].values["MSP"].value = b""
    assert update == wanted


def test_older_lists_stay() -> None:
    network = stored("raft")
    number, now = config_of(network["revocation"])
    assert number == network.channel_before("revocation").height
    update = configtx_pb2.ConfigUpdate.FromString(revoking(now, "OperatorMSP", b"newer"))
    assert [*msp_of(recorded(network)).revocation_list, b"newer"] == list(msp_of(update).revocation_list)


def test_an_organisation_that_is_not_on_the_channel_is_said() -> None:
    now = stored("raft").channel_before("revocation").rules
    with pytest.raises(NotProven, match="WatcherMSP is not an organisation of the channel audit"):
        revoking(now, "WatcherMSP", b"")


def test_a_block_that_is_no_configuration_is_refused() -> None:
    with pytest.raises(ProofError):
        config_of(b"")


def test_an_unsigned_update_is_what_the_peer_program_reads() -> None:
    envelope = common_pb2.Envelope.FromString(unsigned(b"update", "audit"))
    payload = common_pb2.Payload.FromString(envelope.payload)
    header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    assert (header.type, header.channel_id) == (common_pb2.CONFIG_UPDATE, "audit")
    assert configtx_pb2.ConfigUpdateEnvelope.FromString(payload.data).config_update == b"update"
    assert not envelope.signature
