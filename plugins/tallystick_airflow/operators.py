"""The operators: each runs one step and commits its outcome inside its own execution.

A class whose name starts with `Tallystick` is one whose ends the listener watches (listener.py).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Asset, BaseOperator, TriggerRule
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTerminated

from tallystick.clients.provenance import Reference, Requests
from tallystick.errors import InvalidInput
from tallystick_airflow.hook import TallystickHook
from tallystick_airflow.outcomes import record_once, task_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tallystick.steps.workspace import Workspace

#: Under this key a task leaves the number of its try, which no other task can see otherwise.
TRY_KEY: Final = "tallystick_try"

Value = dict[str, Any]
#: Writes a file into the folder it is given and returns the file's path.
Writer = Callable[[Path], Path]


class PipelineFailed(AirflowFailException):
    """A task of this DAG run failed, so the run has failed."""


class TallystickOperator(BaseOperator):
    """Runs `step` with an open workspace; an exception is recorded as the task's outcome and raised again.

    Where the ledger cannot be opened or written the task fails: nothing goes on without its record. However
    it ends, the head is remembered outside the home: an older one put back shows, if only failures are gone.
    """

    def __init__(self, *, tallystick_conn_id: str = TallystickHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tallystick_conn_id = tallystick_conn_id

    @abstractmethod
    def step(self, workspace: Workspace, requests: Requests, context: Context) -> Value:
        """The work; what it returns goes to the tasks downstream as XCom, so it holds no data values."""

    def execute(self, context: Context) -> Value:
        """Run the step; called by Airflow."""
        from tallystick.home.memory import remember

        ti = context["ti"]
        task = task_of(ti)
        ti.xcom_push(key=TRY_KEY, value=task.try_number)
        with TallystickHook(self.tallystick_conn_id).get_conn() as workspace:
            try:
                return self.step(workspace, Requests(task), context)
            except BaseException as error:
                name = type(error).__name__
                try:
                    record_once(workspace.provenance, task, state="failed", observed_by="task", error=name)
                except Exception as unrecorded:
                    error.add_note(f"This outcome could not be recorded: {type(unrecorded).__name__}")
                raise
            finally:
                remember(workspace.settings)

    def on_kill(self) -> None:
        """Airflow ends the task (its state was changed, or its supervisor stops): so does the step."""
        raise AirflowTaskTerminated("the task was told to stop")


class TallystickIngestOperator(TallystickOperator):
    """Registers a version of a dataset. ``source`` is a file's path (templated), or a callable that writes
    the file into a folder below HOME/incoming, which is removed once the store has its copy. ``parents`` are
    ids of the datasets it was made of, separated by blanks, and ``transformation`` the file that made it."""

    template_fields: Sequence[str] = ("path", "policy", "parents", "transformation")

    def __init__(
        self,
        *,
        source: str | Path | Writer,
        policy: str | Path,
        parents: str = "",
        transformation: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.parents = parents
        self.transformation = transformation
        self.write = source if callable(source) else None
        self.path = "" if callable(source) else str(source)
        self.policy = str(policy)

    def step(self, workspace: Workspace, requests: Requests, context: Context) -> Value:
        from tallystick.steps.incoming import incoming_folder
        from tallystick.steps.ingest import ingest
        from tallystick.steps.records import find_record

        policy = Path(self.policy)
        parents = [find_record(workspace, each).reference for each in self.parents.split()]
        made_by = Path(self.transformation) if self.transformation else None

        def take_in(source: Path, *, may_refer: bool) -> Value:
            return ingest(
                workspace,
                requests,
                source,
                policy,
                parents=parents,
                transformation=made_by,
                may_refer=may_refer,
            ).value()

        if self.write is None:
            return take_in(Path(self.path), may_refer=True)
        with incoming_folder(workspace.settings.home) as folder:
            # The folder goes away: the store must have its copy, a reference would lead nowhere.
            return take_in(self.write(folder), may_refer=False)


class TallystickScreenOperator(TallystickOperator):
    """Searches a registered dataset for identifiers; a finding is recorded and fails the task."""

    template_fields: Sequence[str] = ("ingested",)

    def __init__(self, *, ingested: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ingested = ingested

    def step(self, workspace: Workspace, requests: Requests, context: Context) -> Value:
        from tallystick.steps.ingest import Ingested
        from tallystick.steps.screening import run_screening

        return run_screening(workspace, requests, Ingested.from_value(self.ingested)).value()


class TallystickValidateOperator(TallystickOperator):
    """Holds a registered dataset against its policy; a failure is recorded and fails the task."""

    template_fields: Sequence[str] = ("ingested",)

    def __init__(self, *, ingested: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ingested = ingested

    def step(self, workspace: Workspace, requests: Requests, context: Context) -> Value:
        from tallystick.steps.ingest import Ingested
        from tallystick.steps.validation import run_validation

        return run_validation(workspace, requests, Ingested.from_value(self.ingested)).value()


class TallystickPublishOperator(TallystickOperator):
    """Tells who waits for ``asset`` that a checked version of the dataset is there, and which one."""

    template_fields: Sequence[str] = ("ingested", "screened", "validated")

    def __init__(self, *, asset: Asset, ingested: Any, screened: Any, validated: Any, **kwargs: Any) -> None:
        super().__init__(outlets=[asset], **kwargs)
        self.asset = asset
        self.ingested = ingested
        self.screened = screened
        self.validated = validated

    def step(self, workspace: Workspace, requests: Requests, context: Context) -> Value:
        checked = {"ingested": self.ingested, "screened": self.screened, "validated": self.validated}
        context["outlet_events"][self.asset].extra = {"dataset": self.ingested["dataset"], "checked": checked}
        return checked


class TallystickReceiveOperator(TallystickOperator):
    """The checked dataset to train on: what the run's configuration names under ``checked``, else the newest
    asset event that triggered the run, else the asset's newest event."""

    def __init__(self, *, asset: Asset, **kwargs: Any) -> None:
        super().__init__(inlets=[asset], **kwargs)
        self.asset = asset

    def step(self, workspace: Workspace, requests: Requests, context: Context) -> Value:
        conf: Mapping[str, Any] = context["dag_run"].conf or {}
        if "checked" in conf:
            return dict(conf["checked"])
        if triggering := context["triggering_asset_events"].get(self.asset):
            return dict(triggering[-1].extra["checked"])
        newest: Any = context["inlet_events"][self.asset].ascending(False).limit(1)
        for event in newest:
            return dict(event.extra["checked"])
        raise InvalidInput(
            f"no dataset was published as {self.asset.name}", hint="Run the DAG that publishes it first."
        )


class TallystickTrainOperator(TallystickOperator):
    """Declares the run, then trains on the dataset that ``checked`` names."""

    template_fields: Sequence[str] = ("checked",)

    def __init__(self, *, checked: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.checked = checked

    def step(self, workspace: Workspace, requests: Requests, context: Context) -> Value:
        from tallystick.steps.ingest import Ingested
        from tallystick.steps.screening import Screened
        from tallystick.steps.train import train
        from tallystick.steps.validation import Validated

        return train(
            workspace,
            requests,
            Ingested.from_value(self.checked["ingested"]),
            Screened.from_value(self.checked["screened"]),
            Validated.from_value(self.checked["validated"]),
        ).value()


class TallystickTrackOperator(TallystickOperator):
    """Records the run and its model, on the ledger and in MLflow."""

    template_fields: Sequence[str] = ("checked", "trained")

    def __init__(self, *, checked: Any, trained: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.checked = checked
        self.trained = trained

    def step(self, workspace: Workspace, requests: Requests, context: Context) -> Value:
        from tallystick.steps.ingest import Ingested
        from tallystick.steps.track import track
        from tallystick.steps.train import Trained

        ingested = Ingested.from_value(self.checked["ingested"])
        return track(workspace, requests, ingested, Trained.from_value(self.trained)).value()


class TallystickAnchorOperator(TallystickOperator):
    """Checks that every record of this chain stands under the ledger's head, and keeps that head."""

    template_fields: Sequence[str] = ("checked", "trained", "tracked")

    def __init__(self, *, checked: Any, trained: Any, tracked: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.checked = checked
        self.trained = trained
        self.tracked = tracked

    def step(self, workspace: Workspace, requests: Requests, context: Context) -> Value:
        from tallystick.steps.anchor import anchor
        from tallystick.steps.ingest import Ingested
        from tallystick.steps.screening import Screened
        from tallystick.steps.track import Tracked
        from tallystick.steps.train import Trained
        from tallystick.steps.validation import Validated

        tracked = Tracked.from_value(self.tracked)
        records: list[Reference] = [
            Ingested.from_value(self.checked["ingested"]).dataset,
            Screened.from_value(self.checked["screened"]).screening,
            Validated.from_value(self.checked["validated"]).validation,
            Trained.from_value(self.trained).intent,
            tracked.run,
            tracked.model,
        ]
        return anchor(workspace, requests, records).value()


class TallystickRecordOperator(TallystickOperator):
    """The last task of a DAG, whatever became of the others: records every task instance's state, then
    fails if any failed. Everything else must lie upstream of it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trigger_rule=TriggerRule.ALL_DONE, **kwargs)

    def step(self, workspace: Workspace, requests: Requests, context: Context) -> Value:
        ti: Any = context["ti"]
        tasks = [
            {
                "task": ended["task_id"],
                "map_index": ended["map_index"],
                "try": self._try_of(ti, ended),
                "state": ended["state"],
            }
            for ended in ti.get_task_breadcrumbs(ti.dag_id, ti.run_id)
            if ended["task_id"] != ti.task_id
        ]
        failed = [task["task"] for task in tasks if task["state"] in ("failed", "upstream_failed")]
        outcome = "failed" if failed else "success"
        recorded = workspace.provenance.record_pipeline(
            requests.of("pipeline"), dag=ti.dag_id, run=ti.run_id, outcome=outcome, tasks=tasks
        )
        if failed:
            raise PipelineFailed(f"these tasks failed or could not start: {', '.join(failed)}")
        return {"pipeline": recorded.reference.value(), "outcome": outcome, "tasks": tasks}

    @staticmethod
    def _try_of(ti: Any, ended: Mapping[str, Any]) -> int:
        """The number of a task's try: 0 where it never began."""
        if ended["state"] in ("upstream_failed", "removed"):
            return 0
        index = ended["map_index"]
        return int(ti.xcom_pull(task_ids=ended["task_id"], key=TRY_KEY, map_indexes=index, default=0))
