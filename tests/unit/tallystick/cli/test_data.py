"""`policy new` writes a whole policy or none."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from tallystick.cli import main


def test_a_policy_that_there_is_no_room_for_is_not_left_by_half(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "good.csv").write_text("age,cost\n40,10.5\n41,11.0\n")
    argv = ["policy", "new", "--data", "good.csv", "--out", "new.yaml"]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        assert main(argv) == 3
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "File too large" in capsys.readouterr().err
    assert not (directory / "new.yaml").exists()
    assert main(argv) == 0
    assert main(argv) == 2
    assert "is there already" in capsys.readouterr().err
