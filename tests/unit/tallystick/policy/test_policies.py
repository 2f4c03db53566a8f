"""What lies in policies/ loads, and the schema beside it is the one that the program checks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tallystick.policy import DatasetPolicy, load_policy

ROOT = Path(__file__).parents[4] / "policies"


@pytest.mark.parametrize("path", sorted((ROOT / "datasets").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_policy_in_the_book_loads(path: Path) -> None:
    policy = load_policy(path)
    assert policy.file == path
    assert policy.task.target not in policy.features
    assert path.stem in (ROOT / "README.md").read_text()


def test_the_schema_is_the_models() -> None:
    stored = json.loads((ROOT / "schema" / "dataset-policy.json").read_text())
    assert stored == DatasetPolicy.model_json_schema(by_alias=True)
