"""Every DAG file parses, quickly and without a framework, and the plugin comes by entry points alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.dag_runs import ROOT, environment
from support.home import settings_of

from tallystick_airflow.provider import get_provider_info
from tallystick_airflow.runner import airflow_environment

NAMES = ("healthcare_risk", "finance_signal", "own_data")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    settings = settings_of(tmp_path_factory.mktemp("probe"))
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("probe.py")), str(ROOT)],
        env=environment(settings, **airflow_environment(settings)),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_every_file_parses_into_a_producer_and_a_trainer(seen: dict[str, Any]) -> None:
    assert seen["errors"] == {}
    expected = sorted([*NAMES, *(f"{name}_training" for name in NAMES)])
    assert sorted(seen["dags"]) == expected
    assert seen["found"] == expected  # what Airflow finds by itself, the factory's file ignored


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_tasks(seen: dict[str, Any], name: str) -> None:
    producer, trainer = (seen["dags"][dag]["tasks"] for dag in (name, f"{name}_training"))
    assert {task: value["upstream"] for task, value in producer.items()} == {
        "ingest": [],
        "screen": ["ingest"],
        "validate": ["ingest", "screen"],
        "publish": ["ingest", "screen", "validate"],
        "record": ["ingest", "publish", "screen", "validate"],
    }
    assert {task: value["upstream"] for task, value in trainer.items()} == {
        "receive": [],
        "train": ["receive"],
        "track": ["receive", "train"],
        "anchor": ["receive", "track", "train"],
        "record": ["anchor", "receive", "track", "train"],
    }


def test_only_the_last_task_runs_whatever_happened(seen: dict[str, Any]) -> None:
    for dag in seen["dags"].values():
        rules = {task: value["rule"] for task, value in dag["tasks"].items()}
        assert rules.pop("record") == "all_done"
        assert set(rules.values()) == {"all_success"}


def test_the_trainer_waits_for_the_asset_unpaused(seen: dict[str, Any]) -> None:
    for name in NAMES:
        assert seen["dags"][name]["timetable"] == "NullTimetable"
        assert seen["dags"][f"{name}_training"]["timetable"] == "AssetTriggeredTimetable"
        assert seen["dags"][f"{name}_training"]["paused"] is False


def test_parsing_imports_no_framework(
    seen: dict[str, Any], record_testsuite_property: Callable[[str, object], None]
) -> None:
    for name, seconds in seen["seconds"].items():
        record_testsuite_property(f"seconds to parse {name}", round(seconds, 3))
    assert seen["heavy"] == []


def test_nothing_in_the_plugins_folder_is_executed_by_its_path(seen: dict[str, Any]) -> None:
    python = {
        syntax: [f for f in files if f.endswith(".py")] for syntax, files in seen["plugin_files"].items()
    }
    assert python == {"glob": [], "regexp": []}


def test_connection_type_and_listener_come_by_entry_points(seen: dict[str, Any]) -> None:
    assert seen["hook"] == "tallystick_airflow.hook.TallystickHook"
    assert seen["fields"] == [f"extra__tallystick__{field}" for field in ("home", "ledger", "msp", "user")]
    assert seen["plugins"] == ["tallystick"]


def test_the_description_names_what_is_there() -> None:
    info = get_provider_info()
    modules = [module for kind in ("operators", "hooks") for module in info[kind][0]["python-modules"]]
    for module in modules:
        assert (ROOT / "plugins" / f"{module.replace('.', '/')}.py").is_file()
