"""Airflow DAGs that show how operators behave: a failure, a repetition, a ledger that cannot be written."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow.sdk import DAG
from support.datasets import made_up

from tallystick import store
from tallystick_airflow.operators import (
    TallystickIngestOperator,
    TallystickOperator,
    TallystickRecordOperator,
)

CANARY = "canary-5105-1051-0510"


class TallystickRegister(TallystickOperator):
    """Registers a dataset, twice with the same request."""

    def step(self, workspace: Any, requests: Any, context: Any) -> dict[str, Any]:
        facts = made_up(self.dag_id.replace("_", "-"))
        first, second = (
            workspace.provenance.register_dataset(requests.of("dataset"), **facts) for _ in range(2)
        )
        return {
            "first": first.repeated,
            "second": second.repeated,
            "same": first.reference == second.reference,
        }


class TallystickBreaks(TallystickOperator):
    """Fails with a message that must not reach the ledger."""

    def step(self, workspace: Any, requests: Any, context: Any) -> dict[str, Any]:
        raise ValueError(CANARY)


class TallystickUnrendered(TallystickRegister):
    """Fails before its execution begins."""

    template_fields = ("text",)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = "{{ 1 // 0 }}"


class TallystickNoRoom(TallystickIngestOperator):
    """Takes in what a callable wrote, on a disk that has no room for a copy."""

    def step(self, workspace: Any, requests: Any, context: Any) -> dict[str, Any]:
        with no_room():
            return super().step(workspace, requests, context)


@contextmanager
def no_room() -> Iterator[None]:
    """Meanwhile nothing can be cloned and no disk has room."""
    clone, has_room = store._clone, store.Store._has_room
    store._clone = lambda source, destination: False
    store.Store._has_room = lambda self, size: False
    try:
        yield
    finally:
        store._clone, store.Store._has_room = clone, has_room


def write_small(folder: Path) -> Path:
    path = folder / "small.csv"
    path.write_text("visits,cost\n1,2.5\n3,4.5\n")
    return path


with DAG("written", schedule=None) as written:
    small = Path(__file__).with_name("small.yaml")
    refused = TallystickNoRoom(task_id="no_room", source=write_small, policy=small)
    room = TallystickIngestOperator(task_id="room", source=write_small, policy=small, trigger_rule="all_done")
    # Of the same bytes and of a parent: another version, made of the first.
    made = TallystickIngestOperator(
        task_id="made",
        source=write_small,
        policy=small,
        parents="dataset/small/1",
        transformation=str(small),
    )
    refused >> room >> made
    [refused, room, made] >> TallystickRecordOperator(task_id="record")

with DAG("fails", schedule=None) as fails:
    works = TallystickRegister(task_id="works")
    breaks = TallystickBreaks(task_id="breaks")
    after = TallystickRegister(task_id="after")
    works >> breaks >> after
    [works, breaks, after] >> TallystickRecordOperator(task_id="record")

with DAG("repeats", schedule=None) as repeats:
    TallystickRegister(task_id="twice") >> TallystickRecordOperator(task_id="record")

with DAG("unwritable", schedule=None) as unwritable:
    TallystickRegister(task_id="writes", tallystick_conn_id="read_only") >> TallystickRecordOperator(
        task_id="record"
    )

with DAG("unrendered", schedule=None) as unrendered:
    TallystickUnrendered(task_id="never_begins") >> TallystickRecordOperator(task_id="record")


class TallystickSleeps(TallystickOperator):
    """Leaves its process id in the home and waits to be killed."""

    def step(self, workspace: Any, requests: Any, context: Any) -> dict[str, Any]:
        part = workspace.settings.home / f"{self.task_id}.part"
        part.write_text(str(os.getpid()))
        part.rename(part.with_suffix(".pid"))
        time.sleep(300)
        return {}


with DAG("ends_badly", schedule=None, is_paused_upon_creation=False) as ends_badly:
    sleeps = [TallystickSleeps(task_id="killed"), TallystickSleeps(task_id="stopped_by_hand")]
    sleeps >> TallystickRecordOperator(task_id="record")
