"""What is said of a server that cannot be asked names it, and nothing that would let anybody in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.home import settings_of

from tallystick.errors import Unreachable
from tallystick.steps.tracking_server import tracking


def test_an_error_names_the_server_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "nosuch://mlflow:s3cret@db.example/runs"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)  # MLflow sets it, for whoever comes after this test
    settings = replace(settings_of(tmp_path), mlflow_uri=address)
    with pytest.raises(Unreachable, match="MLflow cannot be reached") as caught, tracking(settings):
        pytest.fail("nobody answers there")
    assert "nosuch://db.example/runs" in caught.value.hint
    assert "s3cret" not in str(caught.value)
