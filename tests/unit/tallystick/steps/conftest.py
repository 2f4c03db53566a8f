"""A small policy whose columns and rules a test can choose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tallystick.policy import DatasetPolicy, load_policy

HEAD = """\
name: claims
title: Claims
source: a hospital
licence: internal
purpose: to test
retention: {days: 365, reason: a year}
task: {kind: regression, target: cost}
model: {algorithm: lightgbm, seed: 1}
split: {kind: random, test_fraction: 0.2}
"""
NONE = "{regime: none, reason: a test}"
HIPAA = "{regime: hipaa-safe-harbor}"


@pytest.fixture
def make_policy(tmp_path: Path) -> Callable[..., DatasetPolicy]:
    def make(
        *columns: str, rules: tuple[str, ...] = (), privacy: str = NONE, extra: str = ""
    ) -> DatasetPolicy:
        lines = ["{name: cost, type: float, min: 0.0}", "{name: n, type: int, nullable: true}", *columns]
        text = HEAD + extra + f"privacy: {privacy}\ncolumns:\n" + "".join(f"  - {line}\n" for line in lines)
        if rules:
            text += "rules:\n" + "".join(f"  - {rule}\n" for rule in rules)
        path = tmp_path / "claims.yaml"
        path.write_text(text, encoding="utf-8")
        return load_policy(path)

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def to_file(content: str) -> Path:
        path = tmp_path / "claims.csv"
        path.write_text(content, encoding="utf-8")
        return path

    return to_file
