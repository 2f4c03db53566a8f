"""The host's own log of refused transactions: one JSON line each, never the payload."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from chaincode.errors import Refusal
from tallystick.ledger.embedded.proposals import SignedProposal


class RefusalLog:
    """Appends to a file of mode 0600. The log is the host's memory, not part of the ledger."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, proposal: SignedProposal, msp_id: str, enrolment_id: str, refusal: Refusal) -> None:
        """Note who was refused what and why; the proposal only as its digest."""
        line = json.dumps(
            {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "proposal": sha256(proposal.data).hexdigest(),
                "msp": msp_id,
                "enrolment_id": enrolment_id,
                "code": refusal.code,
                "facts": refusal.facts,
            }
        )
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line.encode() + b"\n")
        finally:
            os.close(descriptor)
