"""What the host refuses: why, and its own log of it, never the payload."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from chaincode.errors import Refusal
from tallystick.files import cannot_write
from tallystick.ledger.embedded.proposals import SignedProposal
from tallystick.proof.errors import ProofError
from tallystick.proof.membership import Membership, NotInForce


def refusal_of(error: ProofError) -> Refusal:
    """The refusal of a signer who was not proven to be a member at that time."""
    code = error.code if isinstance(error, NotInForce) else "NOT_A_MEMBER"
    return Refusal(code, reason=str(error))


def certified_as(membership: Membership, identity: bytes) -> tuple[str, str]:
    """MSP and enrolment id that a root of the MSP put into the certificate, in force or not; else empty."""
    try:
        member = membership.certified(identity)
    except ProofError:
        return "", ""
    return member.msp_id, member.enrolment_id


class RefusalLog:
    """Appends to a file of mode 0600. The log is the host's memory, not part of the ledger."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, proposal: SignedProposal, msp_id: str, enrolment_id: str, refusal: Refusal) -> None:
        """Note who was refused what and why; the proposal only as its digest.

        Raises `CouldNotCheck`, naming the file, where it cannot be written.
        """
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
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o600)
            try:
                os.write(descriptor, line.encode() + b"\n")
            finally:
                os.close(descriptor)
        except OSError as error:
            raise cannot_write(self._path, error) from error
