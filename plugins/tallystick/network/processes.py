"""The processes of a network: started apart from this one, found again by their pid files, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tallystick.errors import CouldNotCheck
from tallystick.files import private_directory, write_atomic
from tallystick.network.layout import HOST
from tallystick.network.tools import clean_environment

_PAUSE: Final = 0.05
_STOP_SECONDS: Final = 10.0
_TAIL_BYTES: Final = 64 * 1024


@dataclass(slots=True)
class Process:
    """A process that this one has started and that outlives it."""

    pid: int
    _code: int | None = None

    def ended(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code


def start(root: Path, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Process:
    """Start ``command`` in a session of its own; its output goes to its log, its pid to its file."""
    private_directory(root / "run")
    log = private_directory(root / "log") / f"{name}.log"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pid = os.posix_spawn(
            command[0],
            list(command),
            clean_environment(environment),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, nothing, 0),
                (os.POSIX_SPAWN_DUP2, descriptor, 1),
                (os.POSIX_SPAWN_DUP2, descriptor, 2),
            ],
            setsid=True,
        )
    except OSError as error:
        raise CouldNotCheck(f"{command[0]} cannot be run: {error.strerror}", hint="make fabric") from error
    finally:
        os.close(descriptor)
        os.close(nothing)
    try:
        note = {"pid": pid, "started": _started(pid)}
        write_atomic(_pid_file(root, name), json.dumps(note).encode())
    except BaseException:
        # Without its note nobody would find it again, and it would keep its ports.
        _signal(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    return Process(pid)


def pid_of(root: Path, name: str) -> int | None:
    """The pid of the running process ``name``; None where it does not run.

    A pid that another process has by now is not its: the file notes when the process was started.
    """
    try:
        note = json.loads(_pid_file(root, name).read_bytes())
        pid, started = int(note["pid"]), note["started"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return pid if started is not None and _started(pid) == started else None


def stop(root: Path, names: Iterable[str], *, seconds: float = _STOP_SECONDS) -> list[str]:
    """Ask the processes to end, and end those that have not after ``seconds``; returns who was running."""
    running = {name: pid for name in names if (pid := pid_of(root, name)) is not None}
    for pid in running.values():
        _signal(pid, signal.SIGTERM)
    ends = time.monotonic() + seconds
    while any(pid_of(root, name) for name in running):
        if time.monotonic() > ends:
            for name in running:
                if (left := pid_of(root, name)) is not None:
                    _signal(left, signal.SIGKILL)
        time.sleep(_PAUSE)
    for name in running:
        _pid_file(root, name).unlink(missing_ok=True)
    return list(running)


def last_lines(root: Path, name: str, count: int) -> list[str]:
    """The last ``count`` lines of a process's log; none where it has none."""
    try:
        with (root / "log" / f"{name}.log").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except FileNotFoundError:
        return []


def check_ports(ports: Mapping[str, Iterable[int]]) -> None:
    """Raise `CouldNotCheck` for a port that somebody listens on, naming the process that needs it."""
    for name, numbers in ports.items():
        for number in numbers:
            with socket.socket() as probe:
                # As Go listens: what an ended connection still holds is no obstacle.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, number))
                except OSError:
                    raise CouldNotCheck(
                        f"port {number} is taken, and {name} needs it",
                        hint="Stop what listens there. A new network may have others: tally fabric up --port",
                    ) from None


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _started(pid: int) -> int | None:
    """When the process was started, in clock ticks since boot; None for none, or for one that has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" and not _ending(pid) else int(fields[19])


def _ending(pid: int) -> bool:
    """Whether a process whose first thread has ended has others yet, which hold its ports."""
    try:
        return len(os.listdir(f"/proc/{pid}/task")) > 1
    except FileNotFoundError:
        return False


def _pid_file(root: Path, name: str) -> Path:
    return root / "run" / f"{name}.json"
