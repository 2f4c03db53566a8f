"""The listener adds what no task sees, once, and only about tasks of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.dag_runs import environment, records
from support.home import make_home

from tallystick.settings import Settings
from tallystick_airflow.runner import airflow_environment


def call(settings: Settings) -> str:
    script = Path(__file__).with_name("listener_calls.py")
    env = environment(settings, **airflow_environment(settings))
    done = subprocess.run(
        [sys.executable, str(script)], env=env, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, str | None]]:
    settings = make_home(tmp_path_factory.mktemp("listener"))
    call(settings)
    outcomes = records(settings, "outcome")
    assert {body["observed_by"] for body in outcomes} == {"listener"}
    return [(body["task"]["task"], body["state"], body["error"]) for body in outcomes]


def test_a_killed_process_is_recorded_once(ends: list[tuple[str, str, str | None]]) -> None:
    assert [end for end in ends if end[0] == "killed"] == [("killed", "killed", None)]


def test_every_change_by_hand_is_recorded(ends: list[tuple[str, str, str | None]]) -> None:
    assert [end for end in ends if end[0] == "by_hand"] == [
        ("by_hand", "manual_failed", None),
        ("by_hand", "manual_success", None),
    ]
    assert ("skipped_by_hand", "skipped", None) in ends


def test_a_failed_task_without_an_outcome_is_found_at_the_end(
    ends: list[tuple[str, str, str | None]],
) -> None:
    assert ("silent", "failed", "NoOutcomeLeft") in ends


def test_others_and_what_a_task_records_itself_are_left_alone(
    ends: list[tuple[str, str, str | None]],
) -> None:
    assert {end[0] for end in ends} == {"killed", "by_hand", "skipped_by_hand", "silent"}


def test_a_ledger_that_is_not_there_is_logged_and_no_more(tmp_path: Path) -> None:
    settings = make_home(tmp_path)
    Path(settings.home / "ledger.db").unlink()
    said = call(settings)
    assert "could not record the end of Task(dag='seen'" in said
