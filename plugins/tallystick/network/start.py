"""Starting a network's processes, and with them the contracts that its organisations agree on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final

from tallystick.errors import CouldNotCheck
from tallystick.files import write_atomic
from tallystick.network import configuration, processes
from tallystick.network.binaries import Binaries
from tallystick.network.layout import Layout, Orderer, Peer
from tallystick.network.lifecycle import Definition, Lifecycle
from tallystick.network.package import package, package_id
from tallystick.network.processes import Process

_SECONDS: Final = 60.0
_LAST_LINES: Final = 6

Tell = Callable[[str], None]


class Start:
    """A start of a network whose contracts have ``digest``. Where what is done inside fails, everything that
    it started is stopped again."""

    def __init__(self, layout: Layout, binaries: Binaries, digest: str, tell: Tell) -> None:
        self._layout = layout
        self._binaries = binaries
        self._digest = digest
        self._tell = tell
        self._started: dict[str, Process] = {}
        self._steps = Lifecycle(layout, binaries, self._alive, time.monotonic() + _SECONDS)

    def __enter__(self) -> Start:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        if kind is not None:
            processes.stop(self._layout.root, self._started)

    def run(self, *, servers: bool = True) -> None:
        """Start what does not run, without the chaincode ``servers`` where those are to wait.

        Containers (a `named` layout) are docker compose's to start: what is missing shows when it is asked.
        Raises `CouldNotCheck` for a port that is taken.
        """
        layout = self._layout
        if layout.named:
            return
        missing = {
            name: ports for name, ports in layout.ports.items() if processes.pid_of(layout.root, name) is None
        }
        if not servers:
            missing = {name: ports for name, ports in missing.items() if name not in self._servers}
        processes.check_ports(missing)
        if missing:
            self._tell(f"starting {len(missing)} processes")
        for orderer in layout.orderers:
            self._orderer(orderer, missing)
        for peer in layout.peers:
            self._peer(peer, missing)

    def join(self) -> None:
        """Every process joins the channel, if it has not before."""
        self._tell("joining the channel")
        self._steps.join()

    def in_force(self) -> Definition | None:
        """The contracts' definition on the channel; None where there is none yet."""
        return self._steps.committed(self._layout.peers[0])

    def agree(self, sequence: int) -> frozenset[str]:
        """The contracts are installed and approved as the definition ``sequence``; returns the MSPs that
        have. Raises `CouldNotCheck` where those are too few to commit it."""
        self._tell("the organisations install and approve the contracts")
        write_atomic(self._layout.package, package(self._digest), 0o644)
        failures = self._steps.agree(self._digest, package_id(self._digest), sequence)
        return self._steps.require_agreed(self._digest, sequence, failures)

    def commit(self, sequence: int, approved: Iterable[str]) -> None:
        """The definition that the MSPs ``approved`` have approved is committed."""
        self._steps.commit(self._digest, sequence, approved)

    def replace_servers(self) -> None:
        """Chaincode servers of other contracts give way to those of these."""
        self._tell("replacing the contracts' servers")
        processes.stop(self._layout.root, self._servers)
        self.run()

    def wait(self) -> frozenset[str]:
        """Wait until the contracts answer through every peer that may run them; returns the MSPs of those.

        An organisation that has not approved the definition in force is asked to once more: until it has,
        its peer runs nothing.
        """
        definition = self.in_force()
        msps = {peer.organisation.msp_id for peer in self._layout.peers}
        if definition and (missing := msps - definition.approved):
            self._steps.agree(self._digest, package_id(self._digest), definition.sequence, missing)
            definition = self.in_force()
        approved = definition.approved if definition else frozenset()
        self._tell("waiting for the contracts to answer")
        self._steps.answer(approved)
        self._tell("waiting for the peers to know one another")
        self._steps.meet(approved)
        return approved

    @property
    def _servers(self) -> list[str]:
        return [peer.server for peer in self._layout.peers]

    def _orderer(self, orderer: Orderer, missing: Iterable[str]) -> None:
        if orderer.name in missing:
            environment = configuration.orderer_environment(self._layout, orderer)
            self._process(orderer.name, [self._binaries.program("orderer")], environment)

    def _peer(self, peer: Peer, missing: Iterable[str]) -> None:
        layout = self._layout
        if peer.name in missing:
            connection = layout.node(peer.name) / "connection.json"
            environment = configuration.peer_environment(layout, peer, connection)
            self._process(peer.name, [self._binaries.program("peer"), "node", "start"], environment)
        if peer.server in missing:
            environment = configuration.server_environment(
                layout, peer, package_id(self._digest), self._digest
            )
            self._process(peer.server, configuration.server_command(), environment)

    def _process(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self._started[name] = processes.start(self._layout.root, name, command, environment)

    def _alive(self) -> None:
        for name, process in self._started.items():
            if (code := process.ended()) is not None:
                said = processes.last_lines(self._layout.root, name, _LAST_LINES)
                raise CouldNotCheck(
                    f"{name} ended while the network was starting (exit code {code})",
                    hint="\n".join(said) or "It said nothing.",
                )
