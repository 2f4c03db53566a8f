"""What every step works with; `wiring.open_workspace` makes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from tallystick.clients.provenance import Provenance
from tallystick.fingerprint.keys import Keyring
from tallystick.ledger.port import Ledger, LoggedRecord
from tallystick.settings import Settings
from tallystick.store import Store


class Records(Protocol):
    """Where records are looked up by their ids. Quick, and believed by nobody: see `steps.records`."""

    def find(self, ids: Collection[str]) -> Mapping[str, LoggedRecord]:
        """Those of the ids that it knows."""


@dataclass(frozen=True)
class Workspace:
    """The store, the keys, the ledger, its records by id, and the door to provenance through which the
    steps write."""

    settings: Settings
    store: Store
    keyring: Keyring
    ledger: Ledger
    records: Records
    provenance: Provenance

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the ledger."""
        self.ledger.close()
