"""The door to the charter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chaincode.parties import DEFAULT_SKEW_MS
from tallystick.identity import Identity
from tallystick.ledger.port import Call, Ledger, Receipt


def adopt(
    ledger: Ledger,
    admin: Identity,
    *,
    parties: Mapping[str, str],
    independent: str,
    grants: Mapping[str, Sequence[tuple[str, str]]],
) -> Receipt:
    """Adopt the first record. ``parties`` maps names to MSPs, ``grants`` capabilities to (party, role).

    Raises `Refused` where there is a charter already or ``admin`` may not.
    """
    request = {
        "origin": ledger.origin,
        "parties": dict(parties),
        "independent": independent,
        "grants": {
            capability: [{"party": party, "role": role} for party, role in holders]
            for capability, holders in grants.items()
        },
        "skew_ms": DEFAULT_SKEW_MS,
        "log_format": "tallystick-log-v1",
    }
    return ledger.submit(admin, Call("charter", "adopt", request))


def read(ledger: Ledger, identity: Identity) -> Any:
    """The charter in force. Raises `Refused` NO_CHARTER before there is one."""
    return ledger.evaluate(identity, Call("charter", "read", {}))
