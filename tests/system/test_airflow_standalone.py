"""Under a real scheduler: the asset starts the trainer, and the listener sees what no task sees."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.dag_runs import ROOT, environment, records
from support.home import make_home

from tallystick.settings import Settings
from tallystick_airflow.runner import airflow_environment

STARTING = 180.0
RUNNING = 180.0


@dataclass(frozen=True)
class Airflow:
    """A standalone Airflow that is up."""

    api: httpx.Client
    settings: Settings
    log: Path

    def trigger(self, dag: str) -> str:
        answer = self.api.post(f"/dags/{dag}/dagRuns", json={"logical_date": None})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["dag_run_id"])

    def runs(self, dag: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            self.api.get(f"/dags/{dag}/dagRuns").raise_for_status().json()["dag_runs"]
        )
        return found

    def ended(self, dag: str) -> dict[str, Any] | None:
        return next((run for run in self.runs(dag) if run["state"] in ("success", "failed")), None)

    def wait(self, what: str, seconds: float, until: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + seconds
        last: httpx.HTTPError | None = None  # not up yet, or busy: the deadline decides
        while time.monotonic() < deadline:
            try:
                if found := until():
                    return found
            except httpx.HTTPError as error:
                last = error
            time.sleep(1)
        raise AssertionError(
            f"no {what} after {seconds:.0f} s (last error: {last!r})\n"
            + self.log.read_text(errors="replace")[-8000:]
        )


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    settings = make_home(tmp_path_factory.mktemp("standalone"))
    base = f"http://127.0.0.1:{free_port()}"
    bundles = [
        {
            "name": name,
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(folder), "refresh_interval": 10},
        }
        for name, folder in (("dags-folder", ROOT / "dags"), ("cases", ROOT / "tests" / "dags" / "cases"))
    ]
    more = {
        **airflow_environment(settings),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": base.rpartition(":")[2],
        "AIRFLOW__API__BASE_URL": base,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__PARALLELISM": "3",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
        # `standalone` starts its parts by the name `airflow`.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    log = settings.home / "standalone.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "standalone"],
            env=environment(settings, **more),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its children outlive it: only the group can be ended
        )
    try:
        with httpx.Client(base_url=f"{base}/api/v2", timeout=30, trust_env=False) as api:
            running = Airflow(api, settings, log)
            token = running.wait("token", STARTING, lambda: api.get(f"{base}/auth/token").raise_for_status())
            api.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
            for dag in ("healthcare_risk", "healthcare_risk_training", "ends_badly"):
                running.wait(dag, STARTING, lambda dag=dag: api.get(f"/dags/{dag}").raise_for_status())
            yield running
    finally:
        for end in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, end)
            except ProcessLookupError:
                break
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                continue
            time.sleep(1)


def test_the_asset_starts_the_trainer_and_all_is_on_the_ledger(airflow: Airflow) -> None:
    produced = airflow.trigger("healthcare_risk")
    trained = airflow.wait("end of the training", RUNNING, lambda: airflow.ended("healthcare_risk_training"))

    assert (trained["state"], trained["run_type"]) == ("success", "asset_triggered")
    pipelines = {body["dag"]: body for body in records(airflow.settings, "pipeline")}
    assert pipelines["healthcare_risk"]["run"] == produced
    assert pipelines["healthcare_risk_training"]["run"] == trained["dag_run_id"]
    assert {body["outcome"] for body in pipelines.values()} == {"success"}

    (dataset,) = records(airflow.settings, "dataset")
    (intent,) = records(airflow.settings, "intent")
    assert intent["dataset"]["id"] == f"dataset/{dataset['name']}/{dataset['version']}"
    assert dataset["task"]["run"] == produced
    assert intent["task"]["run"] == trained["dag_run_id"]
    assert len(records(airflow.settings, "run")) == len(records(airflow.settings, "model")) == 1


def test_a_killed_process_and_a_change_by_hand_are_recorded(airflow: Airflow) -> None:
    run = airflow.trigger("ends_badly")
    pids = {
        task: int(airflow.wait(task, RUNNING, lambda task=task: pid_of(airflow.settings, task)))
        for task in ("killed", "stopped_by_hand")
    }
    os.kill(pids["killed"], signal.SIGKILL)
    change = airflow.api.patch(
        f"/dags/ends_badly/dagRuns/{run}/taskInstances/stopped_by_hand", json={"new_state": "failed"}
    )
    assert change.status_code == 200, change.text
    ended = airflow.wait("end of the run", RUNNING, lambda: airflow.ended("ends_badly"))

    assert ended["state"] == "failed"
    outcomes = {
        body["task"]["task"]: (body["state"], body["observed_by"], body["error"])
        for body in records(airflow.settings, "outcome")
        if body["task"]["dag"] == "ends_badly"
    }
    assert outcomes["killed"] == ("failed", "listener", "NoOutcomeLeft")
    assert outcomes["stopped_by_hand"] == ("manual_failed", "listener", None)
    (pipeline,) = [body for body in records(airflow.settings, "pipeline") if body["dag"] == "ends_badly"]
    assert {task["task"]: task["state"] for task in pipeline["tasks"]} == {
        "killed": "failed",
        "stopped_by_hand": "failed",
    }


def pid_of(settings: Settings, task: str) -> str:
    file = settings.home / f"{task}.pid"
    return file.read_text() if file.exists() else ""
