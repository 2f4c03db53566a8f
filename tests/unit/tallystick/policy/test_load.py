"""A policy is what it says in every reader, and what is wrong is said with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaincode import canonical
from tallystick.errors import InvalidInput, PolicyError
from tallystick.policy import DatasetPolicy, load_policy

GOOD = """\
name: claims
title: Claims
source: a hospital
licence: internal
purpose: to test
retention: {days: 365, reason: a year}
task: {kind: regression, target: cost}
model: {algorithm: lightgbm, seed: 1}
split: {kind: random, test_fraction: 0.2}
privacy: {regime: hipaa-safe-harbor}
columns:
  - {name: cost, type: float, min: 0}
  - {name: age, type: int, min: 0, max: 89}
  - {name: zip_code, type: string, class: geographic}
"""


@pytest.fixture
def load(tmp_path: Path):
    def write(text: str) -> DatasetPolicy:
        path = tmp_path / "claims.yaml"
        path.write_text(text, encoding="utf-8")
        return load_policy(path)

    return write


def refusal(load, text: str) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        load(text)
    return caught.value


def test_a_good_policy_has_its_parts_and_roles(load) -> None:
    policy = load(GOOD)
    assert policy.features == ("age",)
    assert policy.role(policy.column("cost")) == "target"
    assert policy.column("cost").min == 0.0
    assert type(policy.column("cost").min) is float
    assert policy.line("columns", 1, "name") == 13


def test_comments_and_layout_do_not_change_the_digest_but_a_value_does(load) -> None:
    one = load(GOOD)
    other = load("# a comment\n" + GOOD.replace("min: 0}", "min: 0.0}  # euros"))
    assert one.digest == other.digest == canonical.digest(one.canonical)
    assert load(GOOD.replace("max: 89", "max: 90")).digest != one.digest


def test_defaults_filled_in_are_part_of_the_digest(load) -> None:
    spelled = GOOD.replace("type: int,", "type: int, nullable: false, unique: false,")
    assert load(spelled).digest == load(GOOD).digest
    assert canonical.decode(load(GOOD).canonical)["split"]["test_fraction"] == {"$float": "0.2"}


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("licence:", "license:", 4, 'unknown key "license"; did you mean "licence"?'),
        ("type: int, min", "type: int, mni", 13, 'unknown key "mni"; did you mean "min"?'),
        ("seed: 1", "sede: 1", 8, 'unknown key "sede"; did you mean "seed"?'),
        ("target: cost", "target: costs", 7, 'did you mean "cost"?'),
        ("title: Claims", "title: Claims\ntitle: Twice", 3, "a second time"),
        ("seed: 1", "seed: yes", 8, "read differently"),
        ("seed: 1", "seed: 1e3", 8, "read differently"),
        ("seed: 1", "seed: 010", 8, "read differently"),
        ("seed: 1", "seed: 1:30", 8, "read differently"),
        ("seed: 1", "seed: 1_000", 8, "read differently"),
        ("seed: 1", 'seed: "1"', 8, '"seed"'),
        ("seed: 1", "seed: 1.0", 8, '"seed"'),
        ("seed: 1", "seed: true", 8, '"seed"'),
        ("title: Claims", "title: 12", 2, '"title"'),
        ("min: 0, max: 89", "min: 0.5, max: 89", 13, "a whole number"),
        ("min: 0, max: 89", "min: 90, max: 89", 13, 'below "min"'),
        ("min: 0, max: 89", "min: .inf", 13, "read differently"),
        ("test_fraction: 0.2", "test_fraction: 1.5", 9, '"test_fraction"'),
        ("test_fraction: 0.2", "column: age, test_fraction: 0.2", 9, "no \"column\""),
        ("kind: random", "kind: time", 9, 'needs "column"'),
        ("kind: random, test_fraction: 0.2", "kind: random", 9, "either"),
        ("lightgbm, seed", "logistic, seed", 8, "logistic is for classification"),
        ("seed: 1", "seed: 1, params: {random_state: 3}", 8, "model.seed"),
        ("regime: hipaa-safe-harbor", "regime: none", 10, "reason"),
        ("regime: hipaa-safe-harbor", "regime: gdpr", 10, "must be one of"),
        ("name: zip_code", "name: age", 14, "declared twice"),
        ("type: int, min: 0, max: 89", "type: date", 13, "cannot be a feature"),
        ("class: geographic", "class: target", 14, "contradicts task.target"),
        ("class: geographic", 'pattern: "(a"', 14, "no regular expression"),
        ("class: geographic", 'pattern: "a(?=b)"', 14, "look around"),
        ("name: claims", "name: Claims!", 1, "must match"),
        ("licence: internal\n", "", 1, '"licence" is missing'),
        ("title: Claims", "title: &a Claims", 2, "anchors"),
        ("title: Claims", "title: !!python/name:os.system", 2, "a tag"),
        ("title: Claims", "title: [a", 3, "not YAML"),
        ("title: Claims", "title: EDIT-ME", 2, "still says EDIT-ME"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(load, old: str, new: str, line: int, says: str) -> None:
    assert old in GOOD
    error = refusal(load, GOOD.replace(old, new, 1))
    assert says in str(error)
    assert error.message.startswith(f"{error.path}:{error.line}  ")
    assert error.line == line


def test_every_problem_is_told_at_once(load) -> None:
    error = refusal(load, GOOD.replace("licence:", "license:").replace("seed: 1", "seed: 1.5"))
    assert error.line == 4
    assert ":8  " in error.hint
    assert "is missing" not in error.hint


@pytest.mark.parametrize(
    "rule",
    [
        '{left: cost, op: ">=", right: age}',
        '{left: cost, op: ">", value: 1}',
        '{left: age, op: "==", value: 3, when: {column: zip_code, value: "02139"}}',
    ],
)
def test_a_rule_that_can_be_compared_is_taken(load, rule: str) -> None:
    assert len(load(f"{GOOD}rules:\n  - {rule}\n").rules) == 1


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ('{left: cost, op: ">=", right: agee}', 'did you mean "age"?'),
        ('{left: cost, op: ">=", right: zip_code}', "same type"),
        ('{left: cost, op: ">="}', "either"),
        ('{left: cost, op: ">=", right: age, value: 1.0}', "either"),
        ('{left: cost, op: ">=", right: cost}', "different columns"),
        ('{left: age, op: ">=", value: 1.5}', "a whole number"),
        ('{left: zip_code, op: ">=", value: a}', "only be compared with =="),
        ('{left: age, op: "==", value: 1, when: {column: zip_code, value: 2139}}', "text"),
        ('{left: age, op: "=>", value: 1}', "must be one of"),
    ],
)
def test_a_rule_that_cannot_be_compared_is_refused_at_its_line(load, rule: str, says: str) -> None:
    error = refusal(load, f"{GOOD}rules:\n  - {rule}\n")
    assert says in error.message
    assert error.line == 16


def test_boundaries_must_be_dates_that_rise(load) -> None:
    timed = GOOD.replace("type: int, min: 0, max: 89", "type: date, class: time")
    timed = timed.replace("name: zip_code, type: string, class: geographic", "name: visits, type: int")
    split = "kind: time, column: age, boundaries: ["
    good = timed.replace("kind: random, test_fraction: 0.2", split + '"2020-01-01", 2021-01-01]')
    assert load(good).split.boundaries == ["2020-01-01", "2021-01-01"]
    assert "must rise" in refusal(load, good.replace("2021-01-01", "2019-01-01")).message
    assert "a date such as" in refusal(load, good.replace("2021-01-01", "soon")).message


def test_deep_nesting_size_and_encoding_are_refused(load, tmp_path: Path) -> None:
    assert "nesting" in refusal(load, "name: " + "[" * 5000).message
    assert "1 MiB" in refusal(load, "#" * (1 << 20) + "\n").message
    (tmp_path / "claims.yaml").write_bytes(b"name: a\ntitle: \xff\n")
    with pytest.raises(PolicyError, match=r"claims.yaml:2  not UTF-8"):
        load_policy(tmp_path / "claims.yaml")
    with pytest.raises(InvalidInput, match="No such file"):
        load_policy(tmp_path / "absent.yaml")
    assert "empty" in refusal(load, "# nothing\n").message
    assert "key: value" in refusal(load, "- a\n").message


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("title: Claims", r'title: "Cl\e[31maims"', 2),
        ("source: a hospital", r'source: "a\x00b"', 3),
        ("licence: internal", r'licence: "a\rb"', 4),
        ("purpose: to test", r'purpose: "a\x9bb"', 5),
        ("reason: a year", r'reason: "a\x7fb"', 6),
        ("safe-harbor}", r'safe-harbor, reason: "a\x08b"}', 10),
        ("name: age", r'name: "a\tge"', 13),
    ],
)
def test_a_control_character_is_refused_where_it_would_be_shown(load, old: str, new: str, line: int) -> None:
    refused = refusal(load, GOOD.replace(old, new))
    assert "has a control character" in refused.message
    assert f":{line} " in refused.message


def test_a_text_may_have_lines(load) -> None:
    assert load(GOOD.replace("to test", "|\n  to test\n  \tand more")).purpose == "to test\n\tand more\n"
