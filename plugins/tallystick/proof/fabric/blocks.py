"""A block of Fabric and its envelopes: read, hashed, and held against its header.

The data hash covers the envelopes one after the other without their lengths, so an envelope has to begin
with the one payload in it: else the same bytes could be split into other transactions.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.fabric.der import INTEGER, OCTET_STRING, SEQUENCE, encode
from tallystick.proof.protobuf import TEXT, Message, Shape, bytes_field, shaped

CONFIG: Final = 1
ENDORSER_TRANSACTION: Final = 3

_SIGNATURES, _, _FILTER = range(3)
_CHANNEL_HEADER: Final[Shape] = {3: {}, 4: TEXT, 5: TEXT}


@dataclass(frozen=True, slots=True)
class Header:
    """A block's header. The hashes are SHA-256, raw; the previous one of block 0 is empty."""

    number: int
    previous: bytes
    data: bytes

    def encode(self) -> bytes:
        """The DER of SEQUENCE {number INTEGER, previous OCTET STRING, data OCTET STRING}, which is signed."""
        number = self.number.to_bytes(self.number.bit_length() // 8 + 1, "big")
        return encode(
            SEQUENCE,
            encode(INTEGER, number),
            encode(OCTET_STRING, self.previous),
            encode(OCTET_STRING, self.data),
        )

    @property
    def digest(self) -> str:
        """The block's hash, in hex."""
        return sha256(self.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Block:
    """A block. ``signatures`` is the orderers' part of its metadata, ``flags`` a peer's claims."""

    header: Header
    envelopes: tuple[bytes, ...]
    signatures: bytes
    flags: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope's two fields."""

    payload: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """What an envelope's creator signed. ``time`` is the creator's claim in ms since the epoch."""

    kind: int
    channel: str
    transaction_id: str
    time: int
    epoch: int
    extension: bytes
    creator: bytes
    nonce: bytes
    channel_header: bytes
    data: bytes

    @property
    def computed_id(self) -> str:
        """What the transaction's id has to be."""
        return id_of(self.nonce, self.creator)


def id_of(nonce: bytes, creator: bytes) -> str:
    """SHA-256(nonce || creator) in hex."""
    return sha256(nonce + creator).hexdigest()


def parse_block(data: bytes) -> Block:
    """The block that these bytes spell, its data fitting its header. Raises `Malformed` or `NotProven`."""
    block = Message(data, "block")
    header = block.message(1)
    envelopes = tuple(block.message(2).blobs(1))
    metadata = block.message(3).blobs(1)
    parsed = Header(header.number(1), header.blob(2), header.blob(3))
    if len(parsed.data) != 32 or len(parsed.previous) != (32 if parsed.number else 0):
        raise Malformed("block header: a hash that is not of SHA-256")
    if not envelopes:
        raise Malformed("block: holds nothing")
    if sha256(b"".join(envelopes)).digest() != parsed.data:
        raise NotProven("the data is not what the header names")
    for envelope in envelopes:
        parse_envelope(envelope)
    return Block(parsed, envelopes, _at(metadata, _SIGNATURES), _at(metadata, _FILTER))


def parse_envelope(data: bytes) -> Envelope:
    """An envelope as orderers write it: its canonical form, then what fields of no meaning its sender added.

    Raises `Malformed` for another.
    """
    message = Message(data, "envelope")
    payloads, signatures = message.blobs(1), message.blobs(2)
    envelope = Envelope(message.blob(1), message.blob(2))
    canonical = b"".join([bytes_field(1, envelope.payload), *(bytes_field(2, each) for each in signatures)])
    once = len(payloads) == 1 and len(signatures) == bool(envelope.signature)
    if not envelope.payload or not once or not data.startswith(canonical):
        raise Malformed("envelope: not in its one form, so that the data hash does not tell where it ends")
    return envelope


def parse_payload(data: bytes) -> Payload:
    """What an envelope says. Raises `Malformed`."""
    payload = Message(data, "payload")
    header = payload.message(1)
    channel = shaped(header.blob(1), "channel header", _CHANNEL_HEADER)
    timestamp = channel.message(3)
    signature = Message(header.blob(2), "signature header")
    seconds = timestamp.number(1)
    return Payload(
        kind=channel.int32(1),
        channel=channel.text(4),
        transaction_id=channel.text(5),
        time=(seconds - (1 << 64) if seconds >> 63 else seconds) * 1000 + timestamp.int32(2) // 1_000_000,
        epoch=channel.number(6),
        extension=channel.blob(7),
        creator=signature.blob(1),
        nonce=signature.blob(2),
        channel_header=header.blob(1),
        data=payload.blob(2),
    )


def remembered_id(data: bytes) -> str:
    """The id under which peers remember this payload, however little else of it can be read; empty for none.

    So does Fabric (protoutil.GetOrComputeTxIDFromEnvelope): another transaction of that id is a duplicate.
    """
    try:
        header = Message(data, "payload").message(1)
        transaction_id = shaped(header.blob(1), "channel header", _CHANNEL_HEADER).text(5)
        return transaction_id or parse_payload(data).computed_id
    except Malformed:
        return ""


def _at(metadata: list[bytes], index: int) -> bytes:
    return metadata[index] if index < len(metadata) else b""
