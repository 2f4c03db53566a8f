"""Calls of Fabric's `peer` program as an organisation's administrator on its peer."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tallystick.errors import CouldNotCheck
from tallystick.network.binaries import Binaries
from tallystick.network.configuration import client_environment
from tallystick.network.layout import ADMIN, HOST, ORDERER_MSP, Layout, Peer
from tallystick.network.tools import attempt, reason, until

#: One call of a program; none of them takes a second on an idle machine.
CALL_SECONDS: Final = 30.0
#: For the handshake with an orderer on this machine; one that hangs accepts connections and says nothing.
_HANDSHAKE_SECONDS: Final = 2.0
#: What a program says of a step that was done before.
ALREADY: Final = (
    "already exists",  # joined
    "already successfully installed",
    "attempted to redefine uncommitted sequence",  # approved
)
#: What an ordering service without a leader answers, and a peer that has not caught up yet.
_NOT_YET: Final = (
    "no Raft leader",
    "SERVICE_UNAVAILABLE",
    "failed to create deliver client",
    "failed to send transaction",
    "connection refused",
)


@dataclass(frozen=True, slots=True)
class Commands:
    """Calls on one network, until ``ends`` (monotonic); ``alive`` raises where a process has died."""

    layout: Layout
    binaries: Binaries
    alive: Callable[[], None]
    ends: float

    def call(self, arguments: list[str], peer: Peer, doing: str) -> tuple[int, str]:
        """The program's exit code and what it says. Raises `CouldNotCheck` where it does not end."""
        environment = client_environment(self.layout, peer, ADMIN)
        command = [self.binaries.program("peer"), *arguments]
        return attempt(command, environment, doing=doing, deadline=CALL_SECONDS)

    def repeat(self, arguments: list[str], peer: Peer, doing: str) -> None:
        """Call until it works, was done before, or cannot work. Raises `CouldNotCheck`."""

        def once() -> tuple[bool, str]:
            code, told = self.call(arguments, peer, doing)
            if code and not any(word in told for word in (*ALREADY, *_NOT_YET)):
                raise CouldNotCheck(f"{doing} failed: {reason(told)}", hint="tally fabric logs")
            return code == 0 or any(word in told for word in ALREADY), told

        until(once, doing=doing, ends=self.ends, alive=self.alive)

    def orderer(self, peer: Peer) -> list[str]:
        """The arguments that lead the program to the first orderer that answers, or to the first of all."""
        root = self.layout.tls_root(ORDERER_MSP)
        ports = [orderer.port for orderer in self.layout.orderers]
        # Of one there is no choice, and its own failure says more than a handshake's.
        port = next((each for each in ports if answers(each, root)), ports[0]) if ports[1:] else ports[0]
        tls = self.layout.user(peer.organisation.msp_id, ADMIN) / "tls"
        arguments = ["-o", f"{HOST}:{port}", "--tls", "--clientauth"]
        arguments += ["--cafile", str(root)]
        return [*arguments, "--certfile", str(tls / "cert.pem"), "--keyfile", str(tls / "key.pem")]

    def endorser(self, peer: Peer) -> list[str]:
        """The arguments that have a peer endorse."""
        root = self.layout.tls_root(peer.organisation.msp_id)
        return ["--peerAddresses", f"{HOST}:{peer.port}", "--tlsRootCertFiles", str(root)]


def answers(port: int, root: Path) -> bool:
    """Whether who listens on ``port`` completes a TLS handshake with a certificate of ``root`` in time."""
    context = ssl.create_default_context(cafile=root)
    try:
        with (
            socket.create_connection((HOST, port), _HANDSHAKE_SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=HOST),
        ):
            return True
    except OSError:
        return False
