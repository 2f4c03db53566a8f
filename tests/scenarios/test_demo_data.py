"""The demonstrations' data as a whole: it keeps to its policy, and is made the same twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tallystick.policy import load_policy
from tallystick.steps.demo_data import write_rand_hie, write_sp500_nasdaq
from tallystick.steps.screen import screen
from tallystick.steps.tables import read_table, unparsed
from tallystick.steps.validate import validate

POLICIES = Path(__file__).parents[2] / "policies" / "datasets"


@pytest.mark.parametrize(
    ("name", "write", "rows"),
    [("rand_hie", write_rand_hie, 20_190), ("sp500_nasdaq", write_sp500_nasdaq, 4_980)],
)
def test_the_files_keep_to_their_policies(
    tmp_path: Path, name: str, write: Callable[[Path], Path], rows: int
) -> None:
    policy = load_policy(POLICIES / f"{name}.yaml")
    path = write(tmp_path)
    table = read_table(path, policy)
    assert table.num_rows == rows
    assert unparsed(table) == {}

    assert screen(table, policy).findings == ()
    assert validate(table, policy).failed == ()
    assert write(tmp_path / "again").read_bytes() == path.read_bytes()
