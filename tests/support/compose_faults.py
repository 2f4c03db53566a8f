"""What is wrong with a rendered docker-compose.yml, beyond what its loader finds: a list of sentences."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import yaml
from support.compose import ROOT, Project, Service
from support.compose_images import misfits

from tallystick.network.layout import HOST, Layout

_KINDS = ("networks", "volumes", "configs", "secrets")
_INSIDE = re.compile(
    r"(?<![\w.-])(/(?:var/tallystick|var/lib/(?:airflow|mlflow)|run/secrets|opt/tallystick/builder)[\w./-]*)"
)
_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY(_|$)|CREDENTIAL")
_HAS_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]+@")
_EXACT = re.compile(r"[a-z0-9/-]+:\d+\.\d+(\.\d+)?(-bookworm)?")
#: What lies in an image that is not ours, beside its own program.
_IN_IMAGE = {"postgres": {"pg_isready"}, "redis": {"redis-server", "redis-cli"}, "tallystick": {"python"}}


def faults(project: Project, layout: Layout) -> list[str]:
    """Everything that does not fit: within the file, with the network's files, with the checkout."""
    found = [
        f"{kind[:-1]} {name} is used by nobody"
        for kind in _KINDS
        for name in sorted(project.declared(kind) - project.used(kind))
        if name != "default"
    ]
    for service in project.services.values():
        for check in (_image, _ports, _files, _profile, _secrets, _calls, _owner, _health):
            found += [f"{service.name}: {fault}" for fault in check(service, layout)]
        found += [f"{service.name}: {fault}" for fault in misfits(service)]
    return found


def _image(service: Service, _: Layout) -> Iterator[str]:
    if not _EXACT.fullmatch(service.image):
        yield f"{service.image} is no exact release"
    if service.image.startswith("tallystick:"):
        build = service.value.get("build") or {}
        dockerfile = Path(build.get("context", "/")) / build.get("dockerfile", "Dockerfile")
        if not dockerfile.is_file():
            yield f"{dockerfile} is missing"


def _ports(service: Service, layout: Layout) -> Iterator[str]:
    for address, published, target in service.published:
        if address != HOST:
            yield f"port {published} is published to others than this machine"
        if published != target or target not in service.listens:
            yield f"port {published} leads to {target}, and it listens on {sorted(service.listens)}"
    wanted = {each.name: {each.port, each.admin_port} for each in layout.orderers}
    wanted |= {each.name: {each.port} for each in layout.peers}
    wanted |= {each.server: set() for each in layout.peers}
    found, asked = {published for _, published, _ in service.published}, wanted.get(service.name)
    if asked is not None and found != asked:
        yield f"publishes {sorted(found)}; `tally fabric up` asks for {sorted(asked)}"


def _files(service: Service, _: Layout) -> Iterator[str]:
    for mount in service.mounts:
        if mount.source and not mount.source.exists():
            yield f"{mount.source} is missing, mounted as {mount.target}"
    for text in _said(service):
        for path in _INSIDE.findall(text):
            on_host = service.on_host(path)
            inside = [mount.target for mount in service.mounts if mount.target.startswith(path)]
            written = any(part in path for part in ("/data", "/users/passwords.json"))
            if on_host is None and not inside and path not in ("/var/lib/airflow",):
                yield f"{path} is not mounted"
            elif on_host is not None and not on_host.exists() and not written:
                yield f"{path} is not in what is mounted there"


def _secrets(service: Service, _: Layout) -> Iterator[str]:
    for path in service.secrets.values():
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) != 0o600:
            yield f"{path} is readable for others"
    for name, value in service.environment.items():
        points = value.startswith(("cat /run/secrets/", "/"))
        if (_SECRET.search(name) and not points) or _HAS_PASSWORD.search(value):
            yield f"{name} holds a secret"


def _calls(service: Service, layout: Layout) -> Iterator[str]:
    """Every name with a port that the service is told is another's, on a network of both."""
    services = service.project.services
    for text in [*_said(service), *_contents(service, layout)]:
        for name, port in re.findall(r"(?<![\w.{-])([a-z][a-z0-9-]*):(\d{4,5})\b", text):
            other = services.get(name)
            if name == "localhost":
                continue
            if other is None:
                yield f"calls {name}, which is no service"
            elif int(port) not in other.listens:
                yield f"calls {name}:{port}, which listens on {sorted(other.listens)}"
            elif other.name != service.name and not other.networks & service.networks:
                yield f"calls {name}, and shares no network with it"


def _owner(service: Service, _: Layout) -> Iterator[str]:
    if not re.fullmatch(r"\d+:\d+", str(service.value.get("user", ""))):
        yield "runs as whom its image says, who may read no key"


def _health(service: Service, _: Layout) -> Iterator[str]:
    known = _IN_IMAGE.get(service.image.partition(":")[0], set())
    test = (service.value.get("healthcheck") or {}).get("test") or []
    if test and test[1].split()[0] not in known:
        yield f"{test[1].split()[0]} is not in its image"


def _said(service: Service) -> list[str]:
    return [*service.command, *service.environment.values()]


def _contents(service: Service, layout: Layout) -> Iterator[str]:
    """Addresses in the files that it reads: the way to its contracts, profiles, secrets, the channel."""
    for path in service.secrets.values():
        if path.is_file():
            yield path.read_text()
    if connection := service.environment.get("CHAINCODE_CONNECTION"):
        path = service.on_host(connection)
        yield path.read_text() if path and path.is_file() else ""
    if service.environment.get("TALLYSTICK_LEDGER"):
        profile = service.on_host(service.environment["TALLYSTICK_LEDGER"].removeprefix("fabric://"))
        yield profile.read_text() if profile and profile.is_file() else ""
    if service.name.startswith(("peer-", "orderer")):
        yield _channel(layout)


def _profile(service: Service, _: Layout) -> Iterator[str]:
    """Each file that the profile of the service's ledger names is mounted."""
    url = service.environment.get("TALLYSTICK_LEDGER", "")
    inside = url.removeprefix("fabric://")
    if not inside:
        return
    path = service.on_host(inside)
    if path is None or not path.is_file():
        yield f"{url} is not mounted"
        return
    profile = yaml.safe_load(path.read_text())
    named = [profile[name] for name in ("identity", "client_certificate", "client_key")]
    for name in [*named, *(peer["tls_roots"] for peer in profile["peers"])]:
        wanted = os.path.normpath(Path(inside).parent / name)
        found = service.on_host(wanted)
        if found is None or not found.exists():
            yield f"{wanted} is not mounted, which its profile names"


def _channel(layout: Layout) -> str:
    """Orderers and anchor peers as the channel's first configuration names them."""
    document = yaml.safe_load((layout.config / "configtx.yaml").read_text())
    (profile,) = document["Profiles"].values()
    told = [each for org in profile["Orderer"]["Organizations"] for each in org["OrdererEndpoints"]]
    hosts = [each for org in profile["Application"]["Organizations"] for each in org["AnchorPeers"]]
    hosts += profile["Orderer"]["EtcdRaft"]["Consenters"]
    return " ".join([*told, *(f"{each['Host']}:{each['Port']}" for each in hosts)])


def copied(dockerfile: Path) -> list[str]:
    """What a Dockerfile copies out of the checkout and is not there."""
    sources = re.findall(r"^COPY (.+)$", dockerfile.read_text(), flags=re.MULTILINE)
    names = [name for line in sources for name in line.split()[:-1]]
    assert names
    return [name for name in names if not (ROOT / name).exists()]
