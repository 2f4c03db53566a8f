"""Building Fabric's programs: once, with a Go that is new enough, or an error that says what to install."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fabric_programs import write_programs

from tallystick.errors import CouldNotCheck
from tallystick.network import binaries, build


def go(directory: Path, script: str) -> Path:
    """A `go` on PATH that runs ``script``, and notes each of its runs."""
    directory.mkdir()
    path = directory / "go"
    path.write_text(f'#!/bin/sh\necho "$@" >> {directory}/runs\n{script}\n')
    path.chmod(0o755)
    return directory


def building(made: Path, version: str = "go1.24.2") -> str:
    """A script that builds by copying what lies in ``made``."""
    return (
        f'case "$1 $2" in "env GOVERSION") echo {version};; "list -m") echo {made};;\n'
        f'"build -trimpath") cp {made}/programs/* "$4/";; esac'
    )


@pytest.fixture
def made(tmp_path: Path) -> Path:
    write_programs(tmp_path / "made" / "programs")
    write_programs(tmp_path / "made" / "sampleconfig")
    return tmp_path / "made"


@pytest.mark.parametrize("version", ["go1.24.2", "go1.25", "go1.26.8-custom", "go2.0.0"])
def test_it_builds_once(tmp_path: Path, made: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bin_directory = go(tmp_path / "bin", building(made, version))
    monkeypatch.setenv("PATH", str(bin_directory), prepend=":")
    first = build.build(tmp_path / "cache")
    assert first == binaries.find(tmp_path / "cache").directory
    runs = (bin_directory / "runs").read_text()
    assert build.build(tmp_path / "cache") == first
    assert (bin_directory / "runs").read_text() == runs
    assert [path.name for path in first.parent.iterdir()] == [first.name]


@pytest.mark.parametrize("version", ["go1.24.1", "go1.23.9", "devel", ""])
def test_a_go_that_is_too_old_is_refused(
    tmp_path: Path, made: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(go(tmp_path / "bin", building(made, version))), prepend=":")
    with pytest.raises(CouldNotCheck, match="too old") as error:
        build.build(tmp_path / "cache")
    assert "Install Go 1.24.2 or newer" in error.value.hint


def test_without_go_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CouldNotCheck, match="which is not here") as error:
        build.build(tmp_path / "cache")
    assert "Install Go 1.24.2 or newer" in error.value.hint


def test_a_build_that_fails_leaves_nothing_and_shows_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'case "$1" in env) echo go1.26.0;; *) echo no space left >&2; exit 1;; esac'
    monkeypatch.setenv("PATH", str(go(tmp_path / "bin", script)), prepend=":")
    with pytest.raises(CouldNotCheck) as error:
        build.build(tmp_path / "cache")
    assert error.value.hint == "no space left"
    assert list((tmp_path / "cache" / "fabric").iterdir()) == []
