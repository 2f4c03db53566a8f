"""What docker-compose.yml mounts: a network whose processes are containers, and all other secrets."""

from __future__ import annotations

import json
import os
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from tallystick.errors import InvalidInput
from tallystick.files import private_directory, write_atomic
from tallystick.network import configuration, operate
from tallystick.network.binaries import Binaries
from tallystick.network.layout import Layout
from tallystick.network.operate import Network
from tallystick.network.profiles import write_profiles
from tallystick.network.start import Tell

#: Where the containers find the network's files; each mounts only what it needs of them.
INSIDE: Final = Path("/var/tallystick/fabric")
_CONSENSUS: Final = "raft3"
#: What the services keep: the operator's home and its memory of heads, databases, models.
_KEPT: Final = ("airflow", "artifacts", "database", "operator/tally", "operator/state")
_DATABASES: Final = ("airflow", "mlflow")
_RANDOM: Final = ("postgres_password", "airflow_jwt_secret", "airflow_api_secret_key")
_BYTES: Final = 32
#: Not the marks of volumes (`:`), variables (`$`), comments and quotes.
_PLAIN: Final = re.compile(r"[\w/. @+=~-]+")


def configure(home: Path, binaries: Binaries, *, tell: Tell = lambda _: None) -> Network:
    """Write everything below ``home`` that docker-compose.yml mounts and that is not there yet.

    Keys and secrets that are there stay; environments and profiles are written anew. Raises `InvalidInput`
    where another kind of network lies there or docker compose would misread ``home``, and `CouldNotCheck`
    as `operate.up` does.
    """
    if not _PLAIN.fullmatch(str(home)):
        raise InvalidInput(
            f"the home {home} has a character that docker compose takes for more than a name",
            hint="Choose a TALLYSTICK_HOME of letters, digits, spaces and / . _ - + = @ ~",
        )
    root = home / "fabric"
    with operate.held(root):
        network = operate.made(root, binaries, _CONSENSUS, None, tell, named=True)
        write_profiles(network.layout)
        write_environments(network)
    for name in _KEPT:
        private_directory(home / name)
    _write_secrets(private_directory(home / "secrets"), home / "airflow" / "passwords.json")
    owner = {"TALLYSTICK_HOME": str(home), "TALLYSTICK_OWNER": f"{os.getuid()}:{os.getgid()}"}
    write_atomic(home / "compose.env", _lines(owner))
    return network


def environment_file(layout: Layout, process: str) -> Path:
    """The file with the environment that a process's container is started with."""
    return layout.root / "env" / f"{process}.env"


def write_environments(network: Network) -> None:
    """Write what each process of the network is started with, as its container sees the files."""
    layout = network.layout
    inside = replace(layout, root=INSIDE)
    private_directory(layout.root / "env")
    for orderer in layout.orderers:
        _write(layout, orderer.name, configuration.orderer_environment(inside, orderer))
    for peer in layout.peers:
        connection = inside.node(peer.name) / "connection.json"
        _write(layout, peer.name, configuration.peer_environment(inside, peer, connection))
        served = configuration.server_environment(inside, peer, network.package_id, network.package)
        del served["PYTHONPATH"]  # of this checkout; the image has its own
        _write(layout, peer.server, served)


def _write(layout: Layout, process: str, environment: Mapping[str, str]) -> None:
    write_atomic(environment_file(layout, process), _lines(environment))


def _lines(environment: Mapping[str, str]) -> bytes:
    return "".join(f"{name}={value}\n" for name, value in environment.items()).encode()


def _write_secrets(directory: Path, passwords: Path) -> None:
    """One file for each secret that is not there yet; what stands in each, docs/deployment.md says."""
    made = {name: secrets.token_urlsafe(_BYTES) for name in _RANDOM}
    made |= {f"{name}_pgpass": f"*:*:{name}:{name}:{secrets.token_urlsafe(_BYTES)}" for name in _DATABASES}
    made["airflow_fernet_key"] = urlsafe_b64encode(secrets.token_bytes(_BYTES)).decode()
    for name, text in made.items():
        _keep(directory / name, text)
    # Two files with one password: made together, the one that a killed run leaves alone is written last.
    if not (directory / "airflow_broker").exists():
        password = secrets.token_urlsafe(_BYTES)
        write_atomic(directory / "redis_conf", f'requirepass {password}\nsave ""\nappendonly no\n'.encode())
        write_atomic(directory / "airflow_broker", f"redis://:{password}@redis:6379/0".encode())
    _keep(passwords, json.dumps({"admin": secrets.token_urlsafe(_BYTES)}))


def _keep(path: Path, text: str) -> None:
    if not path.exists():
        write_atomic(path, text.encode())
