"""Running Fabric's command line programs: with a deadline, and an error that says what did not work."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tallystick.errors import CouldNotCheck

#: Of this process's environment; nothing of it may configure Fabric.
_KEPT: Final = ("PATH", "HOME", "LANG", "TMPDIR")
_PAUSE: Final = 0.1
_LOGS: Final = "What its process last said: tally fabric logs"


def clean_environment(more: Mapping[str, str]) -> dict[str, str]:
    """``more`` and the little of this process's environment that any program needs."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | dict(more)


def run(command: Sequence[str], environment: Mapping[str, str], *, doing: str, deadline: float) -> str:
    """What ``command`` prints on either stream. Raises `CouldNotCheck`, naming what it was ``doing``."""
    code, told = attempt(command, environment, doing=doing, deadline=deadline)
    if code:
        raise CouldNotCheck(f"{doing} failed: {reason(told)}", hint=_LOGS)
    return told


def attempt(
    command: Sequence[str], environment: Mapping[str, str], *, doing: str, deadline: float
) -> tuple[int, str]:
    """The exit code of ``command`` and what it printed. Raises `CouldNotCheck` after ``deadline`` seconds."""
    try:
        done = subprocess.run(
            command,
            env=clean_environment(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            check=False,
            timeout=deadline,
        )
    except subprocess.TimeoutExpired:
        raise CouldNotCheck(f"{doing} did not end within {deadline:.0f} s", hint=_LOGS) from None
    except OSError as error:
        raise CouldNotCheck(f"{command[0]} cannot be run: {error.strerror}", hint="make fabric") from error
    return done.returncode, done.stdout


def until(
    attempts: Callable[[], tuple[bool, str]], *, doing: str, ends: float, alive: Callable[[], None]
) -> None:
    """Call ``attempts`` until it says that it is done; between two, ``alive`` may raise.

    ``ends`` is on the monotonic clock. Raises `CouldNotCheck` with what the last attempt told.
    """
    while True:
        done, told = attempts()
        if done:
            return
        alive()
        if time.monotonic() > ends:
            raise CouldNotCheck(f"{doing} did not work in time: {reason(told)}", hint=_LOGS)
        time.sleep(_PAUSE)


def reason(told: str) -> str:
    """The line of a program's output that says why."""
    # osnadmin prints an HTTP status and then JSON.
    if said := re.search(r'"error":\s*("(?:[^"\\]|\\.)*")', told):
        return str(json.loads(said[1], strict=False))[:400]
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(Error|error|panic|.*\b(ERRO|FATA|PANI)\b)", line)]
    line = (errors or lines or ["it said nothing"])[-1]
    return re.sub(r"^Error: ", "", line)[:400]
