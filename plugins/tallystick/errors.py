"""The errors a user can meet, each with the exit code of `tally`.

TallystickError              4  a fault of ours
├── Refused                  1  the ledger, or a rule of ours, said no
├── CheckFailed              1  a screening or validation was made and recorded, and failed (steps.errors)
├── NotAsRecorded            1  something is not as it was recorded
│   └── BadBlock             1  a block does not say what a ledger writes (evidence.judged)
├── InvalidInput             2  what the user gave cannot be used
│   └── PolicyError          2  a policy file is wrong, at a line
└── CouldNotCheck            3  neither yes nor no: something needed is missing or out of reach
    ├── NoLedger             3  there is none at that place yet
    ├── Missing              3  what a record names is not where it was kept
    ├── OutcomeUnknown       3  a transaction may or may not be recorded: submit the same request again
    └── Unreachable          3  a server does not answer: asking it again is of no use now

A message says what happened and to what; ``hint`` says what to do. Neither repeats data values.
"""

from __future__ import annotations

from pathlib import Path


class TallystickError(Exception):
    """The root. ``exit_code`` is what `tally` exits with, ``kind`` what its JSON calls the error, which knows
    fewer kinds (docs/formats/cli-json.md)."""

    exit_code = 4
    kind = "TallystickError"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class Refused(TallystickError):
    """The ledger refused a transaction. ``code`` and ``facts`` are the contract's or the host's."""

    exit_code = 1
    kind = "Refused"

    def __init__(
        self, message: str, *, code: str, facts: dict[str, str | int] | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.facts = facts or {}


class NotAsRecorded(TallystickError):
    """A file, a run or a block differs from its record."""

    exit_code = 1
    kind = "NotAsRecorded"


class InvalidInput(TallystickError):
    """A file, an argument or a setting cannot be used as it is."""

    exit_code = 2
    kind = "InvalidInput"


class PolicyError(InvalidInput):
    """A policy file is wrong. ``line`` counts from 1."""

    kind = "PolicyError"

    def __init__(self, path: Path, line: int, problem: str, *, hint: str = "") -> None:
        super().__init__(f"{path}:{line}  {problem}", hint=hint)
        self.path = path
        self.line = line


class CouldNotCheck(TallystickError):
    """What a check needs is missing, locked or out of reach."""

    exit_code = 3
    kind = "CouldNotCheck"


class NoLedger(CouldNotCheck):
    """No ledger was made at the place that the settings name."""


class Missing(CouldNotCheck):
    """What a record names is not where it was kept; a verification counts it as not as recorded."""


class OutcomeUnknown(CouldNotCheck):
    """A transaction may or may not be recorded. The same request submitted again returns what is recorded,
    or records it: never both."""


class Unreachable(CouldNotCheck):
    """A server does not answer at all."""
