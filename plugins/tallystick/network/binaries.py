"""Fabric's programs: where they are kept, and whether they are the ones that the checkout pins."""

from __future__ import annotations

import hashlib
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tallystick.errors import CouldNotCheck

VERSION: Final = "3.1.1"
PROGRAMS: Final = ("configtxgen", "discover", "orderer", "osnadmin", "peer")
#: Fabric's own configuration files, of the same release, which ours are laid over.
SAMPLES: Final = ("core.yaml", "orderer.yaml")
#: What of the network comes with the checkout: the module that pins the programs, templates, the builder.
DEPLOY: Final = Path(__file__).resolve().parents[3] / "deploy" / "fabric"

_DEADLINE: Final = 20.0
_MAKE: Final = "Build them once with: make fabric"
_SAYS_VERSION: Final = {"peer": ["version"], "orderer": ["version"], "configtxgen": ["-version"]}


@dataclass(frozen=True, slots=True)
class Binaries:
    """A directory that holds the programs and Fabric's sample configuration."""

    directory: Path

    def program(self, name: str) -> str:
        """The path of a program, to be run."""
        return str(self.directory / name)

    def sample(self, name: str) -> Path:
        """One of `SAMPLES`."""
        return self.directory / name


def place(cache: Path) -> Path:
    """Where below ``cache`` the programs of this checkout are kept: by the digest of what pins them.

    Raises `CouldNotCheck` without the checkout.
    """
    try:
        pinned = b"".join((DEPLOY / name).read_bytes() for name in ("go.mod", "go.sum"))
    except FileNotFoundError:
        raise CouldNotCheck(
            "what builds Fabric is not installed here", hint="It comes with the checkout: make fabric"
        ) from None
    return cache / "fabric" / hashlib.sha256(pinned).hexdigest()[:16]


def find(cache: Path) -> Binaries:
    """The programs, each of `VERSION`. Raises `CouldNotCheck` where one is missing or of another version."""
    directory = place(cache)
    for name in (*PROGRAMS, *SAMPLES):
        if not (directory / name).is_file():
            raise CouldNotCheck(f"Fabric's programs are not here: {directory / name} is missing", hint=_MAKE)
    binaries = Binaries(directory)
    for name in _SAYS_VERSION:
        if (version := version_of(binaries.program(name), name)) != VERSION:
            raise CouldNotCheck(
                f"{binaries.program(name)} is of version {version or 'unknown'}, not {VERSION}",
                hint=f"Remove {directory}, then: make fabric",
            )
    return binaries


def version_of(path: str, name: str) -> str | None:
    """The version that the program at ``path`` tells of itself; None where it does not run or tells none."""
    try:
        told = subprocess.run(
            [path, *_SAYS_VERSION[name]], capture_output=True, text=True, check=False, timeout=_DEADLINE
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"^ *Version: *v?(\S+)", told.stdout + told.stderr, flags=re.MULTILINE)
    return found[1] if found else None
