"""The numbers of a record in its streams: contiguous from 1, so that a record left out is a gap.

A stream's last position stands at ``streams/<type>:<name>``. Every contract advances it through
here, which is why the prefix is no contract's own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chaincode.errors import Refusal


class Position(NamedTuple):
    """A number in a stream and its time, in milliseconds since the epoch."""

    number: int
    time: int

    @classmethod
    def of(cls, value: Any) -> Position:
        """From state; None is the position before the first record."""
        return cls(0, 0) if value is None else cls(value["number"], value["time"])

    def value(self) -> dict[str, int]:
        """For state and for the record."""
        return {"number": self.number, "time": self.time}


def key_of(stream: str) -> str:
    """The state key of a stream's last position."""
    return f"streams/{stream}"


def advance(last: Position, claimed: int, skew_ms: int, stream: str) -> Position:
    """The next position: its time is max(claim, the stream's last).

    Raises `Refusal` BACKDATED where the claim is below the stream's last less ``skew_ms``.
    """
    if claimed < last.time - skew_ms:
        raise Refusal("BACKDATED", stream_type=stream.partition(":")[0], skew_ms=skew_ms)
    return Position(last.number + 1, max(claimed, last.time))
