"""What one part of a policy demands of another. Pure: a policy in, problems with their places out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

from tallystick.nearest import nearest
from tallystick.policy.marked import Place
from tallystick.policy.models import Column, ColumnType, DatasetPolicy, Rule

_PYTHON: Final[dict[ColumnType, type]] = {
    "int": int, "float": float, "string": str, "bool": bool, "date": str, "timestamp": str,
}  # fmt: skip
_SEEDS: Final = frozenset({"seed", "random_state", "random_seed", "bagging_seed", "feature_fraction_seed"})
# RE2, which matches text for pandas, knows neither looking around nor looking back.
_NOT_RE2: Final = re.compile(r"\(\?(?:[=!>(#]|<[=!]|P=)|(?<!\\)(?:\\\\)*\\[1-9]")


# A header with the first is refused too. Texts are shown on terminals and pages, and may have lines.
_NOT_IN_NAMES: Final = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_TEXT: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Problem(NamedTuple):
    """What is wrong, and where (keys and list indices)."""

    place: Place
    text: str


def problems(policy: DatasetPolicy) -> Iterator[Problem]:
    """Everything in ``policy`` that its own columns, task, split or privacy regime contradict."""
    yield from _control_characters(policy)
    seen: set[str] = set()
    for index, column in enumerate(policy.columns):
        if column.name in seen:
            yield Problem(("columns", index, "name"), f'column "{column.name}" is declared twice')
        seen.add(column.name)
        yield from _column(policy, column, ("columns", index))
    dangling = list(_references(policy, seen))
    if dangling:
        yield from dangling
        return
    yield from _task(policy)
    yield from _split(policy)
    yield from _privacy(policy)
    for index, rule in enumerate(policy.rules):
        yield from _rule(policy, rule, ("rules", index))


def _control_characters(policy: DatasetPolicy) -> Iterator[Problem]:
    texts: list[tuple[Place, str | None]] = [
        (("title",), policy.title),
        (("source",), policy.source),
        (("licence",), policy.licence),
        (("purpose",), policy.purpose),
        (("retention", "reason"), policy.retention.reason),
        (("privacy", "reason"), policy.privacy.reason),
    ]
    bad: list[Place] = [place for place, text in texts if _NOT_IN_TEXT.search(text or "")]
    names = enumerate(column.name for column in policy.columns)
    bad += [("columns", index, "name") for index, name in names if _NOT_IN_NAMES.search(name)]
    for place in bad:
        yield Problem(place, f'"{place[-1]}" has a control character')


def _references(policy: DatasetPolicy, names: set[str]) -> Iterator[Problem]:
    named: list[tuple[Place, str | None]] = [
        (("task", "target"), policy.task.target),
        (("task", "group"), policy.task.group),
        (("split", "column"), policy.split.column),
        (("privacy", "subject"), policy.privacy.subject),
    ]
    for index, rule in enumerate(policy.rules):
        named += [(("rules", index, "left"), rule.left), (("rules", index, "right"), rule.right)]
        if rule.when:
            named.append((("rules", index, "when", "column"), rule.when.column))
    for place, name in named:
        if name is not None and name not in names:
            guess = nearest(name, sorted(names))
            yield Problem(place, f'"{place[-1]}" names "{name}", which is no declared column{guess}')


def _column(policy: DatasetPolicy, column: Column, place: Place) -> Iterator[Problem]:
    kind = column.type
    for key in ("min", "max"):
        bound = getattr(column, key)
        if bound is None:
            continue
        if kind in ("string", "bool"):
            yield Problem((*place, key), f'a {kind} column has no "{key}"')
        elif not fits(bound, kind):
            yield Problem((*place, key), f'"{key}" must be {_spelling(kind)}')
        elif key == "max" and fits(column.min, kind) and _order(bound, kind) < _order(column.min, kind):
            yield Problem((*place, key), '"max" is below "min"')
    for index, value in enumerate(column.values or []):
        if not fits(value, kind):
            yield Problem((*place, "values", index), f'each of "values" must be {_spelling(kind)}')
    if column.pattern is not None:
        yield from _pattern(column.pattern, kind, (*place, "pattern"))
    role = policy.role(column)
    if column.nullable and column.name in policy.keys:
        yield Problem((*place, "nullable"), "rows are told apart by this column: it cannot be nullable")
    if role == "feature" and kind in ("date", "timestamp"):
        text = f'a {kind} column cannot be a feature: write "class: time" or "class: excluded"'
        yield Problem((*place, "class"), text)
    for wanted, name, where in (
        ("target", policy.task.target, "task.target"),
        ("subject", policy.privacy.subject, "privacy.subject"),
    ):
        if (role == wanted) != (column.name == name):
            yield Problem((*place, "class"), f'"class: {role}" contradicts {where}')


def _pattern(pattern: str, kind: ColumnType, place: Place) -> Iterator[Problem]:
    if kind != "string":
        yield Problem(place, f'a {kind} column has no "pattern"')
        return
    try:
        re.compile(pattern)
    except re.error as error:
        yield Problem(place, f'"pattern" is no regular expression: {error.msg}')
        return
    if _NOT_RE2.search(pattern):
        yield Problem(place, '"pattern" cannot look around or refer back')


def _task(policy: DatasetPolicy) -> Iterator[Problem]:
    kind, target = policy.task.kind, policy.column(policy.task.target)
    allowed = ("int", "float") if kind == "regression" else ("int", "bool", "string")
    if target.type not in allowed:
        yield Problem(("task", "target"), f"{kind} needs a target of type {' or '.join(allowed)}")
    only = {"logistic": "classification", "linear": "regression"}.get(policy.model.algorithm, kind)
    if only != kind:
        yield Problem(("model", "algorithm"), f"{policy.model.algorithm} is for {only}, the task is {kind}")
    for name in sorted(_SEEDS & policy.model.params.keys()):
        yield Problem(("model", "params", name), f'"{name}" is set by "model.seed"')
    if not policy.features:
        yield Problem(("columns",), "no column is a feature: there is nothing to learn from")
    if policy.task.group == policy.task.target:
        yield Problem(("task", "group"), '"group" is the target: name another column')


def _split(policy: DatasetPolicy) -> Iterator[Problem]:
    split = policy.split
    if split.kind == "random" and split.column is not None:
        yield Problem(("split", "column"), 'a random split has no "column"')
    if split.kind != "random" and split.column is None:
        yield Problem(("split", "kind"), f'a {split.kind} split needs "column"')
    if (split.test_fraction is None) == (not split.boundaries):
        yield Problem(("split",), 'write either "test_fraction" or "boundaries"')
    if split.column is None:
        return
    column = policy.column(split.column)
    if column.name == policy.task.target or policy.role(column) == "excluded":
        yield Problem(("split", "column"), "the split's column is the target or excluded")
    if split.kind == "time" and column.type not in ("date", "timestamp", "int"):
        yield Problem(("split", "column"), "a time split needs a date, timestamp or int column")
    if split.kind != "time":
        if split.boundaries:
            yield Problem(("split", "boundaries"), 'only a time split has "boundaries"')
        return
    valid = [fits(_boundary(text, column.type), column.type) for text in split.boundaries]
    for index, good in enumerate(valid):
        if not good:
            yield Problem(("split", "boundaries", index), f"a boundary must be {_spelling(column.type)}")
    if not all(valid):
        return
    order = [_order(_boundary(text, column.type), column.type) for text in split.boundaries]
    if any(earlier >= later for earlier, later in pairwise(order)):
        yield Problem(("split", "boundaries"), "boundaries must rise")


def _privacy(policy: DatasetPolicy) -> Iterator[Problem]:
    if policy.privacy.regime == "none" and policy.privacy.reason is None:
        yield Problem(("privacy", "regime"), 'without a regime, "reason" must say why none applies')


def _rule(policy: DatasetPolicy, rule: Rule, place: Place) -> Iterator[Problem]:
    left = policy.column(rule.left)
    if (rule.right is None) == (rule.value is None):
        yield Problem(place, 'a rule compares "left" with either "right" (a column) or "value"')
    elif rule.right is not None:
        if not _comparable(left.type, policy.column(rule.right).type):
            yield Problem((*place, "right"), "a rule's two columns must have the same type")
        if rule.left == rule.right:
            yield Problem((*place, "right"), "a rule compares two different columns")
    elif not fits(rule.value, left.type, whole=True):
        yield Problem((*place, "value"), f'"value" must be {_spelling(left.type)}')
    if rule.op != "==" and left.type in ("string", "bool"):
        yield Problem((*place, "op"), f"a {left.type} column can only be compared with ==")
    if rule.when:
        kind = policy.column(rule.when.column).type
        if kind in ("date", "timestamp"):
            yield Problem((*place, "when", "column"), '"when" looks at a number, text or truth, not a date')
        elif not fits(rule.when.value, kind, whole=True):
            yield Problem((*place, "when", "value"), f'"value" must be {_spelling(kind)}')


def fits(value: Any, kind: ColumnType, *, whole: bool = False) -> bool:
    """Whether a scalar of the policy is one of the column type; ``whole`` lets 1 stand for 1.0."""
    if type(value) is not _PYTHON[kind]:
        return whole and kind == "float" and type(value) is int
    if kind not in ("date", "timestamp"):
        return True
    text = str(value)
    try:
        date.fromisoformat(text) if kind == "date" else datetime.fromisoformat(text)
    except ValueError:
        return False
    return kind == "timestamp" or len(text) == 10


def _boundary(text: str, kind: ColumnType) -> Any:
    return int(text) if kind == "int" and re.fullmatch(r"-?[0-9]{1,15}", text) else text


def _order(value: Any, kind: ColumnType) -> Any:
    """What puts a value that fits in order: times with and without a zone (UTC) compare."""
    if kind != "timestamp":
        return value
    time = datetime.fromisoformat(value)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _comparable(a: ColumnType, b: ColumnType) -> bool:
    return a == b or {a, b} <= {"int", "float"}


def _spelling(kind: ColumnType) -> str:
    return {
        "int": "a whole number",
        "float": "a number",
        "string": "text (in quotes if it looks like something else)",
        "bool": "true or false",
        "date": 'a date such as "2020-01-31"',
        "timestamp": 'a time such as "2020-01-31T12:00:00Z"',
    }[kind]
