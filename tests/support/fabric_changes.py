"""Updates of a channel's configuration, made and signed: a certificate revoked, an organisation added."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.msp import msp_config_pb2
from support.fabric_forger import Signer
from support.fabric_network import Live

from tallystick.identity import Authority
from tallystick.network.layout import CHANNEL
from tallystick.network.updates import config_of, revoking

#: As long as the name of the organisation that it is copied from.
JOINED = "WatcherMSP"


def signed_update(update: bytes, signers: list[Signer]) -> Any:
    """A ConfigUpdate with signatures."""
    signatures = []
    for signer in signers:
        header = common_pb2.SignatureHeader(creator=signer.identity, nonce=os.urandom(24)).SerializeToString()
        signatures.append(
            configtx_pb2.ConfigSignature(signature_header=header, signature=signer.sign(header + update))
        )
    return configtx_pb2.ConfigUpdateEnvelope(config_update=update, signatures=signatures)


def config_block(live: Live) -> bytes:
    """The block of the channel's configuration in force, from the operator's peer."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.block"
        code, told = live.run(["channel", "fetch", "config", str(path), "-c", live.layout.channel])
        assert code == 0, told
        return path.read_bytes()


def changing(block: bytes, path: tuple[str, ...], kind: str, name: str, edit: Callable[[Any], None]) -> bytes:
    """An update of the configuration in a block that edits one element: of ``kind`` values or policies, in
    the group at ``path`` below the channel's."""
    envelope = common_pb2.Envelope.FromString(common_pb2.Block.FromString(block).data.data[0])
    payload = common_pb2.Payload.FromString(envelope.payload)
    channel = common_pb2.ChannelHeader.FromString(payload.header.channel_header).channel_id
    update = configtx_pb2.ConfigUpdate(channel_id=channel)
    for part in (update.read_set, update.write_set):
        group = configtx_pb2.ConfigEnvelope.FromString(payload.data).config.channel_group
        part.version = group.version
        for each in path:
            group, part = group.groups[each], part.groups[each]
            part.version = group.version
    element = getattr(group, kind)[name]
    element.version += 1
    edit(element)
    getattr(part, kind)[name].CopyFrom(element)
    return update.SerializeToString()


def revocation(live: Live, block: bytes, msp_id: str, certificate: x509.Certificate) -> bytes:
    """An update of the configuration in a block that revokes a certificate."""
    authority = Authority.load(live.layout.organisations / msp_id)
    return revoking(config_of(block)[1], msp_id, authority.revoke([certificate.serial_number]))


def joining(block: bytes, root: bytes) -> bytes:
    """An update of the configuration in a block that adds an organisation, which is the auditor's but for
    its name and its authority."""
    envelope = common_pb2.Envelope.FromString(common_pb2.Block.FromString(block).data.data[0])
    payload = common_pb2.Payload.FromString(envelope.payload)
    group = configtx_pb2.ConfigEnvelope.FromString(payload.data).config.channel_group
    update = configtx_pb2.ConfigUpdate(channel_id=CHANNEL)
    application = group.groups["Application"]
    for each in (update.read_set, update.write_set):
        each.version = group.version
        below = each.groups["Application"]
        below.version, below.mod_policy = application.version, application.mod_policy
        for kind in ("groups", "values", "policies"):
            for name, element in getattr(application, kind).items():
                getattr(below, kind)[name].version = element.version
    written = update.write_set.groups["Application"]
    written.version += 1
    copy = application.groups["AuditorMSP"].SerializeToString().replace(b"AuditorMSP", JOINED.encode())
    new = written.groups[JOINED]
    new.MergeFromString(copy)
    outer = msp_config_pb2.MSPConfig.FromString(new.values["MSP"].value)
    inner = msp_config_pb2.FabricMSPConfig.FromString(outer.config)
    inner.root_certs[:] = [root]
    for node in ("client", "peer", "admin", "orderer"):
        getattr(inner.fabric_node_ous, f"{node}_ou_identifier").certificate = root
    outer.config = inner.SerializeToString()
    new.values["MSP"].value = outer.SerializeToString()
    return update.SerializeToString()
