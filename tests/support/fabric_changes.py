"""Updates of a channel's configuration, made and signed: a certificate revoked, an organisation added."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.msp import msp_config_pb2
from support.fabric_forger import Signer
from support.fabric_network import Live

from tallystick.network.layout import CHANNEL

#: As long as the name of the organisation that it is copied from.
JOINED = "WatcherMSP"


def config_update(block: bytes, change: Any, signers: list[Signer], channel: str = CHANNEL) -> Any:
    """An update of the configuration in a block, signed; ``change`` fills in what is read and written."""
    envelope = common_pb2.Envelope.FromString(common_pb2.Block.FromString(block).data.data[0])
    payload = common_pb2.Payload.FromString(envelope.payload)
    config = configtx_pb2.ConfigEnvelope.FromString(payload.data).config
    update = configtx_pb2.ConfigUpdate(channel_id=channel)
    change(config.channel_group, update)
    encoded = update.SerializeToString()
    signatures = []
    for signer in signers:
        header = common_pb2.SignatureHeader(creator=signer.identity, nonce=os.urandom(24)).SerializeToString()
        signatures.append(
            configtx_pb2.ConfigSignature(signature_header=header, signature=signer.sign(header + encoded))
        )
    return configtx_pb2.ConfigUpdateEnvelope(config_update=encoded, signatures=signatures)


def revocation(live: Live, msp_id: str, certificate: x509.Certificate) -> Any:
    """A change that adds a revocation list to an organisation's MSP."""
    directory = live.layout.organisations / msp_id
    authority = x509.load_pem_x509_certificate((directory / "cacerts" / "ca.pem").read_bytes())
    key: Any = serialization.load_pem_private_key((directory / "ca" / "key.pem").read_bytes(), None)
    now = datetime.now(UTC)
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    revoked = x509.RevokedCertificateBuilder(certificate.serial_number, now).build()
    builder = x509.CertificateRevocationListBuilder(
        authority.subject, now - timedelta(minutes=1), now + timedelta(days=3650), [], [revoked]
    )
    builder = builder.add_extension(x509.AuthorityKeyIdentifier(identifier, None, None), False)
    crl = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def change(group: Any, update: Any) -> None:
        value = group.groups["Application"].groups[msp_id].values["MSP"]
        outer = msp_config_pb2.MSPConfig.FromString(value.value)
        inner = msp_config_pb2.FabricMSPConfig.FromString(outer.config)
        inner.revocation_list.append(crl)
        outer.config = inner.SerializeToString()
        for each in (update.read_set, update.write_set):
            below = group
            for name in (None, "Application", msp_id):
                each, below = (each.groups[name], below.groups[name]) if name else (each, below)
                each.version = below.version
        written = update.write_set.groups["Application"].groups[msp_id].values["MSP"]
        written.CopyFrom(value)
        written.value, written.version = outer.SerializeToString(), value.version + 1

    return change


def joining(root: bytes) -> Any:
    """A change that adds an organisation, which is the auditor's but for its name and its authority."""

    def change(group: Any, update: Any) -> None:
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

    return change
