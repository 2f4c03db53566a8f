"""Fake peers with their keys, and a client of them; no test takes longer than its deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fakes.fabric_gateway import CHAINCODE, CHANNEL, FakeChannel, FakePeer, serving
from support.deadline import within

from tallystick.identity import Authority
from tallystick.ledger.fabric import ClientTls, Connections, Deadlines, Gateway, Member, PeerAddress, Proposal
from tallystick.network.certificates import issue_tls

SECONDS = 20
#: So that what hangs is given up soon.
SHORT = Deadlines(evaluate=0.3, endorse=0.3, submit=0.3, status=0.2, commit=1.5, conflicts=0.3)


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    with within(SECONDS):
        yield


@dataclass
class Keys:
    """An organisation's: a member in an MSP directory, and TLS for both sides."""

    msp: Path
    member: Member
    tls_root: bytes
    server: tuple[bytes, bytes]
    client: ClientTls
    foreign_root: bytes


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    directory = tmp_path_factory.mktemp("keys")
    members = Authority.create("OperatorMSP", directory / "members")
    tls = Authority.create("OperatorTLS", directory / "tls")
    foreign = Authority.create("OtherTLS", directory / "foreign")
    msp = directory / "pipeline"
    members.issue("pipeline", ("pipeline",)).save(msp)
    return Keys(
        msp,
        Member.from_msp(msp, "OperatorMSP"),
        (tls.directory / "cacerts" / "ca.pem").read_bytes(),
        issue_tls(tls, "peer"),
        ClientTls(*issue_tls(tls, "client")),
        (foreign.directory / "cacerts" / "ca.pem").read_bytes(),
    )


@pytest.fixture
def channel() -> FakeChannel:
    return FakeChannel()


@pytest.fixture
def peers(channel: FakeChannel, keys: Keys) -> Iterator[list[FakePeer]]:
    """Two peers of one channel."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(serving(FakePeer(channel, msp_id), *keys.server, keys.tls_root))
            for msp_id in ("OperatorMSP", "RegulatorMSP")
        ]


@pytest.fixture
def connections(peers: list[FakePeer], keys: Keys) -> Iterator[Connections]:
    addresses = [PeerAddress(peer.address, keys.tls_root) for peer in peers]
    with Connections(addresses, keys.client) as connected:
        yield connected


@pytest.fixture
def gateway(connections: Connections, keys: Keys) -> Gateway:
    return Gateway(connections, CHANNEL, keys.member)


@pytest.fixture
def hurried(gateway: Gateway) -> Gateway:
    """The same with deadlines that are soon over."""
    return replace(gateway, deadlines=SHORT)


Propose = Callable[..., Proposal]


@pytest.fixture
def new(gateway: Gateway) -> Propose:
    """A new proposal, of "put" unless told otherwise."""

    def make(*arguments: bytes) -> Proposal:
        return gateway.propose(CHAINCODE, arguments or (b"put", b"it"), time_ms=time.time_ns() // 1_000_000)

    return make
