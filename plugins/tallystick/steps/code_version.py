"""Which code and which libraries are at work: what an intent says of them before training starts."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from chaincode import canonical
from tallystick.errors import CouldNotCheck
from tallystick.fingerprint.files import file_digest

CHECKOUT: Final = Path(__file__).resolve().parents[3]
_SECONDS: Final = 60


@dataclass(frozen=True)
class CodeVersion:
    """``commit`` is git's, or "none" where the code lies in no repository. ``changes`` is the digest of
    what the work tree has beyond the commit (docs/formats/run-record.md), None where it has nothing."""

    commit: str
    changes: str | None


def code_version(root: Path = CHECKOUT) -> CodeVersion:
    """The version of the code below ``root``. Raises `CouldNotCheck` where git cannot tell."""
    if not (root / ".git").exists():
        return CodeVersion("none", None)
    commit = _git(root, "rev-parse", "HEAD").decode().strip()
    difference = _git(root, "diff", "--no-ext-diff", "--no-color", "--binary", "--full-index", "HEAD")
    listed = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    new = sorted(name for name in os.fsdecode(listed).split("\0") if name and (root / name).is_file())
    if not difference and not new:
        return CodeVersion(commit, None)
    untracked = [
        {"path": os.fsencode(name).decode("utf-8", "backslashreplace"), "sha256": file_digest(root / name)}
        for name in new
    ]
    value = {"v": 1, "difference": canonical.digest(difference), "untracked": untracked}
    return CodeVersion(commit, canonical.digest(canonical.encode(value)))


def environment_digest(root: Path = CHECKOUT) -> str:
    """SHA-256 of the lock file, or without one of the sorted lines ``name==version`` of what is installed."""
    lock = root / "requirements.lock"
    if lock.is_file():
        return file_digest(lock)
    installed = {f"{found.name.lower()}=={found.version}\n" for found in metadata.distributions()}
    return canonical.digest("".join(sorted(installed)).encode())


def _git(root: Path, *arguments: str) -> bytes:
    # What the surroundings say about another repository must not speak for this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            env=environment,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CouldNotCheck(
            f"git cannot tell which version of the code runs: {type(error).__name__}",
            hint=f"Try: git -C {root} {' '.join(arguments[:2])}",
        ) from None
    return done.stdout
