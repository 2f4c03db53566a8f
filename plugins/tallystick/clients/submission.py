"""How every client submits: what others changed meanwhile is tried again, here and nowhere else."""

from __future__ import annotations

import random
import time
from typing import Final

from tallystick.errors import Refused
from tallystick.identity import Identity
from tallystick.ledger.port import Call, Ledger, Receipt

ATTEMPTS: Final = 8
#: What a transaction had read was written by another one before it was ordered. Nothing of it is applied.
CONFLICTS: Final = frozenset({"MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT"})

_PAUSE: Final = 0.01


def submit(ledger: Ledger, identity: Identity, call: Call) -> Receipt:
    """`Ledger.submit`, again where it conflicts with another, at most `ATTEMPTS` times in all.

    Raises as `Ledger.submit` does; the last conflict, where there was no end of them.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return ledger.submit(identity, call)
        except Refused as refused:
            if refused.code not in CONFLICTS:
                raise
        # Two that conflicted and wait equally long conflict again.
        time.sleep(random.uniform(0, _PAUSE * 2**attempt))  # noqa: S311 - no secret
    return ledger.submit(identity, call)
