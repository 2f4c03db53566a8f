"""How a step fails that did its work: the check was made and recorded, and its answer is no."""

from __future__ import annotations

from tallystick.clients.provenance import Reference
from tallystick.errors import TallystickError


class CheckFailed(TallystickError):
    """A screening or validation did not pass. ``record`` stands on the ledger and says what failed."""

    exit_code = 1

    def __init__(self, message: str, record: Reference, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.record = record
