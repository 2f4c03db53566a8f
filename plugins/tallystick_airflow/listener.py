"""The listener: adds what no task sees, a state changed by hand and a process that was killed.

Airflow calls it in three kinds of process: the task's own (a `RuntimeTaskInstance`), the API server
(no previous state: somebody changed it) and the scheduler (a lost heartbeat, a run's end). It swallows a
listener's errors and kills a slow one, so nothing depends on what is done here: the failure of a task
that lives is recorded by its operator, and the states of a run by its last task.

A connection cannot be read in the scheduler without touching its session: in the servers the environment
alone says where the ledger is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from airflow.listeners import hookimpl
from sqlalchemy.orm.exc import DetachedInstanceError

from tallystick.clients.provenance import Provenance, Task
from tallystick_airflow.outcomes import record_change, record_once, task_of

log = logging.getLogger(__name__)


@hookimpl
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:
    """Somebody marked it as a success."""
    if previous_state is None:
        _changed_by_hand(task_instance, "manual_success")


@hookimpl
def on_task_instance_skipped(previous_state: Any, task_instance: Any) -> None:
    """Somebody marked it as skipped."""
    if previous_state is None:
        _changed_by_hand(task_instance, "skipped")


@hookimpl
def on_task_instance_failed(previous_state: Any, task_instance: Any, error: Any) -> None:
    """Somebody marked it as failed, or it failed outside its operator's execution, or it was killed."""
    if previous_state is None:
        _changed_by_hand(task_instance, "manual_failed")
    elif isinstance(error, BaseException):
        _ended(task_instance, "failed", type(error).__name__)
    else:
        _ended(task_instance, "killed", None)


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """The run is over. A failed task that left no outcome was killed alone (its supervisor tells the API
    server, and no listener), or it could not write the ledger: the record claims neither."""
    try:
        task_instances = dag_run.task_instances
    except DetachedInstanceError:
        return  # dag.test(): the tasks ran in this very process, and it lives
    for task_instance in task_instances:
        if task_instance.state == "failed":
            _ended(task_instance, "failed", "NoOutcomeLeft")


def _ended(task_instance: Any, state: str, error: str | None) -> None:
    def write(provenance: Provenance, task: Task) -> None:
        if record_once(provenance, task, state=state, observed_by="listener", error=error):
            log.warning("Recorded %s as %s: it had left no outcome", task, state)

    _record(task_instance, write)


def _changed_by_hand(task_instance: Any, state: str) -> None:
    now = time.time_ns() // 1_000_000
    _record(task_instance, lambda provenance, task: record_change(provenance, task, state=state, when_ms=now))


def _record(task_instance: Any, write: Callable[[Provenance, Task], None]) -> None:
    """Let ``write`` record something of a task instance of ours. An error goes no further, as Airflow would
    have it, but is logged with the task instance's name."""
    operator = getattr(task_instance, "operator", None) or task_instance.task.task_type
    if not operator.startswith("Tallystick"):
        return
    from tallystick.settings import Settings
    from tallystick.wiring import open_workspace

    task = task_of(task_instance)
    try:
        with open_workspace(Settings.from_environment()) as workspace:
            write(workspace.provenance, task)
    except Exception:
        log.exception("Tallystick could not record the end of %s", task)
