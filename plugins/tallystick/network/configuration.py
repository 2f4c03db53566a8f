"""The environment and configuration files of each process, from the templates in deploy/fabric/."""

from __future__ import annotations

import string
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

import chaincode
from tallystick.errors import CouldNotCheck
from tallystick.files import private_directory, write_atomic
from tallystick.network.binaries import DEPLOY, Binaries
from tallystick.network.layout import HOST, ORDERER_MSP, ORGANISATIONS, Layout, Orderer, Peer

#: Where a peer in a container of its own finds the builder (docker-compose.yml).
MOUNTED_BUILDER: Final = Path("/opt/tallystick/builder")


def write_configuration(layout: Layout, binaries: Binaries) -> None:
    """Write core.yaml and orderer.yaml: Fabric's own, with ours laid over."""
    directory = private_directory(layout.config)
    builder = MOUNTED_BUILDER if layout.named else DEPLOY / "builder"
    ours = yaml.safe_load(_filled("core.yaml", {"builder": str(builder)}))
    core = _laid_over(yaml.safe_load(binaries.sample("core.yaml").read_bytes()), ours)
    write_atomic(directory / "core.yaml", yaml.safe_dump(core).encode(), 0o644)
    write_atomic(directory / "orderer.yaml", binaries.sample("orderer.yaml").read_bytes(), 0o644)


def orderer_environment(layout: Layout, orderer: Orderer) -> dict[str, str]:
    """What the orderer is started with."""
    node = layout.node(orderer.name)
    return _environment(
        "orderer.env",
        {
            "config": str(layout.config),
            "host": layout.listen,
            "port": str(orderer.port),
            "admin_address": f"{layout.listen}:{orderer.admin_port}",
            "operations_address": f"{layout.listen}:{orderer.operations_port}",
            "msp_id": ORDERER_MSP,
            "msp": str(node / "msp"),
            "tls": str(node / "tls"),
            "data": str(node / "data"),
            "tls_root": str(layout.tls_root(ORDERER_MSP)),
            "client_roots": ",".join([str(layout.tls_root(ORDERER_MSP)), *_member_roots(layout)]),
        },
    )


def peer_environment(layout: Layout, peer: Peer, connection: Path) -> dict[str, str]:
    """What the peer is started with; ``connection`` leads it to its chaincode server."""
    node, msp_id = layout.node(peer.name), peer.organisation.msp_id
    return _environment(
        "peer.env",
        {
            "config": str(layout.config),
            "name": peer.name,
            "address": f"{layout.host(peer.name)}:{peer.port}",
            "listen_address": f"{layout.listen}:{peer.port}",
            # Nobody calls there: the contracts are servers.
            "chaincode_address": f"{HOST}:{peer.chaincode_port}",
            "operations_address": f"{layout.listen}:{peer.operations_port}",
            "connection": str(connection),
            "msp_id": msp_id,
            "msp": str(node / "msp"),
            "tls": str(node / "tls"),
            "data": str(node / "data"),
            "tls_root": str(layout.tls_root(msp_id)),
            "client_roots": " ".join(_member_roots(layout)),
        },
    )


def server_environment(layout: Layout, peer: Peer, package_id: str, digest: str) -> dict[str, str]:
    """What the peer's chaincode server is started with."""
    tls = layout.node(peer.server) / "tls"
    return {
        "CHAINCODE_SERVER_ADDRESS": f"{layout.listen}:{peer.server_port}",
        "CHAINCODE_ID": package_id,
        "CHAINCODE_DIGEST": digest,
        "CHAINCODE_TLS_CERT": str(tls / "cert.pem"),
        "CHAINCODE_TLS_KEY": str(tls / "key.pem"),
        "CHAINCODE_CLIENT_CA_CERT": str(layout.tls_root(peer.organisation.msp_id)),
        "CHAINCODE_PEER_CERT": str(layout.node(peer.name) / "tls" / "cert.pem"),
        "PYTHONPATH": str(Path(chaincode.__file__).resolve().parents[1]),
    }


def server_command() -> list[str]:
    """What a chaincode server is started by: never with modules from the directory that somebody is in."""
    return [sys.executable, "-P", "-m", "chaincode.fabric"]


def client_environment(layout: Layout, peer: Peer, user: str) -> dict[str, str]:
    """What the `peer` program needs to act as ``user`` of the peer's organisation on that peer."""
    msp_id = peer.organisation.msp_id
    directory = layout.user(msp_id, user)
    return {
        "FABRIC_CFG_PATH": str(layout.config),
        "FABRIC_LOGGING_SPEC": "error",
        "CORE_PEER_LOCALMSPID": msp_id,
        "CORE_PEER_MSPCONFIGPATH": str(directory),
        "CORE_PEER_ADDRESS": f"{HOST}:{peer.port}",
        "CORE_PEER_TLS_ENABLED": "true",
        "CORE_PEER_TLS_ROOTCERT_FILE": str(layout.tls_root(msp_id)),
        "CORE_PEER_TLS_CLIENTAUTHREQUIRED": "true",
        "CORE_PEER_TLS_CLIENTCERT_FILE": str(directory / "tls" / "cert.pem"),
        "CORE_PEER_TLS_CLIENTKEY_FILE": str(directory / "tls" / "key.pem"),
    }


def _member_roots(layout: Layout) -> list[str]:
    return [str(layout.tls_root(organisation.msp_id)) for organisation in ORGANISATIONS]


def _environment(template: str, values: Mapping[str, str]) -> dict[str, str]:
    lines = (line.strip() for line in _filled(template, values).splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def _filled(template: str, values: Mapping[str, str]) -> str:
    try:
        text = (DEPLOY / template).read_text()
    except FileNotFoundError:
        raise CouldNotCheck(
            f"the template {template} is not installed here", hint="It comes with the checkout."
        ) from None
    # The comments of a template may speak of placeholders; they are not filled in.
    body = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return string.Template(body).substitute(values)


def _laid_over(under: Any, over: Any) -> Any:
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    return under | {key: _laid_over(under.get(key), value) for key, value in over.items()}
