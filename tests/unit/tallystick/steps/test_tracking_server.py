"""What is said of a server that cannot be asked names it, and nothing that would let anybody in."""

from __future__ import annotations

import os
from collections.abc import Callable
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


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_database_that_is_no_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None], capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(tmp_path)
    database = settings.home / "mlflow" / "mlflow.db"
    database.parent.mkdir(parents=True)
    make(database)
    with pytest.raises(Unreachable, match="not a regular file") as caught, tracking(settings):
        pytest.fail("there is nothing to open")
    assert str(database) in caught.value.message
    assert capfd.readouterr() == ("", "")
