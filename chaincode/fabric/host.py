"""Runs a contract's transaction for a peer: admits the caller, invokes, and tells a refusal.

The function's name is ``contract:transaction`` and its one argument the request, canonical JSON. What
a client is told of a refusal is canonical JSON too: ``{"code": …, "facts": {…}}``, facts without values.
"""

from __future__ import annotations

import logging
import time
import traceback
import types
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, Final

from chaincode import canonical
from chaincode.context import Context
from chaincode.errors import Refusal
from chaincode.fabric.caller import certified
from chaincode.fabric.context import FabricContext
from chaincode.fabric.errors import ChaincodeError, PeerError
from chaincode.fabric.stream import Handler
from chaincode.fabric.stub import Stub
from chaincode.parties import CHARTER_KEY, DEFAULT_SKEW_MS, Parties

Invoke = Callable[[Context, str, str, bytes], Awaitable[bytes]]
Clock = Callable[[], int]

_REFUSED: Final = 400
_FAULT: Final = 500
_LOG: Final = logging.getLogger(__name__)


def system_clock() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def host(invoke: Invoke, clock: Clock = system_clock) -> Handler:
    """The handler that runs contracts by ``invoke`` (`chaincode.catalogue`); ``clock`` is the peer host's."""

    async def run(stub: Stub) -> bytes:
        try:
            return await _run(stub, invoke, clock)
        except Refusal as refusal:
            raise ChaincodeError(_told(refusal), _REFUSED) from refusal
        except PeerError as error:
            _LOG.error("transaction %s: the peer failed: %s", stub.transaction_id[:12], error)
            raise ChaincodeError(_told(Refusal("PEER_FAULT")), _FAULT) from error
        except Exception as error:
            # Where it happened, without the exception's text: that may hold what a client sent.
            frames = "".join(traceback.format_tb(error.__traceback__))
            _LOG.error(
                "transaction %s: %s in the contract\n%s",
                stub.transaction_id[:12],
                type(error).__name__,
                frames,
            )
            raise ChaincodeError(
                _told(Refusal("CONTRACT_FAULT", error=type(error).__name__)), _FAULT
            ) from error

    return run


async def _run(stub: Stub, invoke: Invoke, clock: Clock) -> bytes:
    contract, transaction, request = _call(stub.arguments)
    context = FabricContext(stub, contract, certified(stub.creator).at(stub.timestamp_ms))
    charter = await context.get(CHARTER_KEY)
    skew = Parties.of(charter).skew_ms if charter else DEFAULT_SKEW_MS
    # The claim is the client's, and re-execution looks at no clock: it is held against one here.
    if abs(clock() - stub.timestamp_ms) > skew:
        raise Refusal("CLOCK_SKEW", limit_ms=skew)
    response = await _driven(invoke(context, contract, transaction, request), context)
    await context.finish()
    return response


@types.coroutine
def _driven(running: Any, context: FabricContext) -> Generator[Any, None, bytes]:
    """What ``running`` returns. It may wait for its context and nothing else, as on every host."""
    step: Callable[[], Any] = partial(running.send, None)
    while True:
        try:
            waits_for = step()
        except StopIteration as done:
            response: bytes = done.value
            return response
        if not context.asking:
            running.close()
            raise Refusal("CONTRACT_FAULT", error="awaits something that is not its context")
        try:
            yield waits_for
            step = partial(running.send, None)
        except BaseException as error:  # a cancellation is the contract's to see first
            step = partial(running.throw, error)


def _call(arguments: tuple[bytes, ...]) -> tuple[str, str, bytes]:
    if len(arguments) != 2:
        raise Refusal("MALFORMED", field="arguments", reason="not contract:transaction and a request")
    try:
        contract, separator, transaction = arguments[0].decode("ascii").partition(":")
    except UnicodeDecodeError:
        raise Refusal("UNKNOWN_CONTRACT") from None
    if not separator:
        raise Refusal("MALFORMED", field="arguments", reason="not contract:transaction and a request")
    return contract, transaction, arguments[1]


def _told(refusal: Refusal) -> str:
    return canonical.encode({"code": refusal.code, "facts": refusal.facts}).decode()
