"""A workspace to run the audited chain on without Airflow, and data that would show where it leaks."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from support.ledgers import logged_records

from chaincode import canonical
from tallystick.clients.provenance import Reference, Requests, Task
from tallystick.settings import Settings
from tallystick.steps.anchor import Anchored
from tallystick.steps.ingest import Ingested, ingest
from tallystick.steps.screening import Screened, run_screening
from tallystick.steps.track import Tracked
from tallystick.steps.train import Trained, train
from tallystick.steps.validation import Validated, run_validation
from tallystick.steps.workspace import Workspace

ROWS = 300
SITES = ["canary-north", "canary-south"]
PLANS = ["canary-gold", "canary-lead", "canary-zinc"]

POLICY = """\
name: NAME
title: Visits
source: made for a test
licence: internal
purpose: to test the chain
retention: {days: 30, reason: a test}
task: {kind: regression, target: cost, group: site}
model: {algorithm: lightgbm, params: {n_estimators: 10, min_child_samples: 5}, seed: 1}
split: {kind: random, test_fraction: 0.25}
privacy: {regime: hipaa-safe-harbor, subject: code}
columns:
  - {name: code, type: string, pattern: "canary-[a-z]{8}"}
  - {name: site, type: string, values: [canary-north, canary-south]}
  - {name: plan, type: string, nullable: true}
  - {name: visits, type: int, min: 0, max: 10}
  - {name: cost, type: float, min: 0.0}
"""

numbers = count()


def requests(task: str) -> Requests:
    return Requests(Task("chain", f"run-{next(numbers)}", task, -1, 1))


def rows(seed: int = 1) -> list[list[str]]:
    rng = random.Random(seed)
    made = []
    for _ in range(ROWS):
        code = "canary-" + "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=8))
        plan, visits = rng.choice([*PLANS, ""]), rng.randrange(11)
        cost = 31.41592653 * visits + rng.random() + 10 * len(plan)
        made.append([code, rng.choice(SITES), plan, str(visits), repr(cost)])
    return made


@dataclass(frozen=True)
class Bench:
    """A workspace, and where a test's files go."""

    w: Workspace
    settings: Settings
    folder: Path

    def files(
        self, name: str, data: list[list[str]] | None = None, policy: str = POLICY
    ) -> tuple[Path, Path]:
        csv, yaml = self.folder / f"{name}.csv", self.folder / f"{name}.yaml"
        lines = [["code", "site", "plan", "visits", "cost"], *(data or rows())]
        csv.write_text("".join(",".join(line) + "\n" for line in lines))
        yaml.write_text(policy.replace("NAME", name))
        return csv, yaml

    def checked(self, name: str, **files: Any) -> tuple[Ingested, Screened, Validated]:
        ingested = ingest(self.w, requests("ingest"), *self.files(name, **files))
        screened = run_screening(self.w, requests("screen"), ingested)
        return ingested, screened, run_validation(self.w, requests("validate"), ingested)

    def trained(self, name: str, **files: Any) -> tuple[Ingested, Trained]:
        ingested, screened, validated = self.checked(name, **files)
        return ingested, train(self.w, requests("train"), ingested, screened, validated)

    def records(self) -> list[dict[str, Any]]:
        return [canonical.decode(record.content) for record in logged_records(self.w.ledger)]

    def kinds(self, name: str) -> list[str]:
        """The kinds of the records that speak of a dataset, oldest first."""
        told = [r for r in self.records() if {f"dataset:{name}", f"model:{name}"} & r["streams"].keys()]
        return [record["kind"] for record in told]


@dataclass(frozen=True)
class Chain:
    ingested: Ingested
    screened: Screened
    validated: Validated
    trained: Trained
    tracked: Tracked
    anchored: Anchored

    @property
    def records(self) -> list[Reference]:
        return [
            self.ingested.dataset,
            self.screened.screening,
            self.validated.validation,
            self.trained.intent,
            self.tracked.run,
            self.tracked.model,
        ]
