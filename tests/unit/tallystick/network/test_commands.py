"""The orderer that is asked is one that answers."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path
from unittest.mock import MagicMock

from tallystick.network import commands
from tallystick.network.certificates import make_certificates
from tallystick.network.commands import Commands
from tallystick.network.layout import HOST, ORDERER_MSP, Layout


def test_an_orderer_that_hangs_or_is_gone_is_passed_over(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "fabric", "raft3", 17050)
    make_certificates(layout)
    tls = layout.node("orderer3") / "tls"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "cert.pem", tls / "key.pem")
    with socket.create_server((HOST, 0)) as hung, socket.create_server((HOST, 0)) as live:
        with socket.create_server((HOST, 0)) as closed:
            gone = closed.getsockname()[1]

        def serve() -> None:
            connection, _ = live.accept()
            with context.wrap_socket(connection, server_side=True) as session:
                session.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        ports = [gone, hung.getsockname()[1], live.getsockname()[1]]
        place = MagicMock(wraps=layout)
        place.orderers = [MagicMock(port=port) for port in ports]
        arguments = Commands(place, MagicMock(), lambda: None, 0.0).orderer(layout.peers[0])
        assert arguments[:2] == ["-o", f"{HOST}:{ports[2]}"]
        assert not commands.answers(gone, layout.tls_root(ORDERER_MSP))
