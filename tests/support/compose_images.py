"""What the images of docker-compose.yml take that no loader knows: variables, paths, ways to restart."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml
from support.compose import ROOT, Service

_RESTARTS = {"no", "always", "on-failure", "unless-stopped"}
_INSTALLED = "/opt/tallystick/"
#: Where the official images keep what has to last, and where they look for scripts; as their pages say.
_LASTS = {"postgres": "/var/lib/postgresql/data", "redis": "/data"}
_READS = {"postgres": "/docker-entrypoint-initdb.d/"}
#: libpq's, and those of the official image of PostgreSQL that we use.
_OTHERS = {"PGPASSFILE", "POSTGRES_PASSWORD_FILE", "AIRFLOW_HOME", "PYTHONPATH", "MLFLOW_TRACKING_URI"}


def misfits(service: Service) -> Iterator[str]:
    """Everything of a service that its image would not understand, or would ignore in silence."""
    restart = str(service.value.get("restart") or "no").partition(":")[0]
    if restart not in _RESTARTS:
        yield f"restart: {restart} is none of {', '.join(sorted(_RESTARTS))}"
    if service.image.startswith("hyperledger/"):
        return  # what Fabric is told is tried by starting it with just that
    for name, value in service.environment.items():
        if name not in _known():
            yield f"{name} is read by nobody"
        if name == "AIRFLOW__CORE__EXECUTOR" and value not in _executors():
            yield f"{value} is no executor of Airflow's"
        inside = value.removeprefix(_INSTALLED) if value.startswith(_INSTALLED) else ""
        if inside and not (ROOT / inside).exists():
            yield f"{value} is not in the image"
    yield from _lasting(service)


def _lasting(service: Service) -> Iterator[str]:
    image = service.image.partition(":")[0]
    if image not in _LASTS:
        return
    places = {mount.target: mount for mount in service.mounts}
    scratch = [str(each).partition(":")[0] for each in service.value.get("tmpfs") or []]
    if _LASTS[image] not in [*places, *scratch]:
        yield f"nothing is mounted at {_LASTS[image]}, where {image} keeps its data"
    elif _LASTS[image] in places and places[_LASTS[image]].read_only:
        yield f"{_LASTS[image]} is mounted read-only, and {image} writes there"
    for target in places:
        if target != _LASTS[image] and not target.startswith(("/run/secrets/", _READS.get(image, "/run/"))):
            yield f"{target} is looked at by nobody in {image}"


@cache
def _known() -> frozenset[str]:
    """Every variable that a program of ours, Airflow or MLflow reads, by their own lists."""
    ours = (ROOT / "plugins/tallystick/settings.py", ROOT / "chaincode/fabric/__main__.py")
    names = {name for path in ours for name in re.findall(r'"([A-Z]+_[A-Z_]+)"', path.read_text())}
    names |= set(re.findall(r"^(MLFLOW_\w+) =", _source("mlflow", "environment_variables.py"), re.MULTILINE))
    sections = yaml.safe_load(_source("airflow", "config_templates/config.yml"))
    from airflow.providers.celery.get_provider_info import get_provider_info

    sections |= get_provider_info()["config"]
    for section, content in sections.items():
        for option, about in content["options"].items():
            name = f"AIRFLOW__{section}__{option}".upper()
            names |= {name, f"{name}_CMD", f"{name}_SECRET"} if about.get("sensitive") else {name}
    return frozenset(names | _OTHERS)


@cache
def _executors() -> frozenset[str]:
    return frozenset(re.findall(r'= "(\w+Executor)"', _source("airflow", "executors/executor_constants.py")))


def _source(package: str, path: str) -> str:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / path).read_text()
