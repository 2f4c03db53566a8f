"""A user's own file goes through the same DAGs; a row that breaks the policy fails them, on the ledger."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.dag_runs import Outcome, environment, records, run_dags
from support.home import make_home

from tallystick.settings import Settings

POLICY = """
name: claims
title: Claims made up for a test
source: made here
licence: none
purpose: Show that the pipeline runs
retention: {days: 30, reason: a test}
task: {kind: regression, target: cost}
model: {algorithm: linear, seed: 1}
split: {kind: random, test_fraction: 0.25}
privacy: {regime: none, reason: nobody is in it}
columns:
  - {name: visits, type: int, min: 0, max: 500}
  - {name: severity, type: float, min: 0.0, max: 1.0}
  - {name: cost, type: float, min: 0.0, max: 100000.0}
"""

SLOW = """
import time
from airflow.sdk import DAG
from tallystick_airflow.operators import TallystickOperator, TallystickRecordOperator

class TallystickWaits(TallystickOperator):
    def step(self, workspace, requests, context):
        time.sleep(300)

with DAG("slow", schedule=None):
    TallystickWaits(task_id="waits") >> TallystickRecordOperator(task_id="record")
"""
#: Starts the runner as `tally` does, and hands it its own standard output.
PARENT = """
import subprocess, sys
command = [sys.executable, "-m", "tallystick_airflow.runner", "--with-parent", *sys.argv[1:]]
subprocess.Popen(command, stdin=subprocess.PIPE).wait()
"""


def write_claims(path: Path, broken: bool = False) -> Path:
    rows = [f"{n % 97},{n % 10 / 10},{n % 97 * 3.5 + n % 10}" for n in range(400)]
    path.write_text("\n".join(["visits,severity,cost", *rows, *(["-7,0.5,1.0"] if broken else [])]) + "\n")
    return path


def run(settings: Settings, data: Path, *dags: str) -> Outcome:
    policy = data.with_name("claims.yaml")
    policy.write_text(POLICY)
    return run_dags(settings, *dags, conf={"data": str(data), "policy": str(policy)})


def test_a_file_of_the_users_own_leaves_the_whole_chain(tmp_path: Path) -> None:
    settings = make_home(tmp_path)
    outcome = run(settings, write_claims(tmp_path / "claims.csv"), "own_data", "own_data_training")

    assert outcome.code == 0, outcome.log[-3000:]
    assert set(outcome.states("own_data").values()) == {"success"}
    assert set(outcome.states("own_data_training").values()) == {"success"}
    chain = ("dataset", "screening", "validation", "intent", "run", "model")
    tasks = {kind: records(settings, kind)[0]["task"] for kind in chain}
    assert {kind: (task["dag"], task["task"]) for kind, task in tasks.items()} == {
        "dataset": ("own_data", "ingest"),
        "screening": ("own_data", "screen"),
        "validation": ("own_data", "validate"),
        "intent": ("own_data_training", "train"),
        "run": ("own_data_training", "track"),
        "model": ("own_data_training", "track"),
    }
    ended = [(body["dag"], body["outcome"]) for body in records(settings, "pipeline")]
    # The trainer ran when the dataset came, and once more alone: on the newest that was published.
    assert ended == [("own_data", "success"), *[("own_data_training", "success")] * 2]
    assert [body["dataset"]["id"] for body in records(settings, "intent")] == ["dataset/claims/1"] * 2


def test_a_row_that_breaks_the_policy_fails_the_pipeline(tmp_path: Path) -> None:
    settings = make_home(tmp_path)
    outcome = run(settings, write_claims(tmp_path / "claims.csv", broken=True), "own_data")

    assert outcome.code == 1
    (validation,) = records(settings, "validation")
    assert not validation["passed"]
    assert "visits" in validation["failed"][0]
    (ended,) = [body for body in records(settings, "outcome") if body["task"]["task"] == "validate"]
    assert (ended["state"], ended["observed_by"], ended["error"]) == ("failed", "task", "CheckFailed")
    (pipeline,) = records(settings, "pipeline")
    states = {task["task"]: task["state"] for task in pipeline["tasks"]}
    assert states == {
        "ingest": "success",
        "screen": "success",
        "validate": "failed",
        "publish": "upstream_failed",
    }
    assert outcome.states("own_data_training") == {}
    assert records(settings, "intent") == []


def test_when_its_parent_is_killed_the_child_records_that_it_stopped_and_ends(tmp_path: Path) -> None:
    settings = make_home(tmp_path)
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "slow.py").write_text(SLOW)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, "slow", "slow"],
        env=environment(settings, AIRFLOW__CORE__DAGS_FOLDER=str(slow)),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    assert '"state": "running"' in parent.stdout.readline()
    parent.kill()
    told, _ = parent.communicate(timeout=60)  # ends with the last process that could write there
    assert '"state": "failed"' in told
    ends = [(body["task"]["task"], body["error"]) for body in records(settings, "outcome")]
    assert ends == [("waits", "AirflowTaskTerminated"), ("record", "PipelineFailed")]
    assert [body["outcome"] for body in records(settings, "pipeline")] == ["failed"]
