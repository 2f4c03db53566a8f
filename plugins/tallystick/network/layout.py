"""Who takes part in a network, which ports they listen on, and where their files lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: The user of every organisation by whom the network is run.
ADMIN: Final = "admin"
HOST: Final = "127.0.0.1"
_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - inside a container; outside, ports are published on HOST alone
CHANNEL: Final = "audit"
CHAINCODE: Final = "tallystick"
ORDERER_MSP: Final = "OrdererMSP"
#: How blocks are ordered, and by how many.
CONSENSUS: Final = {"raft": 1, "raft3": 3, "bft": 4}
BASE_PORT: Final = 17050
#: From the base port to the last one that is used.
PORTS: Final = 304


@dataclass(frozen=True, slots=True)
class Organisation:
    """A member with a peer: its name, its MSP and its users with their roles."""

    name: str
    msp_id: str
    users: dict[str, tuple[str, ...]]


ORGANISATIONS: Final = (
    Organisation("operator", "OperatorMSP", {ADMIN: ("admin",), "pipeline": ("pipeline",)}),
    Organisation("regulator", "RegulatorMSP", {ADMIN: ("admin",), "reader": ("reader",)}),
    Organisation("auditor", "AuditorMSP", {ADMIN: ("admin",), "reader": ("reader",)}),
)
#: Who owns the orderers: an organisation of its own, without a peer and without a say in the contracts.
ORDERERS: Final = Organisation("orderers", ORDERER_MSP, {ADMIN: ("admin",)})


@dataclass(frozen=True, slots=True)
class Orderer:
    """An orderer: blocks are ordered at ``port``, it is administered at ``admin_port``."""

    name: str
    port: int
    admin_port: int
    operations_port: int

    @property
    def ports(self) -> tuple[int, ...]:
        """All that it listens on."""
        return self.port, self.admin_port, self.operations_port


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer of ``organisation``; its chaincode server is the process beside it."""

    organisation: Organisation
    name: str
    port: int
    chaincode_port: int
    operations_port: int
    server_port: int

    @property
    def ports(self) -> tuple[int, ...]:
        """All that it listens on, without its chaincode server."""
        return self.port, self.chaincode_port, self.operations_port

    @property
    def server(self) -> str:
        """The name of its chaincode server."""
        return f"chaincode-{self.organisation.name}"


@dataclass(frozen=True, slots=True)
class Layout:
    """One network: its directory, how it orders, the first of its ports, and its channel.

    Where it is ``named``, each process is a host of its own that the others reach by its name, as under
    docker-compose.yml; else all of them are on this machine.
    """

    root: Path
    consensus: str
    base_port: int
    channel: str = CHANNEL
    named: bool = False

    def host(self, process: str) -> str:
        """Where the others reach a process."""
        return process if self.named else HOST

    @property
    def listen(self) -> str:
        """The address that every process listens on."""
        return _EVERYWHERE if self.named else HOST

    @property
    def orderers(self) -> tuple[Orderer, ...]:
        """The orderers, the first one first."""
        return tuple(
            Orderer(
                f"orderer{number + 1}",
                self.base_port + number,
                self.base_port + 10 + number,
                self.base_port + 20 + number,
            )
            for number in range(CONSENSUS[self.consensus])
        )

    @property
    def peers(self) -> tuple[Peer, ...]:
        """A peer for each organisation."""
        return tuple(
            Peer(organisation, f"peer-{organisation.name}", first + 1, first + 2, first + 3, first + 4)
            for organisation, first in zip(
                ORGANISATIONS, range(self.base_port + 100, self.base_port + PORTS, 100), strict=True
            )
        )

    @property
    def ports(self) -> dict[str, tuple[int, ...]]:
        """What each process listens on, by its name, in the order in which they are started."""
        return (
            {orderer.name: orderer.ports for orderer in self.orderers}
            | {peer.name: peer.ports for peer in self.peers}
            | {peer.server: (peer.server_port,) for peer in self.peers}
        )

    @property
    def genesis(self) -> Path:
        """The channel's first block."""
        return self.root / ("genesis.block" if self.channel == CHANNEL else f"{self.channel}.block")

    @property
    def package(self) -> Path:
        """The chaincode package that every organisation installs."""
        return self.root / "package.tgz"

    @property
    def config(self) -> Path:
        """Fabric's configuration files."""
        return self.root / "config"

    @property
    def organisations(self) -> Path:
        """The organisations by their MSPs, as `tallystick.identity` keeps them."""
        return self.root / "organisations"

    def msp(self, msp_id: str) -> Path:
        """What the channel knows of an organisation: its MSP without any key."""
        return self.organisations / msp_id / "msp"

    def user(self, msp_id: str, name: str) -> Path:
        """A user's MSP, with its key; its TLS key and certificate are in ``tls/``."""
        return self.organisations / msp_id / "users" / name

    def tls_root(self, msp_id: str) -> Path:
        """The certificate of an organisation's authority for TLS."""
        return self.organisations / msp_id / "tls" / "cacerts" / "ca.pem"

    @property
    def profiles(self) -> Path:
        """What clients find into the network by."""
        return self.root / "profiles"

    def profile(self, organisation: Organisation) -> Path:
        """The profile of an organisation's clients."""
        return self.profiles / f"{organisation.name}.yaml"

    def node(self, name: str) -> Path:
        """A process's own directory: msp/, tls/, data/."""
        return self.root / "nodes" / name
