"""One transaction's requests to the peer: the counterpart of Fabric's ChaincodeStub.

The peer drops a second request of a transaction while one is outstanding, so requests of one stub
wait for one another. Every error of the peer is raised as `PeerError`, and fails the transaction even
where its handler goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fabric_protos.common import common_pb2
from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.peer import chaincode_event_pb2, chaincode_pb2, chaincode_shim_pb2, proposal_pb2

from chaincode.fabric.errors import PeerError

#: An open start would include composite keys, which begin with U+0000.
_FIRST_KEY: Final = "\x01"

Message: Final = chaincode_shim_pb2.ChaincodeMessage
Ask = Callable[[Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the peer announced when it was READY; 0 where it does not offer a batched request."""

    writes: int = 0
    reads: int = 0

    @classmethod
    def announced(cls, payload: bytes) -> Limits:
        """From the payload of READY, which is empty before Fabric 3.1."""
        offered = chaincode_pb2.ChaincodeAdditionalParams.FromString(payload)
        return cls(
            offered.max_size_write_batch if offered.use_write_batch else 0,
            offered.max_size_get_multiple_keys if offered.use_get_multiple_keys else 0,
        )


class Stub:
    """A transaction as the peer sent it, and the ledger as the peer shows it to the transaction."""

    def __init__(self, message: Any, ask: Ask, limits: Limits) -> None:
        """Of a TRANSACTION message. Raises protobuf's DecodeError for one that cannot be read."""
        proposal = proposal_pb2.Proposal.FromString(message.proposal.proposal_bytes)
        header = common_pb2.Header.FromString(proposal.header)
        channel_header = common_pb2.ChannelHeader.FromString(header.channel_header)
        signature_header = common_pb2.SignatureHeader.FromString(header.signature_header)
        self.channel: str = message.channel_id
        self.transaction_id: str = message.txid
        #: The client's arguments, the function's name first.
        self.arguments: tuple[bytes, ...] = tuple(
            chaincode_pb2.ChaincodeInput.FromString(message.payload).args
        )
        #: The serialised identity that signed the proposal; the peer has verified both.
        self.creator: bytes = signature_header.creator
        #: The client's claim, in milliseconds since 1970-01-01T00:00:00Z.
        self.timestamp_ms: int = (
            channel_header.timestamp.seconds * 1000 + channel_header.timestamp.nanos // 1_000_000
        )
        self.event: Any = None
        #: Why the transaction must fail, whatever its handler makes of it.
        self.failure: PeerError | None = None
        self._ask = ask
        self._limits = limits
        self._turn = asyncio.Lock()

    async def get(self, key: str) -> bytes | None:
        """The committed value of ``key``, or None. What this transaction wrote is not seen."""
        return await self._request(Message.GET_STATE, chaincode_shim_pb2.GetState(key=key)) or None

    async def get_multiple(self, keys: Sequence[str]) -> list[bytes | None]:
        """The committed values of ``keys``, in order; in one request where the peer offers that."""
        if len(keys) < 2 or not self._limits.reads:
            return [await self.get(key) for key in keys]
        values: list[bytes | None] = []
        for first in range(0, len(keys), self._limits.reads):
            page = keys[first : first + self._limits.reads]
            payload = await self._request(
                Message.GET_STATE_MULTIPLE, chaincode_shim_pb2.GetStateMultiple(keys=page)
            )
            found = chaincode_shim_pb2.GetStateMultipleResult.FromString(payload).values
            if len(found) != len(page):
                raise PeerError(f"GET_STATE_MULTIPLE: {len(found)} values for {len(page)} keys")
            values += [value or None for value in found]
        return values

    async def write(self, writes: Mapping[str, bytes | None]) -> None:
        """Put each value, delete where it is None; batched where the peer offers that."""
        if not self._limits.writes:
            for key, value in writes.items():
                await self._write_one(key, value)
            return
        records = [_record(key, value) for key, value in writes.items()]
        for first in range(0, len(records), self._limits.writes):
            batch = chaincode_shim_pb2.WriteBatchState(rec=records[first : first + self._limits.writes])
            await self._request(Message.WRITE_BATCH_STATE, batch)

    async def scan(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        """At most ``limit`` pairs with start <= key < end, in key order, fetched page by page.

        The peer sets the size of its pages, and all that it read counts as read at the commit.
        """
        asked = chaincode_shim_pb2.GetStateByRange(startKey=start or _FIRST_KEY, endKey=end)
        page = await self._page(Message.GET_STATE_BY_RANGE, asked)
        pairs = _pairs(page)
        while page.has_more and len(pairs) < limit:
            page = await self._page(Message.QUERY_STATE_NEXT, chaincode_shim_pb2.QueryStateNext(id=page.id))
            pairs += _pairs(page)
        if page.has_more:
            await self._request(Message.QUERY_STATE_CLOSE, chaincode_shim_pb2.QueryStateClose(id=page.id))
        return pairs[:limit]

    def set_event(self, name: str, payload: bytes) -> None:
        """The transaction's one event; a second call replaces it."""
        self.event = chaincode_event_pb2.ChaincodeEvent(event_name=name, payload=payload)

    async def _write_one(self, key: str, value: bytes | None) -> None:
        if value is None:
            await self._request(Message.DEL_STATE, chaincode_shim_pb2.DelState(key=key))
        else:
            await self._request(Message.PUT_STATE, chaincode_shim_pb2.PutState(key=key, value=value))

    async def _page(self, kind: int, payload: Any) -> Any:
        return chaincode_shim_pb2.QueryResponse.FromString(await self._request(kind, payload))

    async def _request(self, kind: int, payload: Any) -> bytes:
        message = Message(
            type=kind,
            payload=payload.SerializeToString(),
            txid=self.transaction_id,
            channel_id=self.channel,
        )
        async with self._turn:
            if self.failure is not None:
                raise self.failure
            # Until it is answered: the answer to a request that was given up would pass for the next one's.
            self.failure = PeerError("a request was given up before it was answered")
            answer = await self._ask(message)
            self.failure = None
            if answer.type != Message.RESPONSE:
                self.failure = PeerError(answer.payload.decode(errors="replace"))
                raise self.failure
        return bytes(answer.payload)


def _pairs(page: Any) -> list[tuple[str, bytes]]:
    pairs = [kv_query_result_pb2.KV.FromString(result.resultBytes) for result in page.results]
    return [(pair.key, pair.value) for pair in pairs]


def _record(key: str, value: bytes | None) -> Any:
    record = chaincode_shim_pb2.WriteRecord
    if value is None:
        return record(key=key, type=record.DEL_STATE)
    return record(key=key, value=value, type=record.PUT_STATE)
