"""What the first page shows, read in one go from the index and the last verification."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from tallystick import wiring
from tallystick.files import open_regular
from tallystick.reports.checked import find_checked
from tallystick.reports.index import open_index
from tallystick.reports.queries import Edge
from tallystick.reports.record import Record
from tallystick.reports.verification import last_verification
from tallystick.settings import Settings

_RECENT: Final = 9
_PIPELINES: Final = 8
_TAIL: Final = 64 << 10


@dataclass(frozen=True)
class Facts:
    """``verification`` is the last report, ``refusal`` the last line of the host's log, each if any.

    ``recent`` leaves attestations out: they count what others recorded, and several end every training.
    """

    origin: str
    height: int
    records: int
    recent: list[Record]
    pipelines: list[Record]
    datasets: list[str]
    verification: dict[str, Any] | None
    refusal: dict[str, Any] | None


def read_facts(settings: Settings) -> Facts:
    """Read it. Raises as `wiring.open_for_reading` and `open_index` do."""
    with closing(wiring.open_for_reading(settings)) as ledger, open_index(settings.index, ledger) as index:
        return Facts(
            origin=ledger.origin,
            height=ledger.height,
            records=index.count(),
            recent=index.latest(limit=_RECENT, without="attestation"),
            pipelines=index.pipelines(_PIPELINES),
            datasets=index.subjects("dataset"),
            verification=last_verification(settings.home, ledger),
            refusal=_last_refusal(settings),
        )


def read_versions(settings: Settings, name: str) -> list[str]:
    """The ids of a dataset's versions, the latest first."""
    with closing(wiring.open_for_reading(settings)) as ledger, open_index(settings.index, ledger) as index:
        return index.versions("dataset", name)


def read_verification(settings: Settings) -> dict[str, Any] | None:
    """What is noted of the last verification of this ledger, if anything (`last_verification`)."""
    with closing(wiring.open_for_reading(settings)) as ledger:
        return last_verification(settings.home, ledger)


def read_lineage(settings: Settings, name: str) -> tuple[Record, list[Edge]]:
    """A record (`find_checked`) with everything that it came from and that came from it."""
    with closing(wiring.open_for_reading(settings)) as ledger, open_index(settings.index, ledger) as index:
        record, _ = find_checked(ledger, index, name)
        edges = dict.fromkeys([*index.ancestors(record.id), *index.descendants(record.id)])
        return record, list(edges)


def _last_refusal(settings: Settings) -> dict[str, Any] | None:
    try:
        with open_regular(settings.refusals) as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL))
            lines = file.read().splitlines()
        return dict(json.loads(lines[-1])) if lines else None
    except (OSError, ValueError):
        return None
