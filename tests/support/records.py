"""A home with a chain of records in it, written straight through the provenance client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.home import make_home

from tallystick import wiring
from tallystick.clients.provenance import Provenance, Recorded, Request, Task
from tallystick.identity import load_user
from tallystick.settings import Settings

RUN_ID = "1f0e" * 8
_DIGEST = {"sha256": "a" * 64}


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


def _record(door: Provenance, source: str, outcome: str) -> None:
    def request(task: str) -> Request:
        return Request(f"request-{task}", Task("healthcare_risk", "manual__1", task, -1, 1))

    table: dict[str, Any] = {
        "scheme": "tallystick-table-v1",
        "root": "b" * 64,
        "rows": 20_190,
        "nonce": "c" * 64,
        "key": "0" * 16,
    }
    dataset = door.register_dataset(
        request("ingest"),
        name="people",
        version=1,
        files=[(_DIGEST, 5, False)],
        table=table,
        schema=_DIGEST,
        source=source,
        licence="CC0",
        policy=_DIGEST,
    ).reference
    screening = door.record_screening(
        request("screen"), dataset=dataset, policy=_DIGEST, classes=18, findings=[]
    ).reference
    validation = door.record_validation(
        request("validate"),
        dataset=dataset,
        policy=_DIGEST,
        suite=_DIGEST,
        result=_DIGEST,
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
        policy=_DIGEST,
        commit="none",
        changes=None,
        environment=_DIGEST,
        algorithm="lightgbm",
        seed=1,
    ).reference
    run: Recorded = door.record_run(
        request("track"), run_id=RUN_ID, intent=intent, sealed=_DIGEST, artifacts=_DIGEST, files=3
    )
    door.register_model(request("model"), name="risk", version=1, run=run.reference, artifacts=_DIGEST)
    door.record_pipeline(
        request("record"),
        dag="healthcare_risk",
        run="manual__1",
        outcome=outcome,
        tasks=[{"task": "ingest", "map_index": -1, "try": 1, "state": outcome}],
    )
