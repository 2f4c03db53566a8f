"""Our own client on a live network: its profile, and calls of our contracts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from support.fabric_network import Live

from chaincode import canonical
from tallystick.ledger.fabric import Committed, Deadlines, Gateway, Proposal, load_profile
from tallystick.network.layout import CHAINCODE, CHANNEL, HOST

ORGANISATIONS = ("operator", "regulator", "auditor")


def write_profile(live: Live, path: Path, *organisations: str, user: str = "pipeline", **change: Any) -> Path:
    """The profile of the operator's ``user``, with the peers of ``organisations`` in that order."""
    member = live.layout.user("OperatorMSP", user)
    found = [live.peer(name) for name in organisations or ORGANISATIONS]
    profile = {
        "channel": CHANNEL,
        "chaincode": CHAINCODE,
        "msp_id": "OperatorMSP",
        "identity": str(member),
        "client_certificate": str(member / "tls" / "cert.pem"),
        "client_key": str(member / "tls" / "key.pem"),
        "peers": [
            {
                "address": f"{HOST}:{peer.port}",
                "tls_roots": str(live.layout.tls_root(peer.organisation.msp_id)),
            }
            for peer in found
        ],
    }
    path.write_text(yaml.safe_dump({**profile, **change}))
    return path


@contextmanager
def connected(profile: Path, deadlines: Deadlines | None = None) -> Iterator[Gateway]:
    """The gateway of a profile, as the identity that it names."""
    loaded = load_profile(profile)
    with loaded.connect() as connections:
        yield loaded.gateway(connections, deadlines=deadlines)


def propose(gateway: Gateway, name: str, request: Any) -> Proposal:
    """A proposal to run a transaction of our contracts now."""
    arguments = [name.encode(), canonical.encode(request)]
    return gateway.propose(CHAINCODE, arguments, time_ms=time.time_ns() // 1_000_000)


def submit(gateway: Gateway, name: str, request: Any) -> Committed:
    """Submit a transaction of our contracts."""
    return gateway.submit(lambda: propose(gateway, name, request))


def evaluate(gateway: Gateway, name: str, request: Any) -> Any:
    """What a query of our contracts answers."""
    return canonical.decode(gateway.evaluate(propose(gateway, name, request)))
