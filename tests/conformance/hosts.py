"""The hosts that every scenario runs on, and what a scenario may ask of one. A new host is one entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from support import ledgers
from support.channels import CHANNELS, revoke_reader

from tallystick.identity import Identity


class Host(ledgers.Host, Protocol):
    """What every scenario may use."""

    @property
    def pipeline(self) -> Identity: ...
    def submit(
        self, transaction: str, request: Any, *, identity: Identity | None = None, **options: Any
    ) -> Any: ...


#: What only some hosts have; a scenario asks for it with `pytest.mark.needs`.
CLOCK: Final = "a clock that can be set: host.clock.offset"
ENDORSING: Final = "endorsing and committing apart: ledger.endorse, ledger.commit"
SHARED_BLOCKS: Final = "transactions that see what earlier ones of their block left: ledger.submit_many"


@dataclass(frozen=True)
class Kind:
    """How a host is made: (directory, invoke=…, adopt=…) -> Host; how a certificate of its operator is
    revoked: Host -> its serial number in hex; and what of the above it has."""

    make: Callable[..., Host]
    revoke: Callable[[Any], str]
    has: frozenset[str]


HOSTS: Final[Mapping[str, Kind]] = {
    "embedded": Kind(ledgers.make_host, ledgers.revoke_reader, frozenset({CLOCK, ENDORSING, SHARED_BLOCKS})),
    "fabric": Kind(CHANNELS.make_host, revoke_reader, frozenset({ENDORSING})),
}
