"""From running processes to contracts in force: join, install, approve, commit, by Fabric's own programs.

Each step may have been done before, by a start that was interrupted: then it is left as it is.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from tallystick.errors import CouldNotCheck
from tallystick.network.commands import ALREADY, CALL_SECONDS, Commands
from tallystick.network.genesis import still_to_agree
from tallystick.network.layout import ADMIN, CHAINCODE, HOST, ORDERER_MSP, Orderer, Peer
from tallystick.network.tools import attempt, reason, until
from tallystick.proof.protobuf import bytes_field

_UNDEFINED: Final = "is not defined"
#: What Fabric's program puts into a definition where it is told nothing else, as it shows that: a reference
#: (field 2 of common.ApplicationPolicy) to the policy in the channel's configuration.
_POLICY: Final = bytes_field(2, b"/Channel/Application/Endorsement")
_USUAL: Final[dict[str, Any]] = {
    "endorsement_plugin": "escc",
    "validation_plugin": "vscc",
    "validation_parameter": b64encode(_POLICY).decode(),
    "collections": {},
    "init_required": None,
}


@dataclass(frozen=True, slots=True)
class Definition:
    """The contracts as a channel defines them: their digest, which definition this is (from 1), the MSPs
    that have approved it, and whether all else in it is as `Lifecycle.commit` leaves it: the endorsement
    policy is the channel's own, and Fabric's own plugins judge by it."""

    version: str
    sequence: int
    approved: frozenset[str]
    usual: bool

    def is_of(self, package: str) -> bool:
        """Whether it is the one that `Lifecycle.commit` makes for that digest."""
        return self.usual and self.version == package


class Lifecycle(Commands):
    """The steps for one network."""

    def join(self) -> None:
        """Every orderer and peer joins the channel."""
        _at_once(self._join_orderer, self.layout.orderers)
        _at_once(self._join_peer, self.layout.peers)

    def agree(
        self, version: str, package_id: str, sequence: int, msps: Iterable[str] | None = None
    ) -> dict[str, CouldNotCheck]:
        """Every organisation (of ``msps``, if given) that can installs the package and approves the
        definition; returns why the others could not, by MSP."""
        failures: dict[str, CouldNotCheck] = {}

        def by(peer: Peer) -> None:
            try:
                self._install(peer, package_id)
                self._approve(peer, version, package_id, sequence)
            except CouldNotCheck as error:
                failures[peer.organisation.msp_id] = error

        _at_once(by, self._of(msps))
        return failures

    def require_agreed(
        self, version: str, sequence: int, failures: Mapping[str, CouldNotCheck]
    ) -> frozenset[str]:
        """The MSPs that have approved the definition which is to be the next.

        ``failures`` are what `agree` returned. Raises `CouldNotCheck` where they are too few for the
        channel's policy, naming who has to.
        """
        if len(failures) == len(self.layout.peers):
            raise next(iter(failures.values()))
        doing = "asking who has approved the contracts"
        query = ["lifecycle", "chaincode", "checkcommitreadiness", *self._definition(version, sequence)]
        peer = next(each for each in self.layout.peers if each.organisation.msp_id not in failures)
        code, told = self.call([*query, "-O", "json"], peer, doing)
        if code:
            raise CouldNotCheck(f"{doing} failed: {reason(told)}", hint="tally fabric logs")
        approved = _approved(_json(told, doing))
        if missing := still_to_agree(approved):
            raise CouldNotCheck(
                f"the contracts {version[:12]} are not in force: {missing} has not approved them",
                hint="\n".join(error.message for error in failures.values()),
            )
        return approved

    def commit(self, version: str, sequence: int, by: Iterable[str]) -> None:
        """The definition is committed, endorsed by the MSPs ``by`` that have approved it."""
        peers = self._of(by)
        self.repeat(
            [
                *("lifecycle", "chaincode", "commit"),
                *self._definition(version, sequence),
                *self.orderer(peers[0]),
                *(part for each in peers for part in self.endorser(each)),
            ],
            peers[0],
            "committing the contracts' definition",
        )

    def committed(self, peer: Peer) -> Definition | None:
        """The definition in force, as ``peer`` knows it; None where there is none. Raises `CouldNotCheck`."""
        doing = f"asking {peer.name} for the contracts' definition"
        query = ["lifecycle", "chaincode", "querycommitted", *self._named(), "-O", "json"]
        told = ""

        def ask() -> tuple[bool, str]:
            nonlocal told
            code, told = self.call(query, peer, doing)
            return code == 0 or _UNDEFINED in told, told

        until(ask, doing=doing, ends=self.ends, alive=self.alive)
        if _UNDEFINED in told:
            return None
        found = _json(told, doing)
        usual = {name: found.get(name) for name in _USUAL} == _USUAL
        return Definition(str(found.get("version")), int(found.get("sequence", 0)), _approved(found), usual)

    def answer(self, of_msps: Iterable[str]) -> None:
        """The contracts of each peer of ``of_msps`` answer: a query reaches them, whatever they say to it."""

        def of(peer: Peer) -> None:
            def ask() -> tuple[bool, str]:
                code, told = self._query(peer)
                # Before the first record the charter is not there, and only the contracts know that.
                return code == 0 or "NO_CHARTER" in told, told

            until(ask, doing=f"asking the contracts through {peer.name}", ends=self.ends, alive=self.alive)

        _at_once(of, self._of(of_msps))

    def meet(self, of_msps: Iterable[str]) -> None:
        """Each peer of ``of_msps`` knows the others and their contracts: its gateway finds endorsers."""
        peers = self._of(of_msps)
        members = [each.organisation.msp_id for each in peers]

        def of(peer: Peer) -> None:
            doing = f"waiting until {peer.name} knows the other peers"

            def ask() -> tuple[bool, str]:
                code, told = attempt(self._endorsers(peer), {}, doing=doing, deadline=CALL_SECONDS)
                return code == 0 and all(member in told for member in members), told

            until(ask, doing=doing, ends=self.ends, alive=self.alive)

        _at_once(of, peers)

    def height(self, peer: Peer) -> int | None:
        """How many blocks the peer has; None where it does not answer."""
        query = ["channel", "getinfo", "-c", self.layout.channel]
        code, told = self.call(query, peer, f"asking {peer.name} for its height")
        _, found, document = told.partition("Blockchain info: ")
        return int(json.loads(document)["height"]) if code == 0 and found else None

    def _install(self, peer: Peer, package_id: str) -> None:
        command = ["lifecycle", "chaincode", "install", str(self.layout.package)]
        self.repeat(command, peer, f"installing the contracts on {peer.name}")
        query = ["lifecycle", "chaincode", "queryinstalled", "-O", "json"]
        _, told = self.call(query, peer, "asking what is installed")
        if package_id not in told:
            raise CouldNotCheck(f"{peer.name} did not install the package under the id {package_id}")

    def _approve(self, peer: Peer, version: str, package_id: str, sequence: int) -> None:
        command = ["lifecycle", "chaincode", "approveformyorg", *self._definition(version, sequence)]
        doing = f"approving the contracts for {peer.organisation.msp_id}"
        self.repeat([*command, *self.orderer(peer), "--package-id", package_id], peer, doing)

    def _endorsers(self, peer: Peer) -> list[str]:
        msp_id = peer.organisation.msp_id
        user = self.layout.user(msp_id, ADMIN)
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
        query = ["chaincode", "query", *self._named(), "-c", call]
        return self.call(query, peer, f"asking the contracts through {peer.name}")

    def _join_orderer(self, orderer: Orderer) -> None:
        tls = self.layout.node(orderer.name) / "tls"
        command = [self.binaries.program("osnadmin"), "channel", "join", "--channelID", self.layout.channel]
        command += ["--config-block", str(self.layout.genesis), "-o", f"{HOST}:{orderer.admin_port}"]
        command += ["--ca-file", str(self.layout.tls_root(ORDERER_MSP))]
        command += ["--client-cert", str(tls / "cert.pem"), "--client-key", str(tls / "key.pem")]
        doing = f"joining {orderer.name} to the channel"

        def join() -> tuple[bool, str]:
            _, told = attempt(command, {}, doing=doing, deadline=CALL_SECONDS)
            return "Status: 201" in told or any(word in told for word in ALREADY), told

        until(join, doing=doing, ends=self.ends, alive=self.alive)

    def _join_peer(self, peer: Peer) -> None:
        self.repeat(
            ["channel", "join", "-b", str(self.layout.genesis)], peer, f"joining {peer.name} to the channel"
        )

    def _of(self, msps: Iterable[str] | None) -> Sequence[Peer]:
        if msps is None:
            return self.layout.peers
        chosen = set(msps)
        return [peer for peer in self.layout.peers if peer.organisation.msp_id in chosen]

    def _definition(self, version: str, sequence: int) -> list[str]:
        return [*self._named(), "-v", version, "--sequence", str(sequence)]

    def _named(self) -> list[str]:
        return ["-C", self.layout.channel, "-n", CHAINCODE]


def _at_once(work: Callable[[Any], None], items: Iterable[Any]) -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(work, items):
            pass


def _json(told: str, doing: str) -> dict[str, Any]:
    try:
        return dict(json.loads(told))
    except ValueError:
        raise CouldNotCheck(f"{doing} failed: {reason(told)}", hint="tally fabric logs") from None


def _approved(found: dict[str, Any]) -> frozenset[str]:
    return frozenset(msp for msp, agrees in found.get("approvals", {}).items() if agrees)
