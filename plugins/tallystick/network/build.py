"""Builds Fabric's programs once, with Go, into a cache outside the work tree: `make fabric`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tallystick.errors import CouldNotCheck, TallystickError
from tallystick.files import alone, private_directory
from tallystick.network.binaries import DEPLOY, SAMPLES, VERSION, find, place
from tallystick.settings import Settings

_OLDEST_GO: Final = (1, 24, 2)
_MODULE: Final = "github.com/hyperledger/fabric"
_INSTALL: Final = "Install Go 1.24.2 or newer and put it on PATH, then: make fabric"
_DEADLINE: Final = 1800.0


def build(cache: Path) -> Path:
    """Build the programs unless they are there; returns their directory.

    Raises `CouldNotCheck` without a Go that is new enough, or where the build fails.
    """
    destination = place(cache)
    private_directory(destination.parent)
    with alone(destination.parent):
        if destination.is_dir():
            return find(cache).directory
        go = _go()
        building = Path(tempfile.mkdtemp(prefix=".building.", dir=destination.parent))
        try:
            flags = f"-s -w -X {_MODULE}/common/metadata.Version={VERSION}"
            _run([go, "build", "-trimpath", "-o", str(building), "-ldflags", flags, "tool"])
            samples = Path(_run([go, "list", "-m", "-f", "{{.Dir}}", _MODULE]).strip()) / "sampleconfig"
            for name in SAMPLES:
                shutil.copyfile(samples / name, building / name)
            building.rename(destination)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return find(cache).directory


def _go() -> str:
    go = shutil.which("go")
    if go is None:
        raise CouldNotCheck("Fabric is built with Go, which is not here", hint=_INSTALL)
    told = _run([go, "env", "GOVERSION"])
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", told)
    if found is None or tuple(int(part or 0) for part in found.groups()) < _OLDEST_GO:
        raise CouldNotCheck(f"{go} is {told.strip() or 'of no known version'}, too old", hint=_INSTALL)
    return go


def _run(command: list[str]) -> str:
    # Without GOTOOLCHAIN=local an older Go would fetch another one by itself.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    try:
        done = subprocess.run(
            command,
            cwd=DEPLOY,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_DEADLINE,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CouldNotCheck(f"{command[0]} did not run: {type(error).__name__}", hint=_INSTALL) from error
    if done.returncode:
        last = "\n".join(done.stderr.splitlines()[-5:])
        raise CouldNotCheck(f"{' '.join(command[:2])} failed in {DEPLOY}", hint=last)
    return done.stdout


def main() -> int:
    """The entry of `make fabric`; returns the exit code."""
    try:
        cache = Settings.from_environment().cache_dir
        if not place(cache).is_dir():
            print(f"Building Fabric {VERSION} (once: two to five minutes) …", flush=True)  # noqa: T201
        print(f"Fabric {VERSION}: {build(cache)}")  # noqa: T201
    except TallystickError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
