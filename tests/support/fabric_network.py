"""A live Fabric network for tests, and Fabric's own `peer` program as its client."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaincode import canonical
from tallystick.errors import CouldNotCheck
from tallystick.network import operate, processes
from tallystick.network.binaries import Binaries
from tallystick.network.configuration import client_environment, server_environment
from tallystick.network.layout import CHAINCODE, CHANNEL, HOST, ORDERER_MSP, PORTS, Layout, Peer
from tallystick.network.operate import Network
from tallystick.network.tools import attempt

CHARTER = {
    "origin": "hospital.example/0123456789abcdef",
    "parties": {"operator": "OperatorMSP", "regulator": "RegulatorMSP", "auditor": "AuditorMSP"},
    "independent": "regulator",
    "grants": {"pipeline": [{"party": "operator", "role": "pipeline"}]},
    "skew_ms": 300_000,
    "log_format": "tallystick-log-v1",
}


def free_base_port() -> int:
    """The first of as many ports as a network may use, below those that systems hand out by themselves."""
    for base in random.sample(range(20_000, 32_000, 400), 30):
        try:
            processes.check_ports({"any": range(base, base + PORTS + 1)})
        except CouldNotCheck:
            continue
        return base
    raise AssertionError("no free ports")


def wait_for_port(port: int) -> None:
    """Until somebody listens there."""
    ends = time.monotonic() + 15
    while time.monotonic() < ends:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on port {port}")


@dataclass
class Live:
    """A network that runs."""

    root: Path
    binaries: Binaries
    network: Network

    @classmethod
    def up(cls, root: Path, binaries: Binaries, consensus: str = "raft") -> Live:
        network = operate.up(root, binaries, consensus=consensus, base_port=free_base_port())
        return cls(root, binaries, network)

    def again(self) -> None:
        """Start what does not run."""
        operate.up(self.root, self.binaries)

    @property
    def layout(self) -> Layout:
        return self.network.layout

    def peer(self, organisation: str) -> Peer:
        return next(peer for peer in self.layout.peers if peer.organisation.name == organisation)

    def kill(self, name: str, number: int) -> None:
        """Send a signal to a process of the network and wait until it is gone."""
        pid = processes.pid_of(self.root, name)
        assert pid is not None
        os.kill(pid, number)
        while processes.pid_of(self.root, name) is not None:
            time.sleep(0.02)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Let a process hang: it listens, and answers nothing."""
        pid = processes.pid_of(self.root, name)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def served_by(
        self, command: Sequence[str], *organisations: str, env: Mapping[str, str] | None = None
    ) -> Iterator[None]:
        """Let another program stand where these organisations' chaincode servers stood."""
        peers = [self.peer(organisation) for organisation in organisations]
        servers = [peer.server for peer in peers]
        processes.stop(self.root, servers)
        try:
            for peer in peers:
                told = server_environment(self.layout, peer, self.network.package_id, self.network.package)
                told["PYTHONPATH"] = ":".join(sys.path)
                processes.start(self.root, peer.server, command, {**told, **(env or {})})
            for peer in peers:
                wait_for_port(peer.server_port)
            yield
        finally:
            processes.stop(self.root, servers)
            self.again()

    def served_badly(self, how: str, *organisations: str) -> AbstractContextManager[None]:
        """Let a server of `support.bad_chaincode` stand there."""
        return self.served_by([sys.executable, "-m", "support.bad_chaincode", how], *organisations)

    def run(
        self, arguments: Sequence[str], organisation: str = "operator", user: str = "pipeline", **env: str
    ) -> tuple[int, str]:
        """The `peer` program's exit code and what it says."""
        environment = client_environment(self.layout, self.peer(organisation), user) | env
        command = [self.binaries.program("peer"), *arguments]
        return attempt(command, environment, doing="a call of the peer program", deadline=60)

    def query(self, name: str, request: Any, organisation: str = "operator", user: str = "pipeline") -> Any:
        """The contracts' answer from one peer; a refusal as {"code", "facts"}."""
        return _answer(*self.run(["chaincode", "query", *_call(name, request)], organisation, user))

    def invoke(
        self,
        name: str,
        request: Any,
        organisation: str = "operator",
        user: str = "pipeline",
        endorsers: Sequence[str] = ("operator", "regulator"),
        **env: str,
    ) -> tuple[int, str]:
        """Submit a transaction and wait until the organisation's own peer has committed it."""
        arguments = ["chaincode", "invoke", *_call(name, request), *self.orderer(organisation, user)]
        for endorser in endorsers:
            arguments += self.endorser(endorser)
        return self.run([*arguments, "--waitForEvent"], organisation, user, **env)

    def orderer(self, organisation: str, user: str) -> list[str]:
        """The `peer` program's arguments that lead it to the first orderer."""
        tls = self.layout.user(self.peer(organisation).organisation.msp_id, user) / "tls"
        return [
            *("-o", f"{HOST}:{self.layout.orderers[0].port}", "--tls", "--clientauth"),
            *("--cafile", str(self.layout.tls_root(ORDERER_MSP))),
            *("--certfile", str(tls / "cert.pem"), "--keyfile", str(tls / "key.pem")),
        ]

    def endorser(self, organisation: str) -> list[str]:
        """The arguments that ask a peer to endorse."""
        peer = self.peer(organisation)
        root = self.layout.tls_root(peer.organisation.msp_id)
        return ["--peerAddresses", f"{HOST}:{peer.port}", "--tlsRootCertFiles", str(root)]


def _call(name: str, request: Any) -> list[str]:
    arguments = json.dumps({"Args": [name, canonical.encode(request).decode()]})
    return ["-C", CHANNEL, "-n", CHAINCODE, "-c", arguments]


def _answer(code: int, told: str) -> Any:
    if code == 0:
        return json.loads(told.splitlines()[-1])
    return refusal(told)


def refusal(told: str) -> Any:
    """The refusal of a contract in what the `peer` program says; None where it holds none."""
    for line in told.splitlines():
        text = line.replace('\\"', '"')
        if (start := text.find('{"code"')) >= 0:
            return json.JSONDecoder().raw_decode(text[start:])[0]
    return None
