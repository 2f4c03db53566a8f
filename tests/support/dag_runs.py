"""Runs DAGs in a process of their own, as `tally` does, and reads what they left on the ledger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.ledgers import logged_records

from tallystick.settings import Settings
from tallystick.wiring import open_ledger

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """What the runner said: its events in order, its exit code, and everything Airflow printed."""

    events: list[dict[str, Any]]
    code: int
    log: str

    def states(self, dag: str) -> dict[str, str]:
        """The last state of each task of ``dag``."""
        return {e["task"]: e["state"] for e in self.events if e["event"] == "task" and e["dag"] == dag}

    def detail(self, dag: str, task: str) -> Any:
        """What ``task`` returned, or how it failed."""
        return [e for e in self.events if e.get("task") == task and e["dag"] == dag][-1]["detail"]


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """This process's environment, with the home of ``settings``, and the checkout with its tests' helpers
    to import from."""
    here = [str(ROOT), str(ROOT / "plugins"), str(ROOT / "tests"), os.environ.get("PYTHONPATH")]
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")},
        "PYTHONPATH": os.pathsep.join(filter(None, here)),
        "TALLYSTICK_HOME": str(settings.home),
        "TALLYSTICK_STATE": str(settings.state_dir),
        **more,
    }


def run_dags(settings: Settings, *dags: str, conf: dict[str, Any] | None = None, **env: str) -> Outcome:
    """Run ``dags`` one after another in a child process."""
    command = [sys.executable, "-m", "tallystick_airflow.runner", *dags, "--conf", json.dumps(conf or {})]
    done = subprocess.run(
        command, env=environment(settings, **env), capture_output=True, text=True, timeout=300, check=False
    )
    logs = sorted((settings.airflow / "logs").glob("runner-*.log"))
    log = logs[-1].read_text(errors="replace") if logs else ""
    assert done.returncode in (0, 1, 2), done.stderr + log[-5000:]
    return Outcome([json.loads(line) for line in done.stdout.splitlines()], done.returncode, log)


def records(settings: Settings, kind: str) -> list[dict[str, Any]]:
    """The bodies of all records of one kind, in the ledger's order."""
    ledger = open_ledger(settings)
    try:
        every = [json.loads(record.content) for record in logged_records(ledger)]
    finally:
        ledger.close()
    return [record["body"] for record in every if record["kind"] == kind]
