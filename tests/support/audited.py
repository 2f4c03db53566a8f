"""A home with one audited training in it, and what changes it behind the back of whoever verifies."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import forgery
from support.cases import verify_home
from support.home import make_home

from tallystick import wiring
from tallystick.clients.provenance import Requests, Task
from tallystick.evidence.report import Report, Subject
from tallystick.settings import Settings
from tallystick.steps.ingest import ingest
from tallystick.steps.screening import run_screening
from tallystick.steps.track import track
from tallystick.steps.train import train
from tallystick.steps.validation import run_validation

POLICY = """\
name: visits
title: Visits
source: made up
licence: CC0-1.0
purpose: to test
retention: {days: 365, reason: a year}
task: {kind: regression, target: visits}
model: {algorithm: lightgbm, params: {n_estimators: 5, num_leaves: 4}, seed: 1}
split: {kind: random, test_fraction: 0.25}
privacy: {regime: hipaa-safe-harbor}
columns:
  - {name: visits, type: int, min: 0, max: 50}
  - {name: coinsurance, type: float, min: 0.0, max: 100.0}
  - {name: chronic, type: int, min: 0, max: 9}
"""


@dataclass(frozen=True)
class Audited:
    """A home with one training in it, and what an auditor kept of it."""

    settings: Settings
    run: str
    model: str
    checkpoint: str
    trust: str

    @property
    def mlflow(self) -> Path:
        return self.settings.home / "mlflow" / "mlflow.db"

    @property
    def ledger(self) -> Path:
        return self.settings.home / "ledger.db"


def make_audited(directory: Path) -> Audited:
    """A home below ``directory`` with the training in it."""
    settings = make_home(directory)
    chance = random.Random(7)
    rows = [(chance.randrange(20), round(chance.uniform(0, 100), 2), chance.randrange(9)) for _ in range(400)]
    data, policy = directory / "visits.csv", directory / "visits.yaml"
    data.write_text("visits,coinsurance,chronic\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    policy.write_text(POLICY)
    with wiring.open_workspace(settings) as w:

        def requests(task: str) -> Requests:
            return Requests(Task("visits", "manual__1", task, -1, 1))

        ingested = ingest(w, requests("ingest"), data, policy)
        screened = run_screening(w, requests("screen"), ingested)
        validated = run_validation(w, requests("validate"), ingested)
        trained = train(w, requests("train"), ingested, screened, validated)
        tracked = track(w, requests("track"), ingested, trained)
        found = Audited(settings, tracked.run.id, tracked.model.id, w.ledger.checkpoint(), w.ledger.trust())
    with closing(sqlite3.connect(found.ledger)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


@contextmanager
def changed_row(path: Path, statement: str, undo: str, *values: Any) -> Iterator[None]:
    assert forgery.execute(path, statement, *values) >= 1
    try:
        yield
    finally:
        forgery.execute(path, undo)


def wrong_while(audited: Audited, statement: str, undo: str) -> dict[str, Subject]:
    """What is not verified while ``statement`` has changed MLflow's database, until ``undo``."""
    with changed_row(audited.mlflow, statement, undo):
        return wrong(verify_home(audited.settings))


def wrong(report: Report) -> dict[str, Subject]:
    return {subject.id: subject for subject in report.subjects if subject.status != "verified"}
