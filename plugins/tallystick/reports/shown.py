"""All that is read to show one record: itself, proven; what became of it; where it came from and led to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tallystick.ledger.inclusion import ProvenRecord
from tallystick.ledger.port import Ledger
from tallystick.reports.checked import find_checked
from tallystick.reports.queries import Edge, Index
from tallystick.reports.record import Record

#: How many records of its stream, and how many that refer to it, are shown; one more is read, to say so.
MOST_HISTORY: Final = 12


@dataclass(frozen=True)
class Shown:
    """``record`` with its ``proof``; ``retirement`` is the last that took it out of use, if any; ``history``
    what else stands in its own stream and what refers to it, oldest first."""

    record: Record
    proof: ProvenRecord
    retirement: Record | None
    history: list[Record]
    came_from: list[Edge]
    led_to: list[Edge]


def read_shown(ledger: Ledger, index: Index, text: str) -> Shown:
    """What there is to show of the record that ``text`` means. Raises as `find_checked` does."""
    record, proof = find_checked(ledger, index, text)
    return Shown(
        record,
        proof,
        index.retirement(record.id),
        _history(index, record),
        index.ancestors(record.id),
        index.descendants(record.id),
    )


def _history(index: Index, record: Record) -> list[Record]:
    stream = next(iter(record.streams), None)
    found = index.latest(stream=stream, limit=MOST_HISTORY + 1) if stream else [record]
    found += index.referring_to(record.id, limit=MOST_HISTORY + 1)
    return sorted({each.leaf: each for each in found}.values(), key=lambda each: each.leaf)
