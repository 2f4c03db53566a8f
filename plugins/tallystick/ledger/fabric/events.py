"""Chaincode events, followed across restarts: what was handled is noted in a file, and never comes twice."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fabric_protos.gateway import gateway_pb2

from tallystick.ledger.fabric.connection import Connection
from tallystick.ledger.fabric.errors import ConfigurationError, EventsError
from tallystick.ledger.fabric.gateway import Gateway

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class ChaincodeEvent:
    """The event of a transaction that counts; Fabric allows a transaction one."""

    block: int
    transaction_id: str
    name: str
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where events were handled: the event of ``transaction_id`` in ``block`` is the last one.

    Without a transaction it is a beginning: all events of ``block`` and later are to come.
    """

    block: int
    transaction_id: str = ""


def follow(
    gateway: Gateway, chaincode: str, after: Position = Position(0), *, seconds: float
) -> Iterator[ChaincodeEvent]:
    """The events of ``chaincode`` after a position, in the ledger's order, until none came for ``seconds``.

    Goes on at the next peer where one goes away, without loss or repeat. Raises `EventsError` where no
    peer can be reached, and for a position that the ledger does not have.
    """
    position, lowest, skipping = after, after.block, False

    def start(peer: Connection, left: float) -> Any:
        nonlocal lowest, skipping
        lowest, skipping = position.block, bool(position.transaction_id)
        request = gateway_pb2.ChaincodeEventsRequest(
            channel_id=gateway.channel, chaincode_id=chaincode, identity=gateway.signer.serialised
        )
        # A message, whose presence says that a position is meant, even where the number is 0.
        request.start_position.specified.SetInParent()
        request.start_position.specified.number = position.block
        raw = request.SerializeToString()
        signed = gateway_pb2.SignedChaincodeEventsRequest(request=raw, signature=gateway.signer.sign(raw))
        return peer.gateway.ChaincodeEvents(signed, timeout=left)

    def repeated(response: Any) -> bool:
        """Whether it is the position's block, asked for once more, with nothing behind the position."""
        last = response.events[-1].tx_id if response.events else ""
        return skipping and (response.block_number, last) == (position.block, position.transaction_id)

    stream = gateway.connections.stream(start, EventsError, seconds=seconds, repeated=repeated)
    for response, peer in stream:
        if response.block_number < lowest:
            raise EventsError(f"block {response.block_number} came where {lowest} was expected", peer=peer)
        lowest = response.block_number + 1
        events = list(response.events)
        if skipping:
            ids = [event.tx_id for event in events]
            if response.block_number != position.block or position.transaction_id not in ids:
                raise _not_there(position, peer)
            del events[: ids.index(position.transaction_id) + 1]
            skipping = False
        for event in events:
            position = Position(response.block_number, event.tx_id)
            yield ChaincodeEvent(response.block_number, event.tx_id, event.event_name, event.payload)


class Checkpoint:
    """A file that keeps the position of one follower of one chaincode. Not for several processes at once."""

    def __init__(self, path: Path, *, channel: str, chaincode: str) -> None:
        """Raises `ConfigurationError` for a file of another channel or chaincode, or of no checkpoint."""
        self._path = path
        self._names = {"v": _VERSION, "channel": channel, "chaincode": chaincode}
        self._position = self._read()

    @property
    def position(self) -> Position:
        """Where to go on; the ledger's beginning where nothing was handled yet."""
        return self._position

    def handled(self, event: ChaincodeEvent) -> None:
        """Note that ``event``, and with it all before it, need not come again; durable on return."""
        position = Position(event.block, event.transaction_id)
        value = {**self._names, "block": position.block, "transaction_id": position.transaction_id}
        try:
            descriptor, temporary = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(json.dumps(value).encode())
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, self._path)
            except BaseException:
                os.unlink(temporary)
                raise
            directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise ConfigurationError(f"{self._path} cannot be written: {error.strerror}") from error
        self._position = position

    def _read(self) -> Position:
        try:
            value = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return Position(0)
        except OSError as error:
            raise ConfigurationError(f"{self._path} cannot be read: {error.strerror}") from error
        except ValueError:
            value = None
        if not isinstance(value, dict) or not (
            isinstance(value.get("block"), int) and isinstance(value.get("transaction_id"), str)
        ):
            raise ConfigurationError(
                f"{self._path} is no checkpoint", hint="Remove it to read all events from the beginning."
            )
        if {name: value.get(name) for name in self._names} != self._names:
            raise ConfigurationError(
                f"{self._path} is a checkpoint of another channel or chaincode",
                hint="Use a file of its own for each.",
            )
        return Position(value["block"], value["transaction_id"])


def _not_there(position: Position, peer: str) -> EventsError:
    return EventsError(
        f"block {position.block} has no event of the transaction that was handled last",
        transaction_id=position.transaction_id,
        peer=peer,
        hint="The checkpoint was made on another ledger. Remove it to read all events from the beginning.",
    )
