"""One peer's stream: registers, takes transactions, carries their requests, answers.

Many transactions are in flight at once on one stream, so writes to it are locked. When the stream
ends, what is in flight is cancelled: the peer has given it up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import grpc
from fabric_protos.peer import chaincode_pb2, proposal_response_pb2
from google.protobuf.message import DecodeError

from chaincode.fabric.errors import ChaincodeError, PeerError
from chaincode.fabric.stub import Limits, Message, Stub

#: Runs one transaction and returns its response; raises `ChaincodeError` to refuse it.
Handler = Callable[[Stub], Awaitable[bytes]]

_OK: Final = 200
_FAULT: Final = 500
#: Longer than a peer lets a transaction run: what comes later than that, nobody waits for.
_REQUEST_SECONDS: Final = 60
_LOG: Final = logging.getLogger(__name__)


class Transport(Protocol):
    """The two calls of a `grpc.aio.ServicerContext` that a stream is made of."""

    async def read(self) -> Any:
        """The next message of the peer, or `grpc.aio.EOF`."""

    async def write(self, message: Any) -> None:
        """Send a message."""


class Stream:
    """The chaincode's side of a stream with one peer."""

    def __init__(self, transport: Transport, chaincode_id: str, handler: Handler) -> None:
        self._transport = transport
        self._chaincode_id = chaincode_id
        self._handler = handler
        self._limits = Limits()
        self._writing = asyncio.Lock()
        #: By (channel, transaction id): where the answer to the one outstanding request goes.
        self._waiting: dict[tuple[str, str], asyncio.Future[Any]] = {}
        self._active: set[tuple[str, str]] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    async def run(self) -> None:
        """Serve until the peer leaves or `close` is called."""
        registration = chaincode_pb2.ChaincodeID(name=self._chaincode_id).SerializeToString()
        reading = asyncio.create_task(self._read())
        closing = asyncio.create_task(self._closing.wait())
        try:
            await self._send(Message(type=Message.REGISTER, payload=registration))
            await asyncio.wait({reading, closing}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
            elif self._running:
                await asyncio.wait(self._running)
        finally:
            await _cancelled(reading, closing, *self._running)

    def close(self) -> None:
        """Take no more transactions and end the stream when those in flight are answered."""
        self._closing.set()

    async def _read(self) -> None:
        while (message := await self._transport.read()) is not grpc.aio.EOF:
            if message.type in (Message.RESPONSE, Message.ERROR):
                waiting = self._waiting.pop((message.channel_id, message.txid), None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            elif message.type == Message.TRANSACTION:
                self._start(message)
            elif message.type == Message.READY:
                self._limits = Limits.announced(message.payload)
            elif message.type == Message.KEEPALIVE:
                await self._send(message)
            elif message.type != Message.REGISTERED:
                await self._complete(
                    message, _answer(_FAULT, "not a message that this chaincode takes"), None
                )

    def _start(self, message: Any) -> None:
        key = (message.channel_id, message.txid)
        # The second of one id would take the first one's answers.
        taken = key not in self._active and not self._closing.is_set()
        task = asyncio.create_task(self._transaction(message) if taken else self._turn_away(message))
        self._running.add(task)
        task.add_done_callback(self._finished)
        if taken:
            self._active.add(key)
            task.add_done_callback(lambda _: self._active.discard(key))

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.warning("an answer could not be sent: %s", type(error).__name__)

    async def _turn_away(self, message: Any) -> None:
        # That the process ends is what clients ask another peer upon (tallystick.ledger.fabric).
        why = "the chaincode is ending" if self._closing.is_set() else "not taken"
        await self._complete(message, _answer(_FAULT, why), None)

    async def _transaction(self, message: Any) -> None:
        event = None
        try:
            stub = Stub(message, self._ask, self._limits)
            payload = await self._handler(stub)
            if stub.failure is not None:
                raise stub.failure
            answer, event = _answer(_OK, payload=payload), stub.event
        except ChaincodeError as error:
            answer = _answer(error.status, error.message)
        except DecodeError:
            answer = _answer(_FAULT, "the proposal cannot be read")
        except Exception as error:
            # Its text may hold what a client sent: the class alone is told.
            _LOG.exception("transaction %s failed", message.txid[:12])
            answer = _answer(_FAULT, type(error).__name__)
        await self._complete(message, answer, event)

    async def _ask(self, message: Any) -> Any:
        key = (message.channel_id, message.txid)
        answer = self._waiting[key] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                await self._send(message)
                return await answer
        except TimeoutError:
            raise PeerError(f"no answer within {_REQUEST_SECONDS} s") from None
        finally:
            self._waiting.pop(key, None)

    async def _complete(self, message: Any, answer: Any, event: Any) -> None:
        await self._send(
            Message(
                type=Message.COMPLETED,
                payload=answer.SerializeToString(),
                txid=message.txid,
                channel_id=message.channel_id,
                chaincode_event=event,
            )
        )

    async def _send(self, message: Any) -> None:
        async with self._writing:
            await self._transport.write(message)


def _answer(status: int, message: str = "", payload: bytes = b"") -> Any:
    return proposal_response_pb2.Response(status=status, message=message, payload=payload)


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task
