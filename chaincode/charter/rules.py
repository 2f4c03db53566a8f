"""When a charter may be adopted: once, by an administrator of a party that it names."""

from __future__ import annotations

from typing import Any

from chaincode.context import Caller
from chaincode.errors import Refusal


def may_adopt(current: Any, charter: Any, caller: Caller) -> Refusal | None:
    """None, or why ``caller`` may not make ``charter`` the charter."""
    if current is not None:
        return Refusal("CHARTER_EXISTS")
    parties = charter["parties"]
    if len(set(parties.values())) != len(parties):
        return Refusal("MALFORMED", field="request.parties", reason="two parties with one MSP")
    if caller.msp_id not in parties.values() or "admin" not in caller.roles:
        return Refusal("FORBIDDEN", needs="admin of a party")
    if charter["independent"] not in parties:
        return Refusal("MALFORMED", field="request.independent", reason="not a party")
    for capability, holders in charter["grants"].items():
        if any(holder["party"] not in parties for holder in holders):
            return Refusal("MALFORMED", field=f"request.grants.{capability}", reason="not a party")
    return None
