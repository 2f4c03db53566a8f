"""Operators commit their outcome inside their own execution, and nothing goes on without its record."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from support.dag_runs import Outcome, records, run_dags
from support.home import make_home

from tallystick import wiring
from tallystick.home import memory
from tallystick.proof.checkpoint import head_of
from tallystick.settings import Settings
from tallystick.store import Store

CASES = Path(__file__).parent / "cases"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Outcome]:
    settings = make_home(tmp_path_factory.mktemp("own"))
    read_only = make_home(tmp_path_factory.mktemp("read_only"))
    read_only.log_key.unlink()
    connection = {"conn_type": "tallystick", "extra": {"home": str(read_only.home)}}
    outcome = run_dags(
        settings,
        "fails",
        "repeats",
        "unwritable",
        "unrendered",
        "written",
        AIRFLOW__CORE__DAGS_FOLDER=str(CASES),
        AIRFLOW_CONN_READ_ONLY=json.dumps(connection),
    )
    return settings, outcome


def outcomes(settings: Settings, dag: str) -> dict[str, tuple[str, str, str]]:
    return {
        body["task"]["task"]: (body["state"], body["observed_by"], body["error"])
        for body in records(settings, "outcome")
        if body["task"]["dag"] == dag
    }


def pipeline(settings: Settings, dag: str) -> tuple[str, dict[str, tuple[int, str]]]:
    (body,) = [body for body in records(settings, "pipeline") if body["dag"] == dag]
    return body["outcome"], {task["task"]: (task["try"], task["state"]) for task in body["tasks"]}


def test_a_failure_is_recorded_by_its_own_task(ran: tuple[Settings, Outcome]) -> None:
    settings, outcome = ran
    assert outcomes(settings, "fails")["breaks"] == ("failed", "task", "ValueError")
    assert outcome.states("fails") == {
        "works": "success",
        "breaks": "failed",
        "after": "upstream_failed",
        "record": "failed",
    }
    assert outcome.code == 1


def test_the_head_after_the_last_failure_is_remembered_outside_the_home(
    ran: tuple[Settings, Outcome],
) -> None:
    settings, outcome = ran
    assert [event["state"] for event in outcome.events if event["event"] == "dag"][-1] == "failed"
    with closing(wiring.open_for_reading(settings)) as ledger:
        seen = memory.last_seen(settings, ledger.origin)
        assert seen is not None
        assert seen.size == head_of(ledger.checkpoint()).size


def test_only_an_error_of_ours_tells_an_exit_code(ran: tuple[Settings, Outcome]) -> None:
    _, outcome = ran
    assert outcome.detail("fails", "breaks") == {"error": "ValueError"}
    assert outcome.detail("written", "no_room")["exit_code"] == 3


def test_what_a_callable_writes_is_copied_or_the_task_fails(ran: tuple[Settings, Outcome]) -> None:
    settings, outcome = ran
    assert outcome.detail("written", "no_room")["error"] == "CouldNotCheck"
    assert "No space left" in outcome.detail("written", "no_room")["message"]
    taken = Store(settings.objects)
    digest = outcome.detail("written", "room")["file"]
    assert taken.verify(digest)
    assert not taken.is_referenced(digest)
    assert list((settings.home / "incoming").iterdir()) == []


def test_what_a_callable_writes_has_the_parents_and_the_transformation_that_are_named(
    ran: tuple[Settings, Outcome],
) -> None:
    settings, outcome = ran
    room, made = (outcome.detail("written", task) for task in ("room", "made"))
    of_first, of_second = records(settings, "dataset")[-2:]
    assert (made["version"], made["repeated"]) == (2, False)
    assert (of_first["parents"], of_first["transformation"]) == ([], None)
    assert of_second["parents"] == [room["dataset"]]
    assert of_second["transformation"]["name"] == "small.yaml"


def test_the_last_task_records_every_state_and_fails(ran: tuple[Settings, Outcome]) -> None:
    settings, outcome = ran
    assert pipeline(settings, "fails") == (
        "failed",
        {"works": (1, "success"), "breaks": (1, "failed"), "after": (0, "upstream_failed")},
    )
    assert outcome.detail("fails", "record")["error"] == "PipelineFailed"


def test_the_last_task_succeeds_where_nothing_failed(ran: tuple[Settings, Outcome]) -> None:
    settings, outcome = ran
    assert pipeline(settings, "repeats") == ("success", {"twice": (1, "success")})
    assert outcome.states("repeats")["record"] == "success"
    assert outcomes(settings, "repeats") == {}


def test_no_message_reaches_the_ledger(ran: tuple[Settings, Outcome]) -> None:
    settings, outcome = ran
    canary = "canary-5105-1051-0510"
    assert canary in outcome.log
    assert canary not in json.dumps(outcome.events)
    for file in settings.home.glob("ledger.db*"):
        assert canary.encode() not in file.read_bytes()


def test_the_same_request_again_returns_the_first_record(ran: tuple[Settings, Outcome]) -> None:
    _, outcome = ran
    assert outcome.detail("repeats", "twice") == {"first": False, "second": True, "same": True}


def test_a_ledger_that_cannot_be_written_fails_the_task(ran: tuple[Settings, Outcome]) -> None:
    settings, outcome = ran
    assert outcome.states("unwritable") == {"writes": "failed", "record": "failed"}
    assert outcome.detail("unwritable", "writes")["error"] == "CouldNotCheck"
    assert pipeline(settings, "unwritable") == ("failed", {"writes": (1, "failed")})


def test_the_listener_says_what_the_operator_could_not(ran: tuple[Settings, Outcome]) -> None:
    settings, _ = ran
    assert outcomes(settings, "unwritable")["writes"] == ("failed", "listener", "CouldNotCheck")
    assert outcomes(settings, "unrendered")["never_begins"] == ("failed", "listener", "ZeroDivisionError")
    assert pipeline(settings, "unrendered") == ("failed", {"never_begins": (0, "failed")})
