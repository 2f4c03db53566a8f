"""A contract that tries what hosts must allow and forbid. Every host runs these very transactions."""

from __future__ import annotations

import asyncio
from typing import Any

from chaincode import canonical
from chaincode.context import Context, after
from chaincode.errors import Refusal

PAGE = 3


async def invoke(context: Context, contract: str, transaction: str, request: bytes) -> bytes:
    """The probe's way in, of the same form as `chaincode.catalogue.invoke`."""
    if (contract, transaction) == ("charter", "adopt"):
        return canonical.encode(None)
    return canonical.encode(await _TRANSACTIONS[transaction](context, canonical.decode(request)))


async def _put(context: Context, request: Any) -> Any:
    for key, value in request.items():
        if value is None:
            await context.delete(key)
        else:
            await context.put(key, value.encode())


async def _get(context: Context, request: Any) -> Any:
    value = await context.get(request)
    return None if value is None else value.decode()


async def _get_many(context: Context, request: Any) -> Any:
    return [value and value.decode() for value in await context.get_many(request)]


async def _get_each(context: Context, request: Any) -> Any:
    return [await _get(context, key) for key in request]


async def _count(context: Context, request: Any) -> Any:
    keys, destination = request
    found = await context.get_many(keys)
    await context.put(destination, str(len(found) - found.count(None)).encode())


async def _get_after_put(context: Context, request: Any) -> Any:
    await context.put(request, b"new")
    value, again = await context.get(request), await context.get_many([request])
    assert again == [value]
    return None if value is None else value.decode()


async def _scan(context: Context, request: Any) -> Any:
    start, end = request
    found: list[str] = []
    while page := await context.scan(start, end, PAGE):
        found += [key for key, _ in page]
        start = after(page[-1][0])
    return found


async def _scan_and_put(context: Context, request: Any) -> Any:
    found = await context.scan("probe/a", "probe/b", 100)
    await context.put(request, str(len(found)).encode())
    return len(found)


async def _copy(context: Context, request: Any) -> Any:
    source, destination = request
    value = await context.get(source)
    await context.put(destination, value or b"nothing")


async def _emit(context: Context, request: Any) -> Any:
    for size in request:
        context.emit(b'"' + b"x" * (size - 2) + b'"')


async def _emit_and_refuse(context: Context, request: Any) -> Any:
    await context.put("probe/refused", b"1")
    context.emit(b'"refused"')
    raise Refusal("NO", field="x")


async def _fault(context: Context, request: Any) -> Any:
    await context.put("probe/faulty", b"1")
    raise ValueError(request)


async def _sleep(context: Context, request: Any) -> Any:
    await context.put("probe/asleep", b"1")
    await asyncio.sleep(0)


async def _whoami(context: Context, request: Any) -> Any:
    caller = context.caller
    return [
        caller.msp_id,
        caller.enrolment_id,
        sorted(caller.roles),
        context.transaction_id,
        context.claimed_time,
    ]


_TRANSACTIONS = {
    "put": _put,
    "get": _get,
    "get_many": _get_many,
    "get_each": _get_each,
    "count": _count,
    "get_after_put": _get_after_put,
    "scan": _scan,
    "scan_and_put": _scan_and_put,
    "copy": _copy,
    "emit": _emit,
    "emit_and_refuse": _emit_and_refuse,
    "fault": _fault,
    "sleep": _sleep,
    "whoami": _whoami,
}
