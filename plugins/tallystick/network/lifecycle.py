"""From running processes to contracts in force: join, install, approve, commit, by Fabric's own programs.

Each step may have been done before, by a start that was interrupted: then it is left as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from tallystick.errors import CouldNotCheck
from tallystick.network.binaries import Binaries
from tallystick.network.configuration import client_environment
from tallystick.network.layout import CHAINCODE, HOST, ORDERER_MSP, Layout, Orderer, Peer
from tallystick.network.tools import attempt, reason, run, until

#: One call of a program; none of them takes a second on an idle machine.
_CALL_SECONDS: Final = 30.0
_ALREADY: Final = (
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
class Lifecycle:
    """The steps for one network, until ``ends`` (monotonic); ``alive`` raises where a process has died."""

    layout: Layout
    binaries: Binaries
    alive: Callable[[], None]
    ends: float

    def join(self) -> None:
        """Every orderer and peer joins the channel."""
        _at_once(self._join_orderer, self.layout.orderers)
        _at_once(self._join_peer, self.layout.peers)

    def install(self, package_id: str) -> None:
        """Every organisation installs the package. Raises `CouldNotCheck` for another id than expected."""

        def on(peer: Peer) -> None:
            self._repeat(
                ["lifecycle", "chaincode", "install", str(self.layout.package)],
                peer,
                f"installing the contracts on {peer.name}",
            )
            told = self._peer(
                ["lifecycle", "chaincode", "queryinstalled", "-O", "json"], peer, "asking what is installed"
            )
            if package_id not in told:
                raise CouldNotCheck(f"{peer.name} did not install the package under the id {package_id}")

        _at_once(on, self.layout.peers)

    def approve(self, version: str, package_id: str) -> None:
        """Every organisation approves the definition; waits for the orderers' leader."""

        def by(peer: Peer) -> None:
            self._repeat(
                [
                    *("lifecycle", "chaincode", "approveformyorg"),
                    *self._definition(version),
                    *self._orderer(peer),
                    *("--package-id", package_id),
                ],
                peer,
                f"approving the contracts for {peer.organisation.msp_id}",
            )

        _at_once(by, self.layout.peers)

    def commit(self, version: str) -> None:
        """The definition is committed, endorsed by all three."""
        peer = self.layout.peers[0]
        self._repeat(
            [
                *("lifecycle", "chaincode", "commit"),
                *self._definition(version),
                *self._orderer(peer),
                *(part for each in self.layout.peers for part in self._endorser(each)),
            ],
            peer,
            "committing the contracts' definition",
        )

    def committed(self, peer: Peer) -> dict[str, Any] | None:
        """The definition in force, as ``peer`` knows it; None where there is none."""
        code, told = attempt(
            [
                *(self._program(), "lifecycle", "chaincode", "querycommitted"),
                *("-C", self.layout.channel, "-n", CHAINCODE, "-O", "json"),
            ],
            client_environment(self.layout, peer, "admin"),
            doing=f"asking {peer.name} for the contracts' definition",
            deadline=_CALL_SECONDS,
        )
        if code:
            return None
        try:
            return dict(json.loads(told))
        except ValueError:
            return None

    def answer(self) -> None:
        """Each peer's contracts answer: a query reaches them, whatever they say to it."""

        def of(peer: Peer) -> None:
            def ask() -> tuple[bool, str]:
                code, told = self._query(peer)
                # Before the first record the charter is not there, and only the contracts know that.
                return code == 0 or "NO_CHARTER" in told, told

            until(ask, doing=f"asking the contracts through {peer.name}", ends=self.ends, alive=self.alive)

        _at_once(of, self.layout.peers)

    def meet(self) -> None:
        """Each peer knows the others and their contracts, so that its gateway finds endorsers."""

        def of(peer: Peer) -> None:
            doing = f"waiting until {peer.name} knows the other peers"

            def ask() -> tuple[bool, str]:
                code, told = attempt(self._endorsers(peer), {}, doing=doing, deadline=_CALL_SECONDS)
                members = [each.organisation.msp_id for each in self.layout.peers]
                return code == 0 and all(member in told for member in members), told

            until(ask, doing=doing, ends=self.ends, alive=self.alive)

        _at_once(of, self.layout.peers)

    def height(self, peer: Peer) -> int | None:
        """How many blocks the peer has; None where it does not answer."""
        code, told = attempt(
            [self._program(), "channel", "getinfo", "-c", self.layout.channel],
            client_environment(self.layout, peer, "admin"),
            doing=f"asking {peer.name} for its height",
            deadline=_CALL_SECONDS,
        )
        _, found, document = told.partition("Blockchain info: ")
        return int(json.loads(document)["height"]) if code == 0 and found else None

    def _endorsers(self, peer: Peer) -> list[str]:
        msp_id = peer.organisation.msp_id
        user = self.layout.user(msp_id, "admin")
        return [
            *(self.binaries.program("discover"), "--MSP", msp_id),
            *("--peerTLSCA", str(self.layout.tls_root(msp_id))),
            *("--tlsCert", str(user / "tls" / "cert.pem"), "--tlsKey", str(user / "tls" / "key.pem")),
            *("--userCert", str(user / "signcerts" / "cert.pem")),
            *("--userKey", str(user / "keystore" / "key.pem")),
            *(
                "endorsers",
                "--channel",
                self.layout.channel,
                "--chaincode",
                CHAINCODE,
                "--server",
                f"{HOST}:{peer.port}",
            ),
        ]

    def _query(self, peer: Peer) -> tuple[int, str]:
        call = json.dumps({"Args": ["charter:read", "{}"]})
        return attempt(
            [self._program(), "chaincode", "query", "-C", self.layout.channel, "-n", CHAINCODE, "-c", call],
            client_environment(self.layout, peer, "admin"),
            doing=f"asking the contracts through {peer.name}",
            deadline=_CALL_SECONDS,
        )

    def _join_orderer(self, orderer: Orderer) -> None:
        tls = self.layout.node(orderer.name) / "tls"
        command = [self.binaries.program("osnadmin"), "channel", "join", "--channelID", self.layout.channel]
        command += ["--config-block", str(self.layout.genesis), "-o", f"{HOST}:{orderer.admin_port}"]
        command += ["--ca-file", str(self.layout.tls_root(ORDERER_MSP))]
        command += ["--client-cert", str(tls / "cert.pem"), "--client-key", str(tls / "key.pem")]
        doing = f"joining {orderer.name} to the channel"

        def join() -> tuple[bool, str]:
            _, told = attempt(command, {}, doing=doing, deadline=_CALL_SECONDS)
            return "Status: 201" in told or any(word in told for word in _ALREADY), told

        until(join, doing=doing, ends=self.ends, alive=self.alive)

    def _join_peer(self, peer: Peer) -> None:
        self._repeat(
            ["channel", "join", "-b", str(self.layout.genesis)], peer, f"joining {peer.name} to the channel"
        )

    def _repeat(self, arguments: list[str], peer: Peer, doing: str) -> None:
        """Run as the organisation's administrator until it works, was done before, or cannot work."""

        def once() -> tuple[bool, str]:
            code, told = attempt(
                [self._program(), *arguments],
                client_environment(self.layout, peer, "admin"),
                doing=doing,
                deadline=_CALL_SECONDS,
            )
            if code and not any(word in told for word in (*_ALREADY, *_NOT_YET)):
                raise CouldNotCheck(f"{doing} failed: {reason(told)}", hint="tally fabric logs")
            return code == 0 or any(word in told for word in _ALREADY), told

        until(once, doing=doing, ends=self.ends, alive=self.alive)

    def _peer(self, arguments: list[str], peer: Peer, doing: str) -> str:
        environment = client_environment(self.layout, peer, "admin")
        return run([self._program(), *arguments], environment, doing=doing, deadline=_CALL_SECONDS)

    def _program(self) -> str:
        return self.binaries.program("peer")

    def _definition(self, version: str) -> list[str]:
        return ["-C", self.layout.channel, "-n", CHAINCODE, "-v", version, "--sequence", "1"]

    def _orderer(self, peer: Peer) -> list[str]:
        tls = self.layout.user(peer.organisation.msp_id, "admin") / "tls"
        arguments = ["-o", f"{HOST}:{self.layout.orderers[0].port}", "--tls", "--clientauth"]
        arguments += ["--cafile", str(self.layout.tls_root(ORDERER_MSP))]
        return [*arguments, "--certfile", str(tls / "cert.pem"), "--keyfile", str(tls / "key.pem")]

    def _endorser(self, peer: Peer) -> list[str]:
        root = self.layout.tls_root(peer.organisation.msp_id)
        return ["--peerAddresses", f"{HOST}:{peer.port}", "--tlsRootCertFiles", str(root)]


def _at_once(work: Callable[[Any], None], items: Iterable[Any]) -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(work, items):
            pass
