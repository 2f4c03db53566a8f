"""One line about a record, in plain words: what `tally log` and the dashboard show beside its kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from tallystick.reports.record import Record

_MOST_LINES: Final = 60
_HEX: Final = re.compile(r"\b[0-9a-f]{17,}\b")


def short(digest: str) -> str:
    """The first 12 hex digits: enough for a screen."""
    return digest[:12]


def short_id(record_id: str) -> str:
    """A record's id with its long hexadecimal parts shortened; `tally show` takes it."""
    return _HEX.sub(lambda match: match.group()[:12], record_id)


def count(number: int, one: str, many: str = "") -> str:
    """A number with thousands separators and its noun: "1 row", "20,190 rows"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def title(record_id: str) -> str:
    """As people say it: "dataset/rand-hie/1" is "rand-hie v1", anything else its shortened id."""
    kind, _, rest = record_id.partition("/")
    name, _, version = rest.partition("/")
    if kind in ("dataset", "model") and version:
        return f"{name} v{version}"
    return short_id(rest or record_id) if kind == "run" else short_id(record_id)


def flat(value: Any, path: str = "") -> list[tuple[str, str]]:
    """A record's body as lines of field and value; references as the title of what they name."""
    if isinstance(value, dict):
        if isinstance(value.get("id"), str) and isinstance(value.get("digest"), dict):
            return [(path, title(value["id"]))]
        rows = [row for key, item in value.items() for row in flat(item, f"{path}.{key}" if path else key)]
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        rows = [row for number, item in enumerate(value, 1) for row in flat(item, f"{path}.{number}")]
    elif isinstance(value, list):
        rows = [(path, ", ".join(str(item) for item in value) or "none")]
    elif isinstance(value, bool):
        rows = [(path, "yes" if value else "no")]
    elif isinstance(value, int):
        rows = [(path, f"{value:,}")]
    else:
        rows = [(path, "none" if value is None else short_id(str(value)))]
    if path or len(rows) <= _MOST_LINES:
        return rows
    return [*rows[:_MOST_LINES], ("…", f"{len(rows) - _MOST_LINES:,} more with --json")]


def summary(record: Record) -> str:
    """What the record says, in one line."""
    describe = _SUMMARIES.get(record.kind)
    return describe(record.body) if describe else short_id(record.id)


def _charter(body: dict[str, Any]) -> str:
    return f"{count(len(body['parties']), 'party', 'parties')}, independent: {body['independent']}"


def _dataset(body: dict[str, Any]) -> str:
    table = body["table"]
    return f"{body['name']} v{body['version']}, {count(table['rows'], 'row')}, root {short(table['root'])}"


def _screening(body: dict[str, Any]) -> str:
    found = "none found" if body["passed"] else count(len(body["findings"]), "finding")
    classes = count(body["classes"], "identifier class", "identifier classes")
    return f"{title(body['dataset']['id'])}, {classes}, {found}"


def _validation(body: dict[str, Any]) -> str:
    failed = len(body["failed"])
    passed = f"{body['evaluated'] - failed:,} of {count(body['evaluated'], 'expectation')} passed"
    names = f"; failed: {', '.join(body['failed'][:3])}{', …' if failed > 3 else ''}" if failed else ""
    return f"{title(body['dataset']['id'])}, {passed}{names}"


def _intent(body: dict[str, Any]) -> str:
    training, evaluation = body["training"]["rows"], body["evaluation"]["rows"]
    return (
        f"{body['algorithm']} on {title(body['dataset']['id'])},"
        f" {training:,} rows to train, {evaluation:,} to evaluate, seed {body['seed']}"
    )


def _run(body: dict[str, Any]) -> str:
    return f"MLflow run {short(body['run_id'])}, {count(body['artifacts']['files'], 'file')} sealed"


def _model(body: dict[str, Any]) -> str:
    return f"{body['name']} v{body['version']}, from run {title(body['run']['id'])}"


def _use(body: dict[str, Any]) -> str:
    return f"{title(body['dataset']['id'])}: {body['purpose']}"


def _retirement(body: dict[str, Any]) -> str:
    return f"{title(body['subject']['id'])} {body['state']}: {body['reason']}"


def _outcome(body: dict[str, Any]) -> str:
    task = body["task"]
    error = f" ({body['error']})" if body["error"] else ""
    return f"{task['dag']}.{task['task']} {body['state']}{error}, try {task['try']}"


def _pipeline(body: dict[str, Any]) -> str:
    done = sum(task["state"] == "success" for task in body["tasks"])
    return f"{body['dag']} {body['outcome']}, {done} of {count(len(body['tasks']), 'task')} succeeded"


def _attestation(body: dict[str, Any]) -> str:
    return f"{short_id(body['stream'])}: {count(body['count'], 'record')}"


_SUMMARIES: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "charter": _charter,
    "dataset": _dataset,
    "screening": _screening,
    "validation": _validation,
    "intent": _intent,
    "run": _run,
    "model": _model,
    "use": _use,
    "retirement": _retirement,
    "outcome": _outcome,
    "pipeline": _pipeline,
    "attestation": _attestation,
}
