"""What the host refuses: why, and its own log of it, never the payload."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from chaincode.errors import Refusal
from tallystick.files import alone, cannot_write, write_all
from tallystick.ledger.embedded.proposals import SignedProposal
from tallystick.proof.errors import ProofError
from tallystick.proof.membership import Membership, refusal_code


def refusal_of(error: ProofError) -> Refusal:
    """The refusal of a signer who was not proven to be a member at that time."""
    return Refusal(refusal_code(error), reason=str(error))


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
        with alone(self._path):
            try:
                self._add(line.encode() + b"\n")
            except OSError as error:
                raise cannot_write(self._path, error) from error

    def _add(self, line: bytes) -> None:
        """All of ``line`` or nothing, on a line of its own also after half a one that a power cut left."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            end = os.fstat(descriptor).st_size
            torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
            try:
                write_all(descriptor, b"\n" * torn + line)
            except OSError:
                os.ftruncate(descriptor, end)
                raise
        finally:
            os.close(descriptor)
