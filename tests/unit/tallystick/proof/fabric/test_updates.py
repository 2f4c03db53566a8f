"""A configuration follows another by an update that the policies in force allow, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fabric_protos.common import common_pb2, configtx_pb2
from support.fabric_blocks import stored

from tallystick.proof.errors import Malformed, NotProven, ProofError
from tallystick.proof.fabric import updates
from tallystick.proof.fabric.configuration import Configuration, policy_path


def before_and_after() -> tuple[Configuration, Any]:
    """The configuration in force before the revocation, and the ConfigEnvelope that brought it."""
    network = stored("raft")
    block = common_pb2.Block.FromString(network["revocation"])
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(block.data.data[0]).payload)
    return network.channel_before("revocation").rules, configtx_pb2.ConfigEnvelope.FromString(payload.data)


def _update(change: Callable[[Any, Any], None]) -> Callable[[Any], None]:
    """A change of the update's envelope and of the update in it."""

    def work(envelope: Any) -> None:
        payload = common_pb2.Payload.FromString(envelope.last_update.payload)
        outer = configtx_pb2.ConfigUpdateEnvelope.FromString(payload.data)
        inner = configtx_pb2.ConfigUpdate.FromString(outer.config_update)
        change(outer, inner)
        outer.config_update = inner.SerializeToString()
        payload.data = outer.SerializeToString()
        envelope.last_update.payload = payload.SerializeToString()

    return work


def _group(inner: Any, part: str) -> Any:
    return getattr(inner, part).groups["Application"].groups["OperatorMSP"]


def _sequence(envelope: Any) -> None:
    envelope.config.sequence += 1


def _more(envelope: Any) -> None:
    envelope.config.channel_group.groups["Orderer"].values["BatchTimeout"].value = b"\x0a\x021s"


def _less(envelope: Any) -> None:
    del envelope.config.channel_group.groups["Application"].groups["AuditorMSP"]


def _unsigned(outer: Any, inner: Any) -> None:
    del outer.signatures[:]


def _signature(outer: Any, inner: Any) -> None:
    signature = outer.signatures[0]
    signature.signature = signature.signature[:-1] + bytes([signature.signature[-1] ^ 1])


def _other_signer(outer: Any, inner: Any) -> None:
    network = stored("raft")
    envelope = common_pb2.Envelope.FromString(common_pb2.Block.FromString(network["batch"]).data.data[0])
    payload = common_pb2.Payload.FromString(envelope.payload)
    outer.signatures[0].signature_header = payload.header.signature_header


def _nothing(outer: Any, inner: Any) -> None:
    inner.write_set.CopyFrom(inner.read_set)


def _read(outer: Any, inner: Any) -> None:
    _group(inner, "read_set").version += 1


def _skips(outer: Any, inner: Any) -> None:
    _group(inner, "write_set").values["MSP"].version += 1


def _for_ever(outer: Any, inner: Any) -> None:
    _group(inner, "write_set").values["MSP"].mod_policy = ""


def _channel(outer: Any, inner: Any) -> None:
    inner.channel_id = "another"


def _other_value(outer: Any, inner: Any) -> None:
    _group(inner, "write_set").values["MSP"].value = b"\x12\x00"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_sequence, "not the next one"),
        (_more, "not what its update gives"),
        (_less, "not what its update gives"),
        (_update(_unsigned), "without the signatures"),
        (_update(_signature), "without the signatures"),
        (_update(_other_signer), "without the signatures"),
        (_update(_nothing), "changes nothing"),
        (_update(_read), "read another the group Channel/Application/OperatorMSP"),
        (_update(_skips), "not at its next version"),
        (_update(_for_ever), "nobody may change"),
        (_update(_channel), "of another channel"),
        (_update(_other_value), "without the signatures"),
    ],
)
def test_a_configuration_that_may_not_follow_is_named(change: Callable[[Any], None], named: str) -> None:
    now, envelope = before_and_after()
    updates.following(envelope.SerializeToString(), now)
    change(envelope)
    with pytest.raises(NotProven, match=named):
        updates.following(envelope.SerializeToString(), now)


def test_a_configuration_nested_without_end_is_refused() -> None:
    group = configtx_pb2.ConfigGroup()
    for _ in range(30):
        group = configtx_pb2.ConfigGroup(groups={"deeper": group})
    config = configtx_pb2.Config(channel_group=group)
    with pytest.raises(Malformed, match="nested too deeply"):
        Configuration(config.SerializeToString(), "audit")


def test_a_configuration_without_orderers_is_refused() -> None:
    with pytest.raises(ProofError, match="has no group Orderer"):
        Configuration(b"", "audit")


def test_a_policy_is_named_from_its_group_or_from_the_channel() -> None:
    assert policy_path("Admins", ["Application", "OperatorMSP"]) == ["Application", "OperatorMSP", "Admins"]
    assert policy_path("/Channel/Application/Admins", ["Orderer"]) == ["Application", "Admins"]
    assert policy_path("/Elsewhere/Admins", []) == []
