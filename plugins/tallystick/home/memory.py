"""A ledger against what this machine saw of it: an older home must not be written on unnoticed."""

from __future__ import annotations

import logging
from contextlib import closing

from tallystick import heads, wiring
from tallystick.errors import CouldNotCheck, NotAsRecorded
from tallystick.ledger.port import Ledger
from tallystick.proof.checkpoint import Checkpoint, head_of
from tallystick.proof.errors import ProofError
from tallystick.settings import Settings


def contradiction(settings: Settings, ledger: Ledger) -> str:
    """How ``ledger`` contradicts the last head that this machine saw of it; empty where it does not.

    Raises `CouldNotCheck` where what is remembered cannot be read.
    """
    seen = last_seen(settings, ledger.origin)
    if seen is None or heads.extends(seen, ledger.consistency_proof):
        return ""
    now = head_of(ledger.checkpoint())
    if now.size < seen.size:
        told = f"it has {now.size:,} leaves, and this machine saw {seen.size:,}: records were taken away"
    else:
        told = f"it does not extend the head of {seen.size:,} leaves that this machine saw: it was rewritten"
    return f"{told}, or another copy of this home wrote on: two homes cannot continue one ledger"


def last_seen(settings: Settings, origin: str) -> Checkpoint | None:
    """The last head of ``origin`` that this machine saw, if any. Raises `CouldNotCheck`."""
    note = heads.last_head(settings.state_dir, origin)
    try:
        return None if note is None else head_of(note)
    except ProofError:
        path = heads.head_path(settings.state_dir, origin)
        raise CouldNotCheck(
            f"what this machine remembers of the ledger is damaged: {path}",
            hint="Compare with a checkpoint kept elsewhere (tally verify --since FILE), then move it away.",
        ) from None


def require_latest(settings: Settings) -> None:
    """Refuse to write on a ledger that is older than what this machine saw of it, or another than that.

    Raises `NotAsRecorded`, and `CouldNotCheck` as `contradiction` does.
    """
    with closing(wiring.open_for_reading(settings)) as ledger:
        problem = contradiction(settings, ledger)
        path = heads.head_path(settings.state_dir, ledger.origin)
    if problem:
        raise NotAsRecorded(
            f"the ledger {settings.ledger_url} is not the one this machine saw last: {problem}",
            hint="Nothing was recorded. Put the newer home back, or go on in the copy that wrote on;"
            " keep this one for the auditor.\nFor a try beside it make a home of its own, not a copy:"
            " TALLYSTICK_HOME=DIR tally init\n"
            f"To go on from here all the same, move away what remembers the other, and keep it: {path}",
        )


def remember(settings: Settings) -> None:
    """Keep the ledger's head outside the home. Where it cannot be kept that is said: nothing hangs on it.

    Raises `NotAsRecorded` as `heads.remember_head` does.
    """
    try:
        with closing(wiring.open_for_reading(settings)) as ledger:
            heads.remember_head(settings.state_dir, ledger.checkpoint(), ledger.consistency_proof)
    except CouldNotCheck as error:
        logging.getLogger(__name__).warning("This head is not remembered here: %s", error.message)
