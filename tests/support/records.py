"""A home with a chain of records in it, written straight through the provenance client."""

from __future__ import annotations

from pathlib import Path

from support.datasets import NOWHERE, made_up
from support.home import make_home

from tallystick import wiring
from tallystick.clients.provenance import Provenance, Recorded, Reference, Request, Task
from tallystick.identity import load_user
from tallystick.settings import Settings

RUN_ID = "1f0e" * 8


def make_recorded_home(
    directory: Path, *, source: str = "a made-up source", outcome: str = "success"
) -> Settings:
    """A home below ``directory`` with one record of each kind: dataset people v1 up to model risk v1."""
    settings = make_home(directory)
    ledger = wiring.open_ledger(settings)
    door = Provenance(ledger, load_user(settings.msp, settings.msp_id, settings.user))
    _record(door, source, outcome)
    ledger.close()
    return settings


def record_use(door: Provenance, request: str) -> None:
    """One more record in such a home: a use of the dataset."""
    digest = door.read("dataset/people/1")["facts"]["digest"]
    door.record_use(Request(request), dataset=Reference("dataset/people/1", digest), purpose="a test")


def _record(door: Provenance, source: str, outcome: str) -> None:
    def request(task: str) -> Request:
        return Request(f"request-{task}", Task("healthcare_risk", "manual__1", task, -1, 1))

    dataset = door.register_dataset(request("ingest"), **made_up(rows=20_190, source=source)).reference
    screening = door.record_screening(
        request("screen"), dataset=dataset, policy=NOWHERE, classes=18, findings=[]
    ).reference
    validation = door.record_validation(
        request("validate"),
        dataset=dataset,
        policy=NOWHERE,
        suite=NOWHERE,
        result=NOWHERE,
        evaluated=24,
        failed=[],
    ).reference
    intent = door.declare_run(
        request("train"),
        dataset=dataset,
        screening=screening,
        validation=validation,
        training=("d" * 64, 16_000),
        evaluation=("e" * 64, 4_190),
        policy=NOWHERE,
        commit="none",
        changes=None,
        environment=NOWHERE,
        algorithm="lightgbm",
        seed=1,
    ).reference
    run: Recorded = door.record_run(
        request("track"), run_id=RUN_ID, intent=intent, sealed=NOWHERE, artifacts=NOWHERE, files=3
    )
    door.register_model(request("model"), name="risk", version=1, run=run.reference, artifacts=NOWHERE)
    door.record_pipeline(
        request("record"),
        dag="healthcare_risk",
        run="manual__1",
        outcome=outcome,
        tasks=[{"task": "ingest", "map_index": -1, "try": 1, "state": outcome}],
    )
