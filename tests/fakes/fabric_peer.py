"""A Fabric peer's side of a chaincode stream, over real gRPC with mutual TLS and a state in memory.

As strict as the real one where that can be seen: a second request of a transaction while one is
outstanding is dropped (and noted), and a message that its version does not know ends the stream.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from fabric_protos.common import common_pb2
from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2, proposal_pb2, proposal_response_pb2

shim = chaincode_shim_pb2
Message = shim.ChaincodeMessage
CHANNEL = "audit"


@dataclass
class Outcome:
    """What came of a transaction: the response, the event, and what it asked of the peer."""

    status: int
    message: str
    payload: bytes
    event: Any
    writes: dict[str, bytes | None]
    requests: list[int]


@dataclass
class _Transaction:
    done: asyncio.Future[Any]
    writes: dict[str, bytes | None] = field(default_factory=dict)
    requests: list[int] = field(default_factory=list)
    outstanding: bool = False
    pages: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)


class FakePeer:
    """One connected peer. ``writes`` and ``reads`` are the limits it announces; None: before Fabric 3.1."""

    def __init__(self, call: Any, writes: int | None, reads: int | None, page: int) -> None:
        self._call = call
        self._limits = (writes, reads)
        self._page = page
        self._transactions: dict[str, _Transaction] = {}
        self._writing = asyncio.Lock()
        self.state: dict[str, bytes] = {}
        self.registered = ""
        self.overlapping = 0
        self.kept_alive = 0
        self._ready = asyncio.Event()
        self.batch_sizes: list[int] = []
        #: Kinds of message that are answered with ERROR, or never.
        self.failing: set[int] = set()
        self.silent: set[int] = set()

    async def serve(self) -> None:
        """Answer the chaincode until it ends the stream."""
        while (message := await self._call.read()) is not grpc.aio.EOF:
            await self._take(message)
        for transaction in self._transactions.values():
            if not transaction.done.done():
                transaction.done.set_exception(ConnectionError("the chaincode ended the stream"))

    async def begin(
        self,
        *arguments: bytes,
        creator: tuple[str, bytes] = ("OperatorMSP", b""),
        time_ms: int | None = None,
        txid: str | None = None,
        kind: int = Message.TRANSACTION,
        raw_proposal: bytes | None = None,
    ) -> str:
        """Send a transaction once the chaincode was told that the peer is ready; returns its id."""
        await self._ready.wait()
        txid = txid or secrets.token_hex(32)
        proposal = _proposal(creator, time.time_ns() // 1_000_000 if time_ms is None else time_ms)
        self._transactions.setdefault(txid, _Transaction(asyncio.get_running_loop().create_future()))
        signed = proposal_pb2.SignedProposal(
            proposal_bytes=proposal if raw_proposal is None else raw_proposal
        )
        payload = chaincode_pb2.ChaincodeInput(args=arguments).SerializeToString()
        await self._send(Message(type=kind, txid=txid, channel_id=CHANNEL, payload=payload, proposal=signed))
        return txid

    async def outcome(self, txid: str) -> Outcome:
        """What came of the transaction."""
        transaction = self._transactions[txid]
        message = await asyncio.wait_for(asyncio.shield(transaction.done), 10)
        response = proposal_response_pb2.Response.FromString(message.payload)
        event = message.chaincode_event if message.HasField("chaincode_event") else None
        return Outcome(
            response.status,
            response.message,
            response.payload,
            event,
            transaction.writes,
            transaction.requests,
        )

    async def invoke(self, *arguments: bytes, **how: Any) -> Outcome:
        """Send a transaction and wait for what comes of it; a good one's writes are committed."""
        outcome = await self.outcome(await self.begin(*arguments, **how))
        if outcome.status < 400:
            for key, value in outcome.writes.items():
                if value is None:
                    self.state.pop(key, None)
                else:
                    self.state[key] = value
        return outcome

    async def keepalive(self) -> None:
        """Ask for a sign of life; `kept_alive` counts the answers."""
        await self._send(Message(type=Message.KEEPALIVE))

    async def _take(self, message: Any) -> None:
        if message.type == Message.REGISTER:
            self.registered = chaincode_pb2.ChaincodeID.FromString(message.payload).name
            await self._send(Message(type=Message.REGISTERED))
            await self._send(Message(type=Message.READY, payload=self._announced()))
            self._ready.set()
        elif message.type == Message.KEEPALIVE:
            self.kept_alive += 1
        elif message.type == Message.COMPLETED:
            done = self._transactions[message.txid].done
            if not done.done():
                done.set_result(message)
        else:
            await self._request(message)

    async def _request(self, message: Any) -> None:
        transaction = self._transactions[message.txid]
        transaction.requests.append(message.type)
        if transaction.outstanding:
            self.overlapping += 1
            return
        if message.type in self.silent:
            return
        transaction.outstanding = True
        task = asyncio.create_task(self._respond(message, transaction))
        task.add_done_callback(lambda done: done.exception())

    async def _respond(self, message: Any, transaction: _Transaction) -> None:
        await asyncio.sleep(0)  # so that requests that overlap are seen to
        answer = Message(type=Message.RESPONSE, txid=message.txid, channel_id=message.channel_id)
        if message.type in self.failing:
            answer.type, answer.payload = Message.ERROR, b"the state database failed"
        else:
            answer.payload = self._answer(message, transaction)
        transaction.outstanding = False
        await self._send(answer)

    def _answer(self, message: Any, transaction: _Transaction) -> bytes:
        kind, payload = message.type, message.payload
        if kind == Message.GET_STATE:
            return self.state.get(shim.GetState.FromString(payload).key, b"")
        if kind == Message.GET_STATE_MULTIPLE and self._limits[1]:
            keys = shim.GetStateMultiple.FromString(payload).keys
            self.batch_sizes.append(len(keys))
            return shim.GetStateMultipleResult(
                values=[self.state.get(key, b"") for key in keys]
            ).SerializeToString()
        if kind == Message.PUT_STATE:
            put = shim.PutState.FromString(payload)
            transaction.writes[put.key] = put.value
            return b""
        if kind == Message.DEL_STATE:
            transaction.writes[shim.DelState.FromString(payload).key] = None
            return b""
        if kind == Message.WRITE_BATCH_STATE and self._limits[0]:
            records = shim.WriteBatchState.FromString(payload).rec
            self.batch_sizes.append(len(records))
            for record in records:
                deleted = record.type == shim.WriteRecord.DEL_STATE
                transaction.writes[record.key] = None if deleted else record.value
            return b""
        if kind == Message.GET_STATE_BY_RANGE:
            asked = shim.GetStateByRange.FromString(payload)
            found = sorted(pair for pair in self.state.items() if asked.startKey <= pair[0] < asked.endKey)
            transaction.pages["scan"] = found
            return self._next_page(transaction)
        if kind == Message.QUERY_STATE_NEXT:
            return self._next_page(transaction)
        if kind == Message.QUERY_STATE_CLOSE:
            transaction.pages.clear()
            return b""
        self._call.cancel()
        raise AssertionError(f"a message that this peer does not know: {kind}")

    def _next_page(self, transaction: _Transaction) -> bytes:
        rest = transaction.pages["scan"]
        page, transaction.pages["scan"] = rest[: self._page], rest[self._page :]
        results = [
            shim.QueryResultBytes(
                resultBytes=kv_query_result_pb2.KV(key=key, value=value).SerializeToString()
            )
            for key, value in page
        ]
        more = bool(transaction.pages["scan"])
        return shim.QueryResponse(results=results, has_more=more, id="scan").SerializeToString()

    def _announced(self) -> bytes:
        writes, reads = self._limits
        if writes is None and reads is None:
            return b""
        return chaincode_pb2.ChaincodeAdditionalParams(
            use_write_batch=bool(writes),
            max_size_write_batch=writes or 0,
            use_get_multiple_keys=bool(reads),
            max_size_get_multiple_keys=reads or 0,
        ).SerializeToString()

    async def _send(self, message: Any) -> None:
        async with self._writing:
            await self._call.write(message)


def channel_to(port: int, certificate: bytes, key: bytes, server: bytes) -> Any:
    """A channel with mutual TLS to the chaincode server whose certificate's authority is ``server``."""
    credentials = grpc.ssl_channel_credentials(server, key, certificate)
    return grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials)


def connect(channel: Any) -> Any:
    """The Connect call of a peer."""
    return channel.stream_stream(
        "/protos.Chaincode/Connect",
        request_serializer=Message.SerializeToString,
        response_deserializer=Message.FromString,
    )()


@asynccontextmanager
async def connected(
    channel: Any, *, writes: int | None = 1000, reads: int | None = 1000, page: int = 100
) -> AsyncIterator[FakePeer]:
    """A peer that is connected and registered, for as long as the context lasts."""
    call = connect(channel)
    peer = FakePeer(call, writes, reads, page)
    serving = asyncio.create_task(peer.serve())
    try:
        while not peer.registered and not serving.done():
            await asyncio.sleep(0.005)
        yield peer
    finally:
        call.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def _proposal(creator: tuple[str, bytes], time_ms: int) -> bytes:
    channel_header = common_pb2.ChannelHeader(channel_id=CHANNEL)
    channel_header.timestamp.FromMilliseconds(time_ms)
    identity = identities_pb2.SerializedIdentity(mspid=creator[0], id_bytes=creator[1])
    signature_header = common_pb2.SignatureHeader(creator=identity.SerializeToString(), nonce=b"n" * 24)
    header = common_pb2.Header(
        channel_header=channel_header.SerializeToString(),
        signature_header=signature_header.SerializeToString(),
    )
    return proposal_pb2.Proposal(header=header.SerializeToString()).SerializeToString()
