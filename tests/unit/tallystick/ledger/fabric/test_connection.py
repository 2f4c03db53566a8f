"""Peers that cannot be reached, each for a reason of its own: the error says which, and what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes.fabric_gateway import CHAINCODE, CHANNEL, FakePeer

from tallystick.ledger.fabric import (
    ClientTls,
    ConfigurationError,
    Connections,
    Deadlines,
    DeliverError,
    EvaluateError,
    Gateway,
    PeerAddress,
    height,
)

DEADLINES = Deadlines(evaluate=6)


def evaluate(keys: Any, *peers: PeerAddress, client: ClientTls | None = None) -> bytes:
    with Connections(peers, client or keys.client) as connections:
        gateway = Gateway(connections, CHANNEL, keys.member, DEADLINES)
        return gateway.evaluate(gateway.propose(CHAINCODE, [b"get"], time_ms=time.time_ns() // 1_000_000))


@contextmanager
def listening(answer: bytes | None = None) -> Iterator[str]:
    """Somebody else at a port: accepts, and says nothing or ``answer``."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                taken.append(connection)
                if answer is not None:
                    connection.sendall(answer)

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for connection in taken:
            connection.close()


@pytest.fixture
def nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_a_wrong_port_is_said(keys: Any, nobody: str) -> None:
    with pytest.raises(EvaluateError, match="Nobody listens there") as caught:
        evaluate(keys, PeerAddress(nobody, keys.tls_root))
    assert (caught.value.peer, caught.value.code) == (nobody, "UNAVAILABLE")


def test_a_peer_that_is_down_is_passed_over(keys: Any, nobody: str, peers: list[FakePeer]) -> None:
    down, up = PeerAddress(nobody, keys.tls_root), PeerAddress(peers[0].address, keys.tls_root)
    assert evaluate(keys, down, up) == b"get"


def test_one_that_accepts_and_says_nothing_is_passed_over(keys: Any, peers: list[FakePeer]) -> None:
    with listening() as address:
        began = time.monotonic()
        silent, up = PeerAddress(address, keys.tls_root), PeerAddress(peers[0].address, keys.tls_root)
        assert evaluate(keys, silent, up) == b"get"
        assert time.monotonic() - began < 5


def test_one_that_does_not_speak_tls_is_said(keys: Any) -> None:
    with (
        listening(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address,
        pytest.raises(EvaluateError, match="is the port right") as caught,
    ):
        evaluate(keys, PeerAddress(address, keys.tls_root))
    assert address in str(caught.value)


def test_a_certificate_of_another_authority_is_said(keys: Any, peers: list[FakePeer]) -> None:
    with pytest.raises(EvaluateError, match="is not of the tls_roots"):
        evaluate(keys, PeerAddress(peers[0].address, keys.foreign_root))
    assert peers[0].calls == []


def test_a_certificate_of_another_host_is_said_and_the_right_name_helps(
    keys: Any, peers: list[FakePeer]
) -> None:
    with pytest.raises(EvaluateError, match="set the peer's host_name"):
        evaluate(keys, PeerAddress(peers[0].address, keys.tls_root, "peer.example"))
    assert evaluate(keys, PeerAddress(peers[0].address, keys.tls_root, "localhost")) == b"get"


def test_a_client_without_the_certificate_that_peers_ask_for_is_told(
    keys: Any, peers: list[FakePeer]
) -> None:
    with Connections([PeerAddress(peers[0].address, keys.tls_root)]) as connections:
        gateway = Gateway(connections, CHANNEL, keys.member, DEADLINES)
        with pytest.raises(EvaluateError, match="certificate"):
            gateway.evaluate(gateway.propose(CHAINCODE, [b"get"], time_ms=0))
    assert peers[0].calls == []


def test_a_channel_that_the_peer_does_not_know_is_said(keys: Any, peers: list[FakePeer]) -> None:
    with Connections([PeerAddress(peers[0].address, keys.tls_root)], keys.client) as connections:
        gateway = Gateway(connections, "nowhere", keys.member, DEADLINES)
        with pytest.raises(EvaluateError, match="not joined a channel of that name"):
            gateway.evaluate(gateway.propose(CHAINCODE, [b"get"], time_ms=0))


def test_there_must_be_a_peer_and_a_certificate_that_can_be_read(keys: Any) -> None:
    with pytest.raises(ConfigurationError, match="no peer"):
        Connections([])
    with pytest.raises(ConfigurationError, match="not PEM"):
        Connections([PeerAddress("127.0.0.1:1", keys.tls_root)], ClientTls(b"x", b"y"))


def test_connections_that_are_closed_say_so(keys: Any) -> None:
    connections = Connections([PeerAddress("127.0.0.1:1", keys.tls_root)], keys.client)
    gateway = Gateway(connections, CHANNEL, keys.member)
    proposal = gateway.propose(CHAINCODE, [b"get"], time_ms=0)
    connections.close()
    with pytest.raises(EvaluateError, match="are closed"):
        gateway.evaluate(proposal)
    with pytest.raises(DeliverError, match="are closed"):
        height(gateway, seconds=1)


FROM_THE_COMMAND_LINE = """
import sys
from pathlib import Path
from tallystick.cli import streams
streams.prepare()
from fabric_protos.gateway import gateway_pb2
from tallystick.ledger.fabric import Connections, EvaluateError, PeerAddress
with Connections([PeerAddress(sys.argv[1], Path(sys.argv[2]).read_bytes())]) as peers:
    try:
        peers.call("Evaluate", gateway_pb2.EvaluateRequest(), EvaluateError, seconds=5)
    except EvaluateError as error:
        print(error)
"""


@pytest.mark.parametrize(("verbosity", "written"), [(None, False), ("INFO", True)])
def test_of_grpcs_own_lines_only_what_was_asked_for_is_on_the_screen(
    keys: Any, peers: list[FakePeer], tmp_path: Path, verbosity: str | None, written: bool
) -> None:
    (tmp_path / "ca.pem").write_bytes(keys.foreign_root)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "GRPC_VERBOSITY": verbosity or ""}
    if verbosity is None:
        del environment["GRPC_VERBOSITY"]
    command = [sys.executable, "-c", FROM_THE_COMMAND_LINE, peers[0].address, str(tmp_path / "ca.pem")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "is not of the tls_roots" in done.stdout
    assert bool(done.stderr) == written
