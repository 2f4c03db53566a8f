"""Starts the Fabric part of a rendered docker-compose.yml without Docker, each process with its mounts alone.

Run as a program in namespaces of its own: `unshare --map-root-user --mount --net`. All hosts are 127.0.0.1
there. A service's image is the only thing that is not the real one: programs come from PATH.

    python -m support.containers PROJECT.json HOSTS COMMAND...

HOSTS is a file that is written. Runs `tally fabric up`, then the service ``tally`` with COMMAND, and ends
with its exit code.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import socket
import struct
import subprocess
import sys
from pathlib import Path

from support.compose import ROOT, Project, Service

_UP, _GET, _SET, _ADDRESS = 1, 0x8913, 0x8914, 0x8916
_DEADLINE = 100.0
_HIDDEN = ("/opt", "/run", "/var")


def main(project_file: str, hosts: str, *command: str) -> int:
    """Returns the exit code."""
    project = Project(json.loads(Path(project_file).read_text()))
    _loopback()
    Path(hosts).write_text("127.0.0.1 localhost " + " ".join(project.services) + "\n")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True, timeout=10)
    logs = Path(hosts).parent
    running = []
    try:
        for service in project.services.values():
            if service.name.startswith(("orderer", "peer-", "chaincode-")):
                with (logs / f"{service.name}.log").open("wb") as log:
                    running.append(start(service, service.command, log.fileno()))
        tally = ["tally", "fabric", "up"]
        if code := subprocess.run(tally, check=False, timeout=_DEADLINE).returncode:
            return code
        return start(project.services["tally"], ["tally", *command]).wait(_DEADLINE)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(20)


def start(service: Service, command: list[str], output: int | None = None) -> subprocess.Popen[bytes]:
    """Start ``command`` as the service's container would: its environment, its mounts and nothing beside."""
    script = ["set -e", *(f"mount -t tmpfs none {place}" for place in _HIDDEN)]
    for mount in service.mounts:
        if mount.source is None:
            continue
        source, target = shlex.quote(str(mount.source)), shlex.quote(mount.target)
        make = f"mkdir -p {target}"
        if mount.source.is_file():
            make = f"mkdir -p $(dirname {target}) && touch {target}"
        script.append(f"{make} && mount --bind {source} {target}")
        if mount.read_only:
            script.append(f"mount -o remount,ro,bind {target}")
    script.append(f"exec {shlex.join(command)}")
    # The image has the checkout installed, as the environment of the tests does.
    environment = {"PATH": os.environ["PATH"], "HOME": "/tmp", "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"}  # noqa: S108
    return subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", "\n".join(script)],
        env=environment | service.environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
    )


def _loopback() -> None:
    """Bring up the new network's loopback (netdevice(7)), with an address that peers take for a real one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        address = struct.pack("16sHH4s", b"lo:1", socket.AF_INET, 0, socket.inet_aton("10.0.0.1"))
        flags = struct.unpack("16sh", fcntl.ioctl(control, _GET, b"lo".ljust(40, b"\0"))[:18])[1]
        fcntl.ioctl(control, _SET, struct.pack("16sh", b"lo", flags | _UP).ljust(40, b"\0"))
        fcntl.ioctl(control, _ADDRESS, address.ljust(40, b"\0"))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
