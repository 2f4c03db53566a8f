"""The one schedule of an audited pipeline: two DAGs made from a dataset policy and a source.

``NAME``           ingest, screen, validate, publish: ends with an event of the asset ``NAME``
``NAME_training``  receive, train, track, anchor: starts at that event
Both end with ``record``, which runs whatever became of the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset

from tallystick_airflow import operators
from tallystick_airflow.operators import Writer

POLICIES = Path(__file__).resolve().parents[1] / "policies" / "datasets"


def audited_dags(
    name: str,
    *,
    policy: str | Path,
    source: str | Path | Writer,
    parents: str = "",
    transformation: str = "",
    schedule: Any = None,
    params: dict[str, Any] | None = None,
) -> tuple[DAG, DAG]:
    """The DAG that registers and checks a dataset, and the one that trains on it.

    ``policy`` is a path, or a file's name in policies/datasets; ``source`` is a path, or a callable that
    writes the file into the folder it is given. ``parents`` (ids of datasets, separated by blanks) and
    ``transformation`` (a path) say what it was made of. All are Airflow templates. ``schedule`` is the first
    DAG's; a run of it goes on alone, one at a time, so that versions come in order.
    """
    asset = Asset(name=name, uri=f"tallystick://dataset/{name}")
    common: dict[str, Any] = {
        "catchup": False,
        "max_active_runs": 1,
        "is_paused_upon_creation": False,
        "tags": ["tallystick"],
    }
    with DAG(name, schedule=schedule, params=params, description=f"Check {name}", **common) as data:
        ingest = operators.TallystickIngestOperator(
            task_id="ingest",
            source=source,
            policy=policy if "{{" in str(policy) else POLICIES / policy,
            parents=parents,
            transformation=transformation,
        )
        screen = operators.TallystickScreenOperator(task_id="screen", ingested=ingest.output)
        validate = operators.TallystickValidateOperator(task_id="validate", ingested=ingest.output)
        publish = operators.TallystickPublishOperator(
            task_id="publish",
            asset=asset,
            ingested=ingest.output,
            screened=screen.output,
            validated=validate.output,
        )
        screen >> validate
        [ingest, screen, validate, publish] >> operators.TallystickRecordOperator(task_id="record")

    with DAG(f"{name}_training", schedule=[asset], description=f"Train on {name}", **common) as training:
        receive = operators.TallystickReceiveOperator(task_id="receive", asset=asset)
        train = operators.TallystickTrainOperator(task_id="train", checked=receive.output)
        track = operators.TallystickTrackOperator(
            task_id="track", checked=receive.output, trained=train.output
        )
        anchor = operators.TallystickAnchorOperator(
            task_id="anchor", checked=receive.output, trained=train.output, tracked=track.output
        )
        [receive, train, track, anchor] >> operators.TallystickRecordOperator(task_id="record")
    return data, training
