"""What the runner tells of a DAG run: one event for each task instance, one for the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

Emit = Callable[[Mapping[str, Any]], None]


class Reporter:
    """A listener of the process in which the tasks run; ``results`` has what each task of a run returned."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._ended: set[tuple[str, str]] = set()
        self.results: dict[tuple[str, str], Any] = {}

    @hookimpl
    def on_task_instance_running(self, previous_state: Any, task_instance: Any) -> None:
        """A task begins."""
        self._task(task_instance, "running")

    @hookimpl
    def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:
        """A task is done; its detail is what it returned."""
        result = task_instance.xcom_pull(task_ids=task_instance.task_id)
        self.results[task_instance.run_id, task_instance.task_id] = result
        self._task(task_instance, "success", result)

    @hookimpl
    def on_task_instance_failed(self, previous_state: Any, task_instance: Any, error: Any) -> None:
        """A task failed; its detail names the error and, where it is one of ours, says what happened."""
        from tallystick.errors import TallystickError

        detail: dict[str, Any] = {"error": type(error).__name__}
        if isinstance(error, TallystickError):
            detail |= {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
        self._task(task_instance, "failed", detail)

    def finish(self, run: DagRun) -> None:
        """Emit what no listener sees (tasks that never began), then the run's own event."""
        for ti in sorted(run.get_task_instances(), key=lambda ti: ti.task_id):
            if (ti.run_id, ti.task_id) not in self._ended:
                self._task(ti, str(ti.state))
        self._emit({"event": "dag", "dag": run.dag_id, "run": run.run_id, "state": str(run.state)})

    def _task(self, ti: Any, state: str, detail: Any = None) -> None:
        if state != "running":
            self._ended.add((ti.run_id, ti.task_id))
        task = {"dag": ti.dag_id, "run": ti.run_id, "task": ti.task_id}
        self._emit({"event": "task", **task, "state": state, "detail": detail})
