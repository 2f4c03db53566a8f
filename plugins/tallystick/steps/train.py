"""Declares on the ledger what will be trained on what, and only then trains and seals the run record."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaincode import canonical
from tallystick import sealing
from tallystick.clients.provenance import Reference, Requests
from tallystick.fingerprint.files import file_digest
from tallystick.fingerprint.subsets import subset_root
from tallystick.fingerprint.tables import RowLeaves
from tallystick.policy import DatasetPolicy
from tallystick.steps import run_record
from tallystick.steps.code_version import CodeVersion, code_version, environment_digest
from tallystick.steps.execution import Execution, execute
from tallystick.steps.ingest import Ingested
from tallystick.steps.model_folder import write_model_folder
from tallystick.steps.opening import Dataset, open_dataset, store_of
from tallystick.steps.results import Result
from tallystick.steps.screening import Screened
from tallystick.steps.split import Fold, Indices, all_rows, split
from tallystick.steps.validation import Validated
from tallystick.steps.workspace import Workspace
from tallystick.store import Store


@dataclass(frozen=True)
class Trained(Result):
    """A model that was trained under an intent. ``sealed`` and ``artifacts`` are plain SHA-256 of store
    objects: the run record, and the manifest of the model's folder."""

    intent: Reference
    sealed: str
    artifacts: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Plan:
    """The folds of a training and the (root, rows) of what they use: together, and fold by fold."""

    folds: list[Fold]
    training: tuple[str, int]
    evaluation: tuple[str, int]
    parts: list[tuple[tuple[str, int], tuple[str, int]]]


@dataclass(frozen=True)
class _Setting:
    code: CodeVersion
    environment: str


def train(
    w: Workspace, requests: Requests, ingested: Ingested, screened: Screened, validated: Validated
) -> Trained:
    """Train by the dataset's policy. Raises whatever the ledger says to the intent before training starts,
    and `InvalidInput` where the policy's split or algorithm cannot work with the data."""
    dataset = open_dataset(w, ingested.dataset)
    plan = make_plan(dataset)
    setting = _Setting(code_version(), environment_digest())
    intent = w.provenance.declare_run(
        requests.of("intent"),
        dataset=ingested.dataset,
        screening=screened.screening,
        validation=validated.validation,
        training=plan.training,
        evaluation=plan.evaluation,
        policy=dataset.body["policy"],
        commit=setting.code.commit,
        changes=setting.code.changes,
        environment=sealing.seal(None, setting.environment),
        algorithm=dataset.policy.model.algorithm,
        seed=dataset.policy.model.seed,
    ).reference
    started = _now()
    done = execute(dataset.table, dataset.policy, plan.folds)
    times = (started, _now())
    store = store_of(w, dataset)
    artifacts, files = _keep_model(store, dataset.policy, done)
    value = {
        **_identity(dataset, intent, setting),
        "params": _params(dataset, plan),
        "tracked": _tracked(dataset, intent, times),
        **_outcome(plan, done),
        "artifacts": files,
        "predictions": run_record.keep_predictions(store, done.predictions),
    }
    sealed = store.add_bytes(canonical.encode(value))
    return Trained(intent, sealed, artifacts, done.metrics)


def make_plan(dataset: Dataset) -> Plan:
    """The folds of a registered dataset. Raises `NotAsRecorded` where its rows are not those recorded."""
    leaves = dataset.leaves()
    folds = split(dataset.table, dataset.policy)
    parts = [(_rows(leaves, fold.training), _rows(leaves, fold.evaluation)) for fold in folds]
    if len(folds) == 1:
        return Plan(folds, *parts[0], parts)
    training = _rows(leaves, all_rows([fold.training for fold in folds]))
    return Plan(folds, training, _rows(leaves, all_rows([fold.evaluation for fold in folds])), parts)


def _rows(leaves: RowLeaves, indices: Indices) -> tuple[str, int]:
    rows, root = subset_root(leaves, indices)
    return root, rows


def _identity(dataset: Dataset, intent: Reference, setting: _Setting) -> dict[str, Any]:
    """What the training was: known before it started."""
    policy = dataset.policy
    return {
        "v": 1,
        "dataset": dataset.reference.value(),
        "intent": intent.value(),
        "policy": policy.digest,
        "code": {"commit": setting.code.commit, "changes": setting.code.changes},
        "environment": setting.environment,
        "algorithm": policy.model.algorithm,
        "seed": policy.model.seed,
    }


def _keep_model(store: Store, policy: DatasetPolicy, done: Execution) -> tuple[str, dict[str, str]]:
    """The model's folder in the store: its manifest's digest, and each file's by its path."""
    with tempfile.TemporaryDirectory() as folder:
        write_model_folder(Path(folder), done.model, policy, len(done.classes))
        files = {path.name: file_digest(path) for path in sorted(Path(folder).iterdir())}
        return store.add_folder(Path(folder)), files


def _outcome(plan: Plan, done: Execution) -> dict[str, Any]:
    """What came out of it."""
    return {
        "folds": run_record.fold_values(plan.parts, done.fold_metrics),
        "metrics": run_record.tagged(done.metrics),
        "groups": done.groups,
        "classes": done.classes,
        "model": {
            "path": done.model.name,
            "format": done.model.format,
            "trusted_types": list(done.model.trusted),
            "fold": len(plan.folds),
        },
    }


def _params(dataset: Dataset, plan: Plan) -> dict[str, str]:
    """What MLflow is told of the training: texts of policy, ids and counts, never a value of a row."""
    policy = dataset.policy
    return {
        "dataset": dataset.reference.id,
        "dataset_root": dataset.body["table"]["root"],
        "task": policy.task.kind,
        "target": policy.task.target,
        "features": str(len(policy.features)),
        "algorithm": policy.model.algorithm,
        "seed": str(policy.model.seed),
        **{f"model.{name}": _text(value) for name, value in policy.model.params.items()},
        **_split_params(policy),
        "training_rows": str(plan.training[1]),
        "evaluation_rows": str(plan.evaluation[1]),
        **_fold_params(plan),
    }


def _fold_params(plan: Plan) -> dict[str, str]:
    """Which of several folds' models the registered one is: the counts above are of all folds together."""
    if len(plan.folds) == 1:
        return {}
    (_, training), (_, evaluation) = plan.parts[-1]
    last = len(plan.folds)
    return {
        "folds": str(last),
        "registered_model": f"fold {last} of {last}, the last; not refitted on the rows it was judged on",
        "registered_model.training_rows": str(training),
        "registered_model.evaluation_rows": str(evaluation),
    }


def _tracked(dataset: Dataset, intent: Reference, times: tuple[int, int]) -> dict[str, str]:
    """What else MLflow is told: docs/formats/run-record.md, "What MLflow holds". ``times`` are ms."""
    policy, reference = dataset.policy, dataset.reference
    columns = [
        {"name": column.name, "type": "string" if column.type == "string" else "double", "required": True}
        for column in policy.columns
    ]
    return {
        "run_name": reference.id.removeprefix("dataset/").replace("/", " v"),
        "status": "FINISHED",
        "start_time": str(times[0]),
        "end_time": str(times[1]),
        "tag tallystick.dataset": reference.id,
        "tag tallystick.intent": intent.id,
        "dataset.name": policy.name,
        "dataset.digest": dataset.body["table"]["root"][:32],  # all that MLflow has room for
        "dataset.source_type": "tallystick",
        "dataset.source": json.dumps(reference.value()),
        "dataset.schema": json.dumps({"mlflow_colspec": columns}),
        "dataset.profile": json.dumps({"num_rows": dataset.body["table"]["rows"]}),
        "model.name": "model",
        "model.status": "READY",
        "model.run": "this run",
    }


def _now() -> int:
    return time.time_ns() // 1_000_000


def _split_params(policy: DatasetPolicy) -> dict[str, str]:
    split = policy.split
    params = {"split": split.kind, "split.equal_covariates_together": _text(split.equal_covariates_together)}
    if split.test_fraction is not None:
        params["split.test_fraction"] = _text(split.test_fraction)
    if split.boundaries:
        params["split.boundaries"] = str(len(split.boundaries))
    return params


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
