"""Calls the listener as Airflow's servers do; run by test_listener.py in a process of its own."""

from __future__ import annotations

from types import SimpleNamespace

from tallystick_airflow import listener


def instance(task: str, operator: str = "TallystickTrainOperator", state: str = "running") -> SimpleNamespace:
    return SimpleNamespace(
        dag_id="seen",
        run_id="manual__1",
        task_id=task,
        map_index=-1,
        try_number=1,
        operator=operator,
        state=state,
    )


if __name__ == "__main__":
    listener.on_task_instance_failed("running", instance("killed"), "lost heartbeat")
    listener.on_task_instance_failed("running", instance("killed"), "lost heartbeat")
    listener.on_task_instance_failed(None, instance("by_hand"), "manually set")
    listener.on_task_instance_success(None, instance("by_hand"))
    listener.on_task_instance_skipped(None, instance("skipped_by_hand"))
    listener.on_task_instance_failed(
        "running", instance("foreign", operator="BashOperator"), "lost heartbeat"
    )
    listener.on_task_instance_success("running", instance("usual"))
    left = [
        instance("killed", state="failed"),
        instance("silent", state="failed"),
        instance("fine", state="success"),
    ]
    listener.on_dag_run_failed(SimpleNamespace(task_instances=left), "task_failure")
