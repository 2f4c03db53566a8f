"""The only place that chooses adapters: a ledger by its URL, with everything it needs from the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from tallystick.clients.provenance import Provenance
from tallystick.errors import InvalidInput
from tallystick.fingerprint.keys import Keyring
from tallystick.identity import load_log_key, load_user
from tallystick.ledger.port import Ledger
from tallystick.reports.index import IndexedRecords
from tallystick.settings import Settings
from tallystick.steps.workspace import Workspace
from tallystick.store import Store

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from tallystick.evidence.judged import HostChain
    from tallystick.identity import Identity
    from tallystick.ledger.embedded.ledger import EmbeddedLedger
    from tallystick.ledger.embedded.rebuild import Rebuilt
    from tallystick.ledger.embedded.stored import StoredFile
    from tallystick.proof.block import Config
    from tallystick.proof.membership import Msp


def open_ledger(settings: Settings) -> Ledger:
    """The ledger that ``settings.ledger_url`` names; for reading only where its signing key is not here.

    Raises `CouldNotCheck` where there is no ledger and `InvalidInput` for a URL of no known kind.
    """
    return open_embedded(settings)


def open_for_reading(settings: Settings) -> Ledger:
    """The ledger for whoever only reads: as `open_ledger`, and touches no key."""
    from tallystick.ledger.embedded.ledger import EmbeddedLedger

    return EmbeddedLedger(embedded_path(settings), refusals=settings.refusals)


def open_workspace(settings: Settings, *, writing: bool = True) -> Workspace:
    """Everything the steps work with, signing as ``settings.msp_id`` and ``settings.user``.

    Where nothing is recorded (not ``writing``) the ledger's own key is not needed. Raises as `open_ledger`
    does, and `InvalidInput` where there is no such user here.
    """
    identity = load_user(settings.msp, settings.msp_id, settings.user)
    ledger = open_ledger(settings) if writing else open_for_reading(settings)
    return Workspace(
        settings,
        Store(settings.objects),
        Keyring(settings.keys),
        ledger,
        IndexedRecords(settings.index, ledger),
        Provenance(ledger, identity),
    )


def embedded_path(settings: Settings) -> Path:
    """The file of a ``sqlite:///`` URL. Raises `InvalidInput` for any other."""
    scheme, _, path = settings.ledger_url.partition("://")
    if scheme != "sqlite" or not path.startswith("/") or not path.strip("/"):
        raise InvalidInput(
            f"no ledger answers to {settings.ledger_url}",
            hint="Set TALLYSTICK_LEDGER to sqlite:///absolute/path/ledger.db",
        )
    return Path("/" + path.lstrip("/"))


def has_ledger(settings: Settings) -> bool:
    """Whether there is a ledger. Raises `InvalidInput` for a URL of no known kind."""
    return embedded_path(settings).exists()


def found_ledger(
    settings: Settings, *, name: str, msps: Sequence[Msp], admin: Identity, log_key: Ed25519PrivateKey
) -> None:
    """Make the ledger with its first block (`ledger.embedded.genesis`)."""
    from tallystick.ledger.embedded.genesis import create_ledger

    create_ledger(embedded_path(settings), name=name, msps=msps, admin=admin, log_key=log_key)


def reconfigure(
    settings: Settings, admin: Identity, *, msps: Sequence[Msp] | None = None, package: str | None = None
) -> int:
    """Put other members or contracts in force (`ledger.embedded.genesis`); returns the block's number."""
    from tallystick.ledger.embedded.genesis import reconfigure

    with closing(open_embedded(settings)) as ledger:
        return reconfigure(ledger, admin, msps=msps, package=package)


def rebuild(settings: Settings, progress: Callable[[int], None] | None = None) -> Rebuilt:
    """Make what is derived from the ledger's blocks again (`ledger.embedded.rebuild`)."""
    from tallystick.ledger.embedded.rebuild import rebuild

    return rebuild(embedded_path(settings), progress)


def stored_ledger(settings: Settings) -> StoredFile:
    """The ledger's file as it is, for whoever verifies it; a context manager."""
    from tallystick.ledger.embedded.stored import StoredFile

    return StoredFile(embedded_path(settings))


def stored_chain(stored: StoredFile) -> HostChain:
    """How the blocks of such a ledger are judged."""
    from tallystick.evidence.chain import Chain

    return Chain(stored.blocks())


def config_in_force(settings: Settings) -> Config:
    """The configuration in force, which only this kind of ledger has. Touches no key."""
    from tallystick.ledger.embedded.ledger import EmbeddedLedger

    with closing(EmbeddedLedger(embedded_path(settings))) as ledger:
        return ledger.config


def open_embedded(settings: Settings) -> EmbeddedLedger:
    """`open_ledger`, with the configuration that only this kind of ledger has."""
    from tallystick.ledger.embedded.ledger import EmbeddedLedger

    key = load_log_key(settings.log_key) if settings.log_key.exists() else None
    return EmbeddedLedger(embedded_path(settings), log_key=key, refusals=settings.refusals)
