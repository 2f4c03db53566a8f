"""Blocks as a peer keeps them, by its Deliver service. Nothing in them is judged here."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2

from tallystick.ledger.fabric.connection import Connection
from tallystick.ledger.fabric.errors import DeliverError
from tallystick.ledger.fabric.failures import hint_for
from tallystick.ledger.fabric.gateway import Gateway

_NONCE_BYTES: Final = 24
_LAST: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its number, and a common.Block as bytes."""

    number: int
    raw: bytes = field(repr=False)


def blocks(gateway: Gateway, first: int = 0, last: int | None = None, *, seconds: float) -> Iterator[Block]:
    """The blocks from ``first`` to ``last``, both included; without ``last`` those to come too.

    ``seconds`` are for each block, without what the caller does with the one before it. Without ``last``
    it ends where none came for so long. Goes on at the next peer where one goes away. Raises `DeliverError`
    where no peer can be reached or the peer refuses, for a gap, and where a block up to ``last`` is late.
    """
    following = first

    def start(peer: Connection, left: float) -> Any:
        return _deliver(gateway, peer, _at(following), _at(_LAST if last is None else last), left)

    if last is not None and last < first:
        return
    for response, peer in gateway.connections.stream(start, DeliverError, seconds=seconds):
        block = _block(response, peer)
        if block.number != following:
            raise DeliverError(f"block {block.number} came where {following} was expected", peer=peer)
        yield block
        if block.number == last:
            return
        following += 1
    if last is not None:
        raise _late(f"block {following} did not come in time")


def height(gateway: Gateway, *, seconds: float) -> int:
    """How many blocks the peer has. Raises `DeliverError`."""
    newest = ab_pb2.SeekPosition(newest=ab_pb2.SeekNewest())

    def start(peer: Connection, left: float) -> Any:
        return _deliver(gateway, peer, newest, newest, left)

    for response, peer in gateway.connections.stream(start, DeliverError, seconds=seconds):
        return _block(response, peer).number + 1
    raise _late("no answer in time")


def _deliver(gateway: Gateway, peer: Connection, start: Any, stop: Any, seconds: float) -> Any:
    seek = ab_pb2.SeekInfo(start=start, stop=stop, behavior=ab_pb2.SeekInfo.BLOCK_UNTIL_READY)
    channel_header = common_pb2.ChannelHeader(
        type=common_pb2.DELIVER_SEEK_INFO,
        channel_id=gateway.channel,
        # The request must come over the connection whose certificate it names, so that nobody replays it.
        tls_cert_hash=gateway.connections.tls_cert_hash,
    )
    channel_header.timestamp.FromMilliseconds(time.time_ns() // 1_000_000)
    signature_header = common_pb2.SignatureHeader(
        creator=gateway.signer.serialised, nonce=os.urandom(_NONCE_BYTES)
    )
    header = common_pb2.Header(
        channel_header=channel_header.SerializeToString(),
        signature_header=signature_header.SerializeToString(),
    )
    payload = common_pb2.Payload(header=header, data=seek.SerializeToString()).SerializeToString()
    envelope = common_pb2.Envelope(payload=payload, signature=gateway.signer.sign(payload))
    return peer.deliver.Deliver(iter([envelope]), timeout=seconds)


def _at(number: int) -> Any:
    return ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=number))


def _block(response: Any, peer: str) -> Block:
    if response.WhichOneof("Type") != "block":
        known = response.status in common_pb2.Status.values()
        status = common_pb2.Status.Name(response.status) if known else str(response.status)
        raise DeliverError(f"the peer answered {status}", peer=peer, hint=hint_for(status))
    return Block(response.block.header.number, response.block.SerializeToString())


def _late(message: str) -> DeliverError:
    code = "DEADLINE_EXCEEDED"
    return DeliverError(message, code=code, hint=hint_for(code))
