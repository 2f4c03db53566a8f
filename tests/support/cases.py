"""A ledger that a test may spoil, and the verdict on it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import ledgers

from tallystick.evidence.chain import Chain
from tallystick.evidence.report import Report, Subject
from tallystick.evidence.subjects import OffChain
from tallystick.evidence.verify import verify
from tallystick.evidence.witness import Kept
from tallystick.home import verification
from tallystick.ledger.embedded.ledger import EmbeddedLedger
from tallystick.ledger.embedded.stored import StoredFile
from tallystick.settings import Settings


@dataclass(frozen=True)
class Case:
    """A ledger below ``directory``; ``conflict`` is the block with the transaction that is not valid."""

    directory: Path
    origin: str
    vkey: str
    early: str
    conflict: int
    config: int

    @property
    def path(self) -> Path:
        return self.directory / "ledger.db"

    @property
    def log_key(self) -> Path:
        return self.directory / "log.pem"

    def open(self) -> EmbeddedLedger:
        return ledgers.open_embedded(self.directory)

    @property
    def last_block(self) -> int:
        with closing(sqlite3.connect(self.path)) as connection:
            number: int = connection.execute("SELECT max(number) FROM blocks").fetchone()[0]
            return number

    def verify(self, **options: Any) -> Report:
        kept = {name: options.pop(name) for name in ("pin", "trust", "last_seen") if name in options}
        with StoredFile(self.path) as stored:
            return verify(stored, Chain(stored.blocks()), Kept(**kept), **options)

    def head(self) -> str:
        with closing(self.open()) as ledger:
            return ledger.checkpoint()


def bad(report: Report) -> list[Subject]:
    """The subjects that are not verified, but for the note that records were not looked at."""
    return [s for s in report.subjects if s.status != "verified" and s.kind != "records"]


def off_chain(settings: Settings) -> OffChain:
    """Where a home keeps what its records speak of, as `tally verify` finds it."""
    return verification.off_chain(settings)


def verify_home(settings: Settings, kept: Kept | None = None, only: str | None = None) -> Report:
    """The verdict on everything in a home."""
    with StoredFile(settings.home / "ledger.db") as stored:
        return verify(
            stored,
            Chain(stored.blocks()),
            kept,
            packages=settings.packages,
            off_chain=off_chain(settings),
            only=only,
        )
