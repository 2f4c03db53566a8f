"""A run and a model against what was sealed before anything was uploaded (docs/formats/run-record.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tallystick import floats, sealing
from tallystick.evidence.objects import Findings, Objects
from tallystick.evidence.report import CHANGED, MISSING, UNCHECKED
from tallystick.evidence.runs import FoundRun, RunReader

#: What the intent declared before training started and the sealed record must repeat.
_DECLARED: Final = ("dataset", "code", "algorithm", "seed")
_SHOWN: Final = 40
#: What a finding says of artifacts that MLflow has elsewhere, as it has those of a copied home.
HANDED_OUT: Final = "MLflow hands them out from"
#: Under this a tracked run has what a metric's history holds beside its last value.
_HISTORY: Final = " (history)"


def judge_run(
    findings: Findings,
    objects: Objects,
    body: Mapping[str, Any],
    intent: Mapping[str, Any],
    dataset: Mapping[str, Any],
    runs: RunReader | None,
) -> None:
    """Its sealed record and artifacts in the store, and the tracked run field by field against both; where
    the sealed record is gone, against what the ledger itself says of the run."""
    files = objects.folder(findings, "artifacts", body["artifacts"]["digest"])
    sealed = objects.document(findings, "run record", body["sealed"])
    try:
        if sealed is not None:
            _judge_sealed(findings, objects, sealed, body, intent)
            objects.check(findings, "predictions", {"sha256": sealed["predictions"]["sha256"]})
        told = _known(body, intent, dataset, files) if sealed is None else _told(sealed)
    except (KeyError, TypeError, ValueError, AttributeError):
        findings.add(CHANGED, "run record: not of its form")
        return
    if files is not None and told.artifacts != files:
        findings.add(CHANGED, "run record: names other artifacts than the run's manifest")
    found = _tracked(findings, objects, body["run_id"], runs)
    if found is None:
        return
    for kind, recorded, now in (
        ("param", told.params, found.params),
        ("metric", told.metrics, found.metrics),
        ("field", told.fields, found.fields),
    ):
        known = now if told.whole else {name: now[name] for name in recorded.keys() & now.keys()}
        for difference in differences(kind, recorded, known):
            findings.add(CHANGED, difference)
    _judge_artifacts(findings, told.artifacts, found)


@dataclass(frozen=True, slots=True)
class _Told:
    """What is known of a run, by the names under which it is tracked; ``whole`` where that is everything.
    ``artifacts`` are None where nobody knows them any more."""

    params: Mapping[str, str]
    metrics: Mapping[str, float]
    fields: Mapping[str, str]
    artifacts: Mapping[str, str] | None
    whole: bool


def _told(sealed: Mapping[str, Any]) -> _Told:
    metrics = {name: float(floats.untag(value)) for name, value in sealed["metrics"].items()}
    params, fields, artifacts = (dict(sealed[name].items()) for name in ("params", "tracked", "artifacts"))
    return _Told(params, metrics, fields, artifacts, whole=True)


def _known(
    body: Mapping[str, Any],
    intent: Mapping[str, Any],
    dataset: Mapping[str, Any],
    files: Mapping[str, str] | None,
) -> _Told:
    """What the ledger itself says of a run whose sealed record is gone."""
    params = {
        "dataset": intent["dataset"]["id"],
        "dataset_root": dataset["table"]["root"],
        "algorithm": intent["algorithm"],
        "seed": str(intent["seed"]),
        "training_rows": str(intent["training"]["rows"]),
        "evaluation_rows": str(intent["evaluation"]["rows"]),
    }
    fields = {
        "tag tallystick.dataset": intent["dataset"]["id"],
        "tag tallystick.intent": body["intent"]["id"],
        "dataset.digest": dataset["table"]["root"][:32],
        "status": "FINISHED",
    }
    return _Told(params, {}, fields, files, whole=False)


def judge_model(
    findings: Findings,
    objects: Objects,
    body: Mapping[str, Any],
    run: Mapping[str, Any],
    runs: RunReader | None,
) -> None:
    """Its artifacts are those of its run: in the record, in the store, and as they are tracked now. The
    registry has one version of it from that run, with that run's files."""
    if body["artifacts"] != run["artifacts"]["digest"]:
        findings.add(CHANGED, "artifacts: the record names others than its run's")
    files = objects.folder(findings, "artifacts", body["artifacts"])
    found = _tracked(findings, objects, run["run_id"], runs)
    if found is not None:
        _judge_artifacts(findings, files, found)
        _judge_registry(findings, objects, body, found)


def _judge_artifacts(findings: Findings, recorded: Mapping[str, str] | None, found: FoundRun) -> None:
    if recorded is not None:
        for difference in differences("artifact", recorded, found.artifacts):
            findings.add(CHANGED, difference)
    if found.elsewhere:
        where = f"{found.elsewhere}, which is not where this home keeps them: nothing was checked there"
        findings.add(UNCHECKED, f"artifacts: {HANDED_OUT} {where}")


def _judge_registry(findings: Findings, objects: Objects, body: Mapping[str, Any], found: FoundRun) -> None:
    name = body["name"]
    versions = [version for version in found.registered if version.name == name]
    if not versions and objects.erased:
        return
    if not versions:
        findings.add(MISSING, f"registry: no version of {name} is of this run any more")
    elif len(versions) > 1:
        findings.add(CHANGED, f"registry: {len(versions)} versions of {name} say that they are of this run")
    elif not versions[0].own:
        shown = f"version {versions[0].version} of {name}"
        findings.add(CHANGED, f"registry: {shown} leads to another model than the run's")
    elif versions[0].model not in ("", f"model/{name}/{body['version']}"):
        shown = f"version {versions[0].version} of {name}"
        findings.add(CHANGED, f"registry: {shown} says that it is {versions[0].model}")


def _tracked(findings: Findings, objects: Objects, run_id: str, runs: RunReader | None) -> FoundRun | None:
    """The run as it is tracked now; a finding where there is none, or nobody to ask."""
    if runs is None:
        findings.add(UNCHECKED, "no tracking server at hand to compare with")
        return None
    with findings.judging("MLflow"):
        found = runs.run(run_id)
        if found is not None:
            return found
        if not objects.erased:
            findings.add(MISSING, "MLflow has no such run, or it was deleted there")
    return None


def differences(kind: str, recorded: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What differs, as people read it: ``metric mae: recorded 2.41, MLflow now says 1.98``."""
    for name in sorted(recorded.keys() | now.keys()):
        if name not in now:
            yield f"{kind} {name}: recorded, and gone from MLflow"
        elif (
            name not in recorded
            and (last := name.removesuffix(_HISTORY)) in recorded
            and now[name] == now[name]
        ):
            yield f"{kind} {name}: recorded {_shown(recorded[last])}, MLflow now says {_shown(now[name])}"
        elif name not in recorded:
            yield f"{kind} {name}: in MLflow, and not recorded"
        elif repr(recorded[name]) != repr(now[name]):
            yield f"{kind} {name}: recorded {_shown(recorded[name])}, MLflow now says {_shown(now[name])}"


def _judge_sealed(
    findings: Findings,
    objects: Objects,
    sealed: Mapping[str, Any],
    body: Mapping[str, Any],
    intent: Mapping[str, Any],
) -> None:
    if sealed["intent"] != body["intent"]:
        findings.add(CHANGED, "run record: of another intent than the run")
    changed = [name for name in _DECLARED if sealed[name] != intent[name]]
    for name in ("policy", "environment"):
        key = objects.key if sealing.KEYED in intent[name] else None
        if sealing.seal(key, sealed[name]) != intent[name]:
            changed.append(name)
    # With several folds the intent names all their rows together, which only training again can make.
    folds = sealed["folds"]
    if len(folds) == 1:
        changed += [name for name in ("training", "evaluation") if folds[0][name] != intent[name]]
    if changed:
        findings.add(CHANGED, f"run record: {', '.join(changed)} not as the intent declared")


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:12]}…"
