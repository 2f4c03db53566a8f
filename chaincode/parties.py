"""Who may do what, as the charter names it. No MSP name stands in code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from chaincode import canonical
from chaincode.context import Caller, Context
from chaincode.errors import Refusal

CHARTER_KEY: Final = "charter/charter"
#: What a host takes for the charter's `skew_ms` as long as there is no charter.
DEFAULT_SKEW_MS: Final = 300_000


@dataclass(frozen=True, slots=True)
class Parties:
    """The charter's parties and grants."""

    charter: Any

    @classmethod
    async def load(cls, context: Context) -> Parties:
        """Raises `Refusal` NO_CHARTER before the first record."""
        data = await context.get(CHARTER_KEY)
        if data is None:
            raise Refusal("NO_CHARTER")
        return cls.of(data)

    @classmethod
    def of(cls, data: bytes) -> Parties:
        """From the bytes at `CHARTER_KEY`."""
        return _parse(data)

    @property
    def skew_ms(self) -> int:
        """How far a claimed time may lie off another clock, in milliseconds."""
        skew: int = self.charter["skew_ms"]
        return skew

    def require(self, capability: str, caller: Caller) -> None:
        """Raise `Refusal` FORBIDDEN unless the charter grants ``capability`` to the caller."""
        parties = self.charter["parties"]
        for holder in self.charter["grants"].get(capability, []):
            if parties[holder["party"]] == caller.msp_id and holder["role"] in caller.roles:
                return
        raise Refusal("FORBIDDEN", needs=capability)

    def require_member(self, caller: Caller) -> None:
        """Raise `Refusal` FORBIDDEN for a caller of no party."""
        if caller.msp_id not in self.charter["parties"].values():
            raise Refusal("FORBIDDEN", needs="member")


@lru_cache(maxsize=8)
def _parse(data: bytes) -> Parties:
    # A pure function of committed bytes, which every transaction of every contract reads.
    return Parties(canonical.decode(data))
