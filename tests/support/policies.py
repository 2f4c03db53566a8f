"""A whole policy for tests; and what one must say that no step works by, for tests of those that do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

STATED: Final[Mapping[str, Any]] = {
    "name": "claims",
    "title": "t",
    "source": "s",
    "licence": "l",
    "purpose": "p",
    "retention": {"days": 1, "reason": "r"},
    "privacy": {"regime": "none", "reason": "a test"},
}

#: A file's text, of two columns.
PEOPLE = """\
name: people
title: People
source: made up
licence: CC0-1.0
purpose: a test
retention:
  days: 30
  reason: a test
task:
  kind: regression
  target: cost
model:
  algorithm: linear
  seed: 1
split:
  kind: random
  test_fraction: 0.2
privacy:
  regime: none
  reason: made up
columns:
  - {name: age, type: int, min: 0, max: 120}
  - {name: cost, type: float, min: 0, max: 1000}
"""
