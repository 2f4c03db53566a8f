"""docker-compose.yml, rendered by Docker Compose's own loader, and what it says about its services."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
#: What an image listens on by itself.
_OWN_PORTS = {"postgres": {5432}, "redis": {6379}}
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what a container listens on
_LISTENS = re.compile(r"(?:LISTENADDRESS|SERVER_ADDRESS)$")


class Refused(Exception):
    """Docker Compose's loader does not take the file."""


@dataclass(frozen=True)
class Mount:
    """A file or directory of the host, or a named volume (no ``source``), as a container sees it."""

    source: Path | None
    target: str
    read_only: bool


@dataclass(frozen=True)
class Service:
    """One service as it would be started."""

    name: str
    value: dict[str, Any]
    project: Project

    @property
    def image(self) -> str:
        return str(self.value["image"])

    @property
    def command(self) -> list[str]:
        """Entry point and command; empty where the image's own is meant."""
        return [*(self.value.get("entrypoint") or []), *(self.value.get("command") or [])]

    @property
    def environment(self) -> dict[str, str]:
        return {name: value or "" for name, value in (self.value.get("environment") or {}).items()}

    @property
    def networks(self) -> set[str]:
        return set(self.value.get("networks") or {})

    @property
    def published(self) -> list[tuple[str, int, int]]:
        """Address and port on the host, and the container's port."""
        ports = self.value.get("ports") or []
        return [(each.get("host_ip", ""), int(each["published"]), int(each["target"])) for each in ports]

    @property
    def listens(self) -> set[int]:
        """The ports that others may call."""
        ports = set(_OWN_PORTS.get(self.image.partition(":")[0], ()))
        for name, value in self.environment.items():
            host, _, port = value.rpartition(":")
            if _LISTENS.search(name) and host == EVERYWHERE:
                ports.add(int(port))
        if port := self.environment.get("ORDERER_GENERAL_LISTENPORT"):
            ports.add(int(port))
        return ports | {int(port) for port in re.findall(r"--port[= ](\d+)", " ".join(self.command))}

    @property
    def secrets(self) -> dict[str, Path]:
        """Each secret's file on the host, by its path in the container."""
        return {
            each.get("target") or f"/run/secrets/{each['source']}": Path(
                self.project.value["secrets"][each["source"]]["file"]
            )
            for each in self.value.get("secrets") or []
        }

    @property
    def mounts(self) -> list[Mount]:
        """Volumes, configurations and secrets alike."""
        found = [
            Mount(
                Path(each["source"]) if each["type"] == "bind" else None,
                each["target"],
                bool(each.get("read_only")),
            )
            for each in self.value.get("volumes") or []
        ]
        files = {
            each["target"]: Path(self.project.value["configs"][each["source"]]["file"])
            for each in self.value.get("configs") or []
        }
        return found + [Mount(path, target, True) for target, path in (files | self.secrets).items()]

    def on_host(self, path: str) -> Path | None:
        """The file of the host that the container sees as ``path``; None where nothing is mounted there."""
        for mount in self.mounts:
            if mount.source and (path == mount.target or path.startswith(mount.target + "/")):
                return mount.source / path[len(mount.target) :].lstrip("/")
        return None


@dataclass(frozen=True)
class Project:
    """The whole file as Docker Compose understands it."""

    value: dict[str, Any]

    @property
    def services(self) -> dict[str, Service]:
        return {name: Service(name, value, self) for name, value in self.value["services"].items()}

    def declared(self, kind: str) -> set[str]:
        """Names under ``networks``, ``volumes``, ``configs`` or ``secrets``."""
        return set(self.value.get(kind) or {})

    def used(self, kind: str) -> set[str]:
        """Which of them some service uses."""
        return {name for service in self.services.values() for name in _used(service.value, kind)}


def render(loader: Path, file: Path, environment: Path) -> Project:
    """``file`` with the variables of ``environment`` alone. Raises `Refused` with the loader's words."""
    done = subprocess.run(
        [loader, file, environment, "*"], capture_output=True, text=True, check=False, timeout=60, env={}
    )
    if done.returncode:
        raise Refused(done.stderr.strip())
    return Project(json.loads(done.stdout))


def _used(value: Mapping[str, Any], kind: str) -> Iterator[str]:
    for each in value.get(kind) or ():
        if isinstance(each, str):
            yield each
        elif kind != "volumes" or each["type"] == "volume":
            yield each["source"]
