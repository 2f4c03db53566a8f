"""A network of its own for benchmarks/fabric.py: its chaincode servers exchanged, its processes looked at."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from peers import CACHE

from tallystick.errors import CouldNotCheck
from tallystick.network import binaries, configuration, operate, processes
from tallystick.network.layout import HOST, PORTS
from tallystick.network.operate import Network
from tallystick.settings import Settings

HERE = Path(__file__).parent
PYTHON = (sys.executable, str(HERE / "fabric_put.py"))
_TICKS = os.sysconf("SC_CLK_TCK")


class Use(NamedTuple):
    """What a process has used: CPU in seconds, and the most memory that it has held, in MiB."""

    cpu: float
    memory: float


@dataclass(frozen=True)
class Fabric:
    """A network that runs."""

    root: Path
    network: Network

    @classmethod
    @contextlib.contextmanager
    def up(cls, root: Path) -> Iterator[Fabric]:
        """A new network in ``root``; it ends with the block."""
        programs = binaries.find(Settings.from_environment().cache_dir)
        network = operate.up(root, programs, base_port=_free_base_port())
        try:
            yield cls(root, network)
        finally:
            operate.down(root, erase=True)

    def serve(self, command: Sequence[str]) -> None:
        """Let ``command`` stand where the chaincode servers stand: same address, keys and package id."""
        layout, network = self.network.layout, self.network
        processes.stop(self.root, [peer.server for peer in layout.peers])
        for peer in layout.peers:
            told = configuration.server_environment(layout, peer, network.package_id, network.package)
            processes.start(self.root, peer.server, command, told)
        for peer in layout.peers:
            _wait_for(peer.server_port)

    def used(self) -> dict[str, Use]:
        """By process, this one as ``client``."""
        pids = {name: processes.pid_of(self.root, name) for name in self.network.layout.ports}
        missing = [name for name, pid in pids.items() if pid is None]
        assert not missing, f"ended: {missing}"
        return {name: _used(pid) for name, pid in {**pids, "client": os.getpid()}.items() if pid}


def go_program() -> tuple[str]:
    """The chaincode of benchmarks/fabric_go, built into .cache/."""
    go = shutil.which("go")
    assert go, "Go is not on PATH: make bench puts it there"
    binary = CACHE / "fabric-put-go"
    environment = os.environ | {"GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
    build = [go, "build", "-trimpath", "-o", binary, "."]
    subprocess.run(build, cwd=HERE / "fabric_go", env=environment, check=True)
    return (str(binary),)


def _used(pid: int) -> Use:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return Use((int(fields[11]) + int(fields[12])) / _TICKS, int(status["VmHWM"].split()[0]) / 1024)


def _free_base_port() -> int:
    for base in random.sample(range(26_000, 32_000, 400), 15):
        with contextlib.suppress(CouldNotCheck):
            processes.check_ports({"any": range(base, base + PORTS + 1)})
            return base
    raise AssertionError("no free ports")


def _wait_for(port: int, seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        assert time.monotonic() < ends, f"nobody listens on port {port}"
        time.sleep(0.05)
