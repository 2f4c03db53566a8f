"""Transactions of the charter."""

from __future__ import annotations

from typing import Any, Final

from chaincode import canonical
from chaincode.charter import rules
from chaincode.charter.records import CHARTER
from chaincode.context import Context
from chaincode.draft import Draft
from chaincode.parties import CHARTER_KEY, Parties


async def adopt(context: Context, request: Any) -> Any:
    """Adopt the charter, the first record of a ledger; returns the record's id and digest."""
    CHARTER(request, "request")
    draft = Draft(context, request["skew_ms"])
    refusal = rules.may_adopt(await draft.get(CHARTER_KEY), request, context.caller)
    if refusal:
        raise refusal
    digest = await draft.record("charter", "charter/1", canonical.encode(request), ["charter:1"])
    draft.put(CHARTER_KEY, {**request, "record": {"id": "charter/1", "digest": {"sha256": digest}}})
    await draft.close()
    return {"id": "charter/1", "digest": {"sha256": digest}}


async def read(context: Context, request: Any) -> Any:
    """The charter in force, for any party of it. The request is ``{}``."""
    parties = await Parties.load(context)
    parties.require_member(context.caller)
    return parties.charter


TRANSACTIONS: Final = {"adopt": adopt, "read": read}
