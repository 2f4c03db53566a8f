"""What every step works with; `wiring.open_workspace` makes it."""

from __future__ import annotations

from dataclasses import dataclass

from tallystick.clients.provenance import Provenance
from tallystick.fingerprint.keys import Keyring
from tallystick.ledger.port import Ledger
from tallystick.settings import Settings
from tallystick.store import Store


@dataclass(frozen=True)
class Workspace:
    """The store, the keys, the ledger, and the door to provenance through which the steps write."""

    settings: Settings
    store: Store
    keyring: Keyring
    ledger: Ledger
    provenance: Provenance

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the ledger."""
        self.ledger.close()
