"""The only place that chooses adapters: a ledger by its URL, with everything it needs from the settings."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from tallystick.errors import InvalidInput
from tallystick.identity import load_log_key
from tallystick.ledger.port import Ledger
from tallystick.settings import Settings


def open_ledger(settings: Settings) -> Ledger:
    """The ledger that ``settings.ledger_url`` names; for reading only where its signing key is not here.

    Raises `CouldNotCheck` where there is no ledger and `InvalidInput` for a URL of no known kind.
    """
    from tallystick.ledger.embedded.ledger import EmbeddedLedger

    key = load_log_key(settings.log_key) if settings.log_key.exists() else None
    return EmbeddedLedger(embedded_path(settings), log_key=key, refusals=settings.refusals)


def embedded_path(settings: Settings) -> Path:
    """The file of a ``sqlite:///`` URL. Raises `InvalidInput` for any other."""
    url = urlsplit(settings.ledger_url)
    if url.scheme != "sqlite" or url.netloc or not url.path:
        raise InvalidInput(
            f"no ledger answers to {settings.ledger_url}",
            hint="Set TALLYSTICK_LEDGER to sqlite:///absolute/path/ledger.db",
        )
    return Path(url.path[1:] if url.path.startswith("//") else url.path)
