"""How a task's end comes onto the ledger: once, whoever sees it first."""

from __future__ import annotations

from typing import Any, Final

from tallystick.clients.provenance import Provenance, Requests, Task
from tallystick.errors import Refused

_LABEL: Final = "outcome"


def task_of(ti: Any) -> Task:
    """The task instance as records name it, of a task's own view of it or of the scheduler's."""
    index = ti.map_index if ti.map_index is not None else -1
    return Task(ti.dag_id, ti.run_id, ti.task_id, index, ti.try_number)


def is_recorded(provenance: Provenance, task: Task) -> bool:
    """Whether the ledger has an outcome of this try."""
    request = Requests(task).of(_LABEL)
    return provenance.read(f"outcome/{request.id}")["facts"] is not None


def record_once(
    provenance: Provenance, task: Task, *, state: str, observed_by: str, error: str | None = None
) -> bool:
    """Record how this try ended unless that stands on the ledger already; says whether it was recorded.

    ``error`` is an exception's class, never its message: that may hold data. Raises `CouldNotCheck`
    when the ledger cannot be written.
    """
    if is_recorded(provenance, task):
        return False
    request = Requests(task).of(_LABEL)
    try:
        provenance.record_outcome(request, state=state, observed_by=observed_by, error=error)
    except Refused as refused:
        if refused.code != "REQUEST_REUSED":
            raise
        return False  # another process saw the same end and was faster
    return True


def record_change(provenance: Provenance, task: Task, *, state: str, when_ms: int) -> None:
    """Record that somebody set this try's state by hand at ``when_ms``, after it had ended or before."""
    if not record_once(provenance, task, state=state, observed_by="listener"):
        request = Requests(task).of(f"{_LABEL} changed at {when_ms}")
        provenance.record_outcome(request, state=state, observed_by="listener")
