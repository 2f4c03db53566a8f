"""The contracts by name, and the one way into them that every host uses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from chaincode import canonical
from chaincode.charter import contract as charter
from chaincode.context import Context
from chaincode.errors import Refusal
from chaincode.host_limits import MAX_REQUEST
from chaincode.provenance import contract as provenance

Transaction = Callable[[Context, Any], Awaitable[Any]]

CONTRACTS: Final[Mapping[str, Mapping[str, Transaction]]] = {
    "charter": charter.TRANSACTIONS,
    "provenance": provenance.TRANSACTIONS,
}


async def invoke(context: Context, contract: str, transaction: str, request: bytes) -> bytes:
    """Run one transaction on canonical JSON and return its result as canonical JSON.

    Raises `Refusal` UNKNOWN_CONTRACT, UNKNOWN_TRANSACTION, TOO_LARGE, NOT_CANONICAL, or the contract's own.
    """
    if contract not in CONTRACTS:
        raise Refusal("UNKNOWN_CONTRACT")
    if transaction not in CONTRACTS[contract]:
        raise Refusal("UNKNOWN_TRANSACTION")
    if len(request) > MAX_REQUEST:
        raise Refusal("TOO_LARGE", limit_bytes=MAX_REQUEST)
    try:
        value = canonical.decode(request)
    except canonical.NotCanonical:
        raise Refusal("NOT_CANONICAL", field="request") from None
    return canonical.encode(await CONTRACTS[contract][transaction](context, value))
