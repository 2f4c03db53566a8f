"""Transactions on a channel whose organisations' keys a test holds: clients and endorsers sign for real.

The channel is that of tests/vectors/fabric, with other authorities in its configuration. Nobody signs its
blocks here: that is looked at in test_channel.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.msp import msp_config_pb2
from support.fabric_blocks import LOG, stored

from tallystick.proof.fabric.blocks import parse_block, parse_envelope, parse_payload
from tallystick.proof.fabric.channel import CHAINCODE, Channel
from tallystick.proof.fabric.judged import JudgedBlock
from tallystick.proof.membership import P256_ORDER, serialise_identity
from tallystick.proof.protobuf import bytes_field, number_field

MSPS = ("AuditorMSP", "OperatorMSP", "RegulatorMSP")
_START = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Signer:
    """A serialised identity with its key."""

    identity: bytes
    key: ec.EllipticCurvePrivateKey

    def sign(self, data: bytes) -> bytes:
        r, s = utils.decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        return utils.encode_dss_signature(r, min(s, P256_ORDER - s))


@cache
def authority(msp_id: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The one root of an organisation."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(msp_id, msp_id, key, x509.BasicConstraints(True, None))
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.add_extension(identifier, False).sign(key, hashes.SHA256()), key


def member(msp_id: str, unit: str, *extensions: x509.ExtensionType, days: int = 36_500) -> Signer:
    """Somebody of an organisation: ``unit`` is the type of node, ``days`` how long the certificate counts."""
    key, (_, signing) = ec.generate_private_key(ec.SECP256R1()), authority(msp_id)
    builder = _builder(msp_id, unit, key, x509.BasicConstraints(False, None), days, unit)
    for extension in extensions:
        builder = builder.add_extension(extension, False)
    pem = builder.sign(signing, hashes.SHA256()).public_bytes(Encoding.PEM)
    return Signer(serialise_identity(msp_id, pem), key)


def _builder(issuer: str, subject: str, key: Any, constraints: Any, days: int = 36_500, *units: str) -> Any:
    name = [x509.NameAttribute(NameOID.COMMON_NAME, subject)]
    name += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, each) for each in units]
    issued_by = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])
    serial, end = x509.random_serial_number(), _START + timedelta(days=days)
    builder = x509.CertificateBuilder(issued_by, x509.Name(name), key.public_key(), serial, _START, end)
    return builder.add_extension(constraints, True)


@dataclass(frozen=True)
class Sent:
    """A transaction by its parts, each as bytes; the hashes over them always fit.

    ``header`` is the creator and the nonce of the envelope where they are not those that are endorsed.
    """

    creator: Signer
    endorsers: tuple[Signer, ...]
    arguments: tuple[bytes, ...]
    extension: bytes
    chaincode: bytes
    seconds: int
    results: bytes = b""
    event: bytes = b""
    answer: bytes = b"\x08\xc8\x01"
    outcome: bytes | None = None
    proposal: bytes | None = None
    nonce: bytes = b"n" * 24
    header: tuple[bytes, bytes] | None = None
    transaction_id: str = ""
    more_of_channel_header: bytes = b""
    more_of_signature_header: bytes = b""
    more_of_payload: bytes = b""
    more_of_transaction: bytes = b""
    more_of_action: bytes = b""
    more_of_endorsers_signature: bytes = b""
    more_of_signature: bytes = b""
    more_of_envelope: bytes = b""

    @property
    def id(self) -> str:
        """The transaction's id, the right one unless another was given."""
        creator, nonce = self.header or (self.creator.identity, self.nonce)
        return self.transaction_id or hashlib.sha256(nonce + creator).hexdigest()

    def encode(self) -> bytes:
        """The envelope."""
        creator, nonce = self.header or (self.creator.identity, self.nonce)
        channel = number_field(1, 3) + bytes_field(4, b"audit") + bytes_field(5, self.id.encode())
        channel += bytes_field(3, number_field(1, self.seconds))
        channel += bytes_field(7, self.extension) + self.more_of_channel_header
        proposed = bytes_field(1, self.creator.identity) + bytes_field(2, self.nonce)
        sent = bytes_field(1, creator) + bytes_field(2, nonce) + self.more_of_signature_header
        data = bytes_field(1, bytes_field(1, proposed) + bytes_field(2, self._action(channel, proposed)))
        payload = bytes_field(1, bytes_field(1, channel) + bytes_field(2, sent))
        payload += bytes_field(2, data + self.more_of_transaction) + self.more_of_payload
        signature = self.sign(payload) + self.more_of_signature
        return bytes_field(1, payload) + bytes_field(2, signature) + self.more_of_envelope

    def sign(self, payload: bytes) -> bytes:
        """The envelope's signature."""
        return self.creator.sign(payload)

    def _action(self, channel: bytes, proposed: bytes) -> bytes:
        call = b"".join(bytes_field(1, each) for each in self.arguments)
        invocation = bytes_field(1, bytes_field(3, call))
        proposal = bytes_field(1, invocation) if self.proposal is None else self.proposal
        asked = hashlib.sha256(channel + proposed + proposal).digest()
        outcome = self.outcome
        if outcome is None:
            outcome = bytes_field(1, self.results) + bytes_field(2, self.event)
            outcome += bytes_field(3, self.answer) + bytes_field(4, self.chaincode)
        response = bytes_field(1, asked) + bytes_field(2, outcome)
        action = bytes_field(1, response)
        for each in self.endorsers:
            signature = each.sign(response + each.identity) + self.more_of_endorsers_signature
            action += bytes_field(2, bytes_field(1, each.identity) + bytes_field(2, signature))
        return bytes_field(1, proposal) + bytes_field(2, action + self.more_of_action)


def call(name: bytes, version: bytes = b"") -> bytes:
    """A ChaincodeID."""
    return bytes_field(2, name) + (bytes_field(3, version) if version else b"")


@cache
def plain() -> Sent:
    """A call of ours that counts: it is whole, enough endorsed it, and it reads and writes nothing."""
    network = stored("raft")
    payload = parse_payload(parse_envelope(parse_block(network["batch"]).envelopes[0]).payload)
    package = network.channel_before("batch").package.encode()
    client, endorsers = member("OperatorMSP", "client"), tuple(member(each, "peer") for each in MSPS)
    called, ran = bytes_field(2, call(b"tallystick")), call(b"tallystick", package)
    return Sent(client, endorsers, (b"a:b", b"{}"), called, ran, payload.time // 1000)


def channel() -> Channel:
    """The channel before the block that `plain` is for."""
    before = stored("raft").channel_before("batch")
    return Channel.resume(LOG, CHAINCODE, _rekeyed(before.position), before._state)


def judge(*blocks: Sequence[tuple[Sent, int]]) -> list[JudgedBlock]:
    """The judgement of blocks that hold these transactions, so marked, one after another."""
    return follow(channel(), *blocks)


def follow(channel: Channel, *blocks: Sequence[tuple[Sent, int]]) -> list[JudgedBlock]:
    """`judge` on this channel."""
    made = []
    for sent in blocks:
        block = common_pb2.Block()
        block.header.number, block.header.previous_hash = channel.height, bytes.fromhex(channel.digest)
        block.data.data.extend(each.encode() for each, _ in sent)
        block.header.data_hash = hashlib.sha256(b"".join(block.data.data)).digest()
        block.metadata.metadata.extend([b"", b"", bytes(flag for _, flag in sent)])
        with patch("tallystick.proof.fabric.channel.judge_signatures", lambda *_: 1):
            made.append(channel.judge(block.SerializeToString()))
    return made


def _rekeyed(position: Any) -> Any:
    """The position with the test's own authorities in place of the organisations'."""
    config = configtx_pb2.Config.FromString(position.configuration)
    for part in ("Orderer", "Application"):
        for group in config.channel_group.groups[part].groups.values():
            value = group.values["MSP"]
            msp = msp_config_pb2.MSPConfig.FromString(value.value)
            msp.config = _msp(msp_config_pb2.FabricMSPConfig.FromString(msp.config).name)
            value.value = msp.SerializeToString()
    return replace(position, configuration=config.SerializeToString())


@cache
def _msp(name: str) -> bytes:
    pem = authority(name)[0].public_bytes(Encoding.PEM)
    config = msp_config_pb2.FabricMSPConfig(name=name, root_certs=[pem])
    config.fabric_node_ous.enable = True
    for role in ("client", "peer", "admin", "orderer"):
        unit = getattr(config.fabric_node_ous, f"{role}_ou_identifier")
        unit.organizational_unit_identifier = role
        unit.certificate = pem
    return bytes(config.SerializeToString())
