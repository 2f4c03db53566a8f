"""From a YAML file to a checked `DatasetPolicy`; whatever is wrong is said with its line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tallystick.errors import PolicyError
from tallystick.nearest import closest, nearest
from tallystick.policy.checks import Problem, problems
from tallystick.policy.marked import EDIT_ME, Marked, Place, read_marked
from tallystick.policy.models import DatasetPolicy

_MOST_TOLD = 21
_ASKED = {
    ("source",): "say where the data comes from",
    ("licence",): "say under which licence the data may be used",
    ("purpose",): "say what the model is for",
    ("retention", "reason"): "say why the data is kept that long",
    ("task", "kind"): "write regression or classification",
    ("task", "target"): "name the column to predict",
    ("privacy", "regime"): "write hipaa-safe-harbor, or none with a reason below it",
}


def load_policy(path: str | Path) -> DatasetPolicy:
    """Read and check the policy at ``path`` (docs/formats/dataset-policy.md).

    Raises `PolicyError` at the first wrong line, with the other problems in its hint, and
    `InvalidInput` when the file cannot be read.
    """
    path = Path(path)
    marked = read_marked(path)
    if not isinstance(marked.value, dict):
        raise PolicyError(path, 1, "a policy is a list of `key: value` lines", hint="See policies/README.md.")
    unedited = list(_unedited(marked.value, ()))
    if unedited:
        _raise(path, marked, unedited)
    try:
        policy = DatasetPolicy.model_validate(marked.value)
    except ValidationError as error:
        details = error.errors(include_url=False)
        misspelt = {_meant(detail) for detail in details if detail["type"] == "extra_forbidden"}
        told = [detail for detail in details if detail["loc"] not in misspelt]
        _raise(path, marked, [_problem(detail, marked.value) for detail in told])
    policy._file = path
    policy._lines = marked.lines
    found = list(problems(policy))
    if found:
        _raise(path, marked, found)
    return policy


def _raise(path: Path, marked: Marked, found: list[Problem]) -> None:
    def line(problem: Problem) -> int:
        place = problem.place
        while place and place not in marked.lines:
            place = place[:-1]
        return marked.lines.get(place, 1)

    first, *others = found = sorted(found, key=line)
    if not others:
        raise PolicyError(path, line(first), first.text)
    told = [f"{path}:{line(problem)}  {problem.text}" for problem in found[:_MOST_TOLD]]
    raise PolicyError(path, line(first), f"{len(found):,} problems, from this line on", hint="\n".join(told))


def _unedited(value: Any, place: Place) -> Iterable[Problem]:
    if value == EDIT_ME:
        what = _ASKED.get(tuple(str(part) for part in place), "write what belongs here")
        yield Problem(place, f'"{place[-1]}" still says {EDIT_ME}: {what}')
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _unedited(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unedited(item, (*place, index))


def _problem(detail: ErrorDetails, raw: Any) -> Problem:
    place = _existing(detail["loc"], raw)
    key = str(detail["loc"][-1]) if detail["loc"] else "policy"
    shown = next((part for part in reversed(place) if isinstance(part, str)), "policy")
    if detail["type"] == "extra_forbidden":
        keys = _keys_at(detail["loc"][:-1])
        guess = nearest(key, keys) or f"; known here: {', '.join(keys)}"
        return Problem(place, f'unknown key "{key}"{guess}')
    if detail["type"] == "missing":
        return Problem(place, f'"{key}" is missing')
    context = detail.get("ctx", {})
    if detail["type"] == "literal_error":
        return Problem(place, f'"{shown}" must be one of {context["expected"]}')
    if detail["type"] == "string_pattern_mismatch":
        return Problem(place, f'"{shown}" must match {context["pattern"]}')
    message = detail["msg"]
    return Problem(place, f'"{shown}": {message[:1].lower()}{message[1:]}')


def _meant(detail: ErrorDetails) -> tuple[int | str, ...]:
    """Where the key that an unknown one looks like would stand: that it is missing goes without saying."""
    *parent, key = detail["loc"]
    close = closest(str(key), _keys_at(tuple(parent)))
    return (*parent, close) if close else ()


def _existing(loc: tuple[int | str, ...], raw: Any) -> Place:
    """The part of ``loc`` that is in the file: pydantic adds the names of union members."""
    place: list[str | int] = []
    for part in loc:
        inside = (isinstance(raw, dict) and part in raw) or (
            isinstance(raw, list) and isinstance(part, int) and part < len(raw)
        )
        if not inside:
            break
        raw = raw[part]
        place.append(part)
    return tuple(place)


def _keys_at(loc: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = DatasetPolicy
    for part in loc:
        if isinstance(part, int):
            continue
        model = next(filter(_is_model, _within(model.model_fields[part].annotation)), model)
    return [field.alias or name for name, field in model.model_fields.items()]


def _within(annotation: Any) -> Iterable[Any]:
    yield annotation
    for argument in get_args(annotation):
        yield from _within(argument)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
