"""Fabric's programs are found whole and of the pinned version, or it is said what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fabric_programs import write_programs

from tallystick.errors import CouldNotCheck
from tallystick.network import binaries


def test_programs_of_the_pinned_version_are_found(tmp_path: Path) -> None:
    write_programs(binaries.place(tmp_path))
    assert binaries.find(tmp_path).program("peer") == str(binaries.place(tmp_path) / "peer")


@pytest.mark.parametrize("missing", ["peer", "osnadmin", "core.yaml"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    write_programs(binaries.place(tmp_path))
    (binaries.place(tmp_path) / missing).unlink()
    with pytest.raises(CouldNotCheck, match=f"{missing} is missing") as error:
        binaries.find(tmp_path)
    assert error.value.hint == "Build them once with: make fabric"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('echo " Version: 2.5.9"', "is of version 2.5.9, not 3.1.1"),
        ("echo nothing", "is of version unknown"),
        ("exit 1", "is of version unknown"),
    ],
)
def test_a_program_of_another_version_is_named(tmp_path: Path, script: str, said: str) -> None:
    directory = binaries.place(tmp_path)
    write_programs(directory)
    (directory / "orderer").write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(CouldNotCheck, match=said) as error:
        binaries.find(tmp_path)
    assert error.value.hint == f"Remove {directory}, then: make fabric"


def test_another_pin_is_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = binaries.place(tmp_path)
    for name in ("go.mod", "go.sum"):
        (tmp_path / name).write_bytes((binaries.DEPLOY / name).read_bytes())
    monkeypatch.setattr(binaries, "DEPLOY", tmp_path)
    assert binaries.place(tmp_path) == here
    (tmp_path / "go.sum").write_bytes(b"another")
    assert binaries.place(tmp_path) != here
    (tmp_path / "go.sum").unlink()
    with pytest.raises(CouldNotCheck, match="not installed here"):
        binaries.place(tmp_path)
