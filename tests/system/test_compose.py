"""docker-compose.yml holds together: with itself, with the files that are made for it, with our programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from support.compose import FILE, ROOT, Project, Refused, render
from support.compose_faults import copied, faults

from tallystick.errors import CouldNotCheck
from tallystick.network import binaries, configuration, deployment
from tallystick.network.binaries import Binaries
from tallystick.network.layout import Layout
from tallystick.network.operate import Network
from tallystick.settings import Settings

MODULE = Path(__file__).parent / "compose"
PYTHONPATH = os.pathsep.join(str(ROOT / part) for part in (".", "plugins", "tests"))
#: What the official images start, and nothing of it is here.
ELSEWHERE = {"redis": ["redis-server"]}


@dataclass(frozen=True)
class Deployment:
    """A deployment whose files are made, and the loader that reads the compose file."""

    loader: Path
    home: Path
    network: Network
    programs: Binaries

    @property
    def layout(self) -> Layout:
        return self.network.layout

    def render(self, text: str | None = None, home: Path | None = None) -> Project:
        """The file, or another ``text`` in its place; the checkout's paths stay the same."""
        environment = (home or self.home) / "compose.env"
        if text is None:
            return render(self.loader, FILE, environment)
        beside = FILE.with_name(f".docker-compose.{os.getpid()}.yml")
        beside.write_text(text)
        try:
            return render(self.loader, beside, environment)
        finally:
            beside.unlink()

    def faults(self, text: str) -> list[str]:
        """What is found in another text, commands included; the loader's refusal too."""
        try:
            project = self.render(text)
        except Refused as error:
            return [str(error)]
        return faults(project, self.layout) + unknown(project, self.programs)


def unknown(project: Project, programs: Binaries) -> list[str]:
    """Commands that their program does not know."""
    found: list[str] = []
    ours: list[list[str]] = []
    for service in project.services.values():
        image = service.image.partition(":")[0]
        environment = service.environment.values()
        ours += [["python", *test[2:]] for test in [health(service.value)] if test[1:2] == ["python"]]
        found += [
            f"{value} is not read from a file"
            for value in environment
            if value.startswith("cat ") and not re.fullmatch(r"cat /run/secrets/\w+", value)
        ]
        if image == "tallystick":
            ours.append(service.command)
        elif image.startswith("hyperledger/"):
            found += of_fabric(service.command, programs)
        elif service.command[:1] != ELSEWHERE.get(image, []):
            found.append(f"{service.command} is not in {image}")
    for command in ours:
        if tuple(command) not in _ASKED:
            _ask(ours, project.services["airflow-scheduler"].environment["AIRFLOW__CORE__EXECUTOR"])
    return found + [why for command in ours if (why := _ASKED[tuple(command)])]


#: What our programs said of a command: asking them takes seconds.
_ASKED: dict[tuple[str, ...], str | None] = {}


def _ask(commands: list[list[str]], executor: str) -> None:
    """The executor decides which commands Airflow has."""
    new = [command for command in commands if tuple(command) not in _ASKED]
    told = subprocess.run(
        [sys.executable, "-m", "support.known_commands"],
        input=json.dumps(new),
        env={**os.environ, "AIRFLOW__CORE__EXECUTOR": executor, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    for command, answer in zip(new, json.loads(told.stdout.splitlines()[-1]), strict=True):
        _ASKED[tuple(command)] = answer


def health(service: dict[str, object]) -> Sequence[str]:
    check = service.get("healthcheck")
    return check["test"] if isinstance(check, dict) else []


def of_fabric(command: list[str], programs: Binaries) -> list[str]:
    """Fabric's programs are the same as in the images, of the same release."""
    if not (path := Path(programs.program(command[0]))).is_file():
        return [f"{command[0]} is no program of Fabric's"]
    told = subprocess.run(
        [path, *command[1:], "--help"], capture_output=True, text=True, check=False, timeout=20
    )
    usage = re.search(
        rf"^(?:usage: |  ){re.escape(' '.join(command))} (?:\[flags\]|\[<flags>\])",
        told.stdout + told.stderr,
        flags=re.MULTILINE,
    )
    return [] if usage else [f"{' '.join(command)} is no command of Fabric's"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed")  # under CI=true the shared conftest makes this a failure
    try:
        programs = binaries.find(Settings.from_environment().cache_dir)
    except CouldNotCheck as error:
        pytest.skip(str(error))
    directory = tmp_path_factory.mktemp("compose")
    environment = os.environ | {"GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
    loader = directory / "loader"
    subprocess.run([go, "build", "-o", loader, "."], cwd=MODULE, env=environment, check=True, timeout=300)
    network = deployment.configure(directory / "home", programs)
    return Deployment(loader, directory / "home", network, programs)


def test_it_holds_together(made: Deployment) -> None:
    project = made.render()
    assert faults(project, made.layout) == []
    assert unknown(project, made.programs) == []
    fabric = {name for name in made.layout.ports}
    airflow = {
        f"airflow-{part}" for part in ("migration", "scheduler", "dag-processor", "api-server", "worker")
    }
    others = {"postgres", "redis", "mlflow", "dashboard", "tally"}
    assert set(project.services) == fabric | airflow | others
    assert copied(ROOT / "deploy" / "Dockerfile") == []


def test_each_process_of_fabric_is_started_with_what_the_generator_gives_it(made: Deployment) -> None:
    project = made.render()
    layout = replace(made.layout, root=deployment.INSIDE)
    for orderer in layout.orderers:
        rendered = project.services[orderer.name].environment
        assert rendered == configuration.orderer_environment(layout, orderer)
    for peer in layout.peers:
        connection = layout.node(peer.name) / "connection.json"
        assert project.services[peer.name].environment == configuration.peer_environment(
            layout, peer, connection
        )
    core = yaml.safe_load((made.layout.config / "core.yaml").read_text())
    (builder,) = core["chaincode"]["externalBuilders"]
    on_host = project.services["peer-auditor"].on_host(builder["path"])
    assert on_host == ROOT / "deploy" / "fabric" / "builder"


def test_the_operators_airflow_runs_on_what_only_files_hold(made: Deployment) -> None:
    secrets = [path.read_text() for path in (made.home / "secrets").iterdir()]
    passwords = [word for text in secrets for word in re.findall(r"[\w=-]{40,}", text)]
    assert len(passwords) >= len(secrets)
    rendered = json.dumps(made.render().value)
    assert [word for word in passwords if word in rendered] == []


@pytest.mark.parametrize(
    ("line", "planted", "found"),
    [
        ("  init: true", "  inti: true", "inti"),
        ("    shm_size: 256mb", "    shm_sizes: 256mb", "shm_sizes"),
        ("command: [airflow, scheduler]", "command: [airflow, schedule]", "schedule"),
        ("celery, worker, --concurrency", "celery, worker, --concurency", "--concurency"),
        ("      - --workers=1", "      - --worker-count=1", "--worker-count"),
        ("command: [tally, dashboard,", "command: [tally, dashbord,", "dashbord"),
        ("[python, -m, chaincode.fabric]", "[python, -m, chaincode.farbic]", "chaincode.farbic"),
        ("command: [peer, node, start]", "command: [peer, node, begin]", "peer node begin"),
        ("command: [redis-server,", "command: [redis-serve,", "redis-serve"),
        ("test: [CMD, pg_isready,", "test: [CMD, pg_is_ready,", "pg_is_ready"),
        ('"127.0.0.1:17151:17151"', '"127.0.0.1:17151:17152"', "port 17151 leads to 17152"),
        ('"127.0.0.1:17060:17060"', '"127.0.0.1:17160:17060"', "port 17160 leads to 17060"),
        ('ports: ["127.0.0.1:17251:17251"]', "ports: []", "asks for [17251]"),
        ('"127.0.0.1:8080:8080"', '"8080:8080"', "published to others"),
        ("http://mlflow:5000", "http://mlflow:5001", "mlflow:5001"),
        ("http://mlflow:5000", "http://ml-flow:5000", "no service"),
        ("//airflow@postgres:5432", "//airflow@postgres:5433", "postgres:5433"),
        ("networks: [channel, operator]", "networks: [operator]", "shares no network"),
        ("networks: [channel, operator]", "networks: [channel, operators]", "undefined network"),
        ("    - airflow_logs:/var", "    - airflow_log:/var", "undefined volume"),
        ("    - airflow_logs:/var/lib/airflow/logs\n", "", "airflow_logs is used by nobody"),
        ("${TALLYSTICK_HOME}/database:", "${TALLYSTICK_HOME}/databases:", "databases is missing"),
        ("      - ./deploy/fabric/builder:", "      - ./deploy/builder:", "deploy/builder is missing"),
        ("/fabric/nodes/orderer2:/var/tallystick/fabric/nodes/orderer2", "/fabric/nodes/orderer2:/var/fabric",
         "orderer2/tls/cert.pem is not mounted"),
        ("users/pipeline:/var/tallystick/fabric/organisations/OperatorMSP/users/pipeline:ro",
         "users/pipeline:/var/tallystick/pipeline:ro", "which its profile names"),
        ("    - {source: regulator_tls_root, target: /var/tallystick/fabric/organisations/RegulatorMSP",
         "    - {source: regulator_tls_root, target: /var/tallystick/fabric/organisations/Regulator",
         "RegulatorMSP/tls/cacerts/ca.pem is not mounted"),
        ("secrets: [mlflow_pgpass]", "secrets: []", "/run/secrets/mlflow_pgpass is not mounted"),
        ("secrets: [mlflow_pgpass]", "secrets: [mlflow_password]", "undefined secret"),
        ("/secrets/redis_conf\"", "/secrets/redis.conf\"", "redis.conf is missing"),
        ("env/peer-auditor.env", "env/peer-auditors.env", "peer-auditors.env"),
        ("      POSTGRES_PASSWORD_FILE: /run/secrets/postgres_password", "      POSTGRES_PASSWORD: secret",
         "POSTGRES_PASSWORD holds a secret"),
        ("CONN: postgresql+psycopg2://airflow@", "CONN: postgresql+psycopg2://airflow:word@",
         "SQL_ALCHEMY_CONN holds a secret"),
        ("fabric-peer:3.1.1", "fabric-peer:latest", "no exact release"),
        ("dockerfile: deploy/Dockerfile", "dockerfile: Dockerfile", "Dockerfile is missing"),
        ("${TALLYSTICK_OWNER:?", "${TALLYSTICK_OWNR:?", "TALLYSTICK_OWNR"),
        ("EXECUTOR: CeleryExecutor", "EXECUTOR: CelryExecutor", "CelryExecutor is no executor"),
        ("CELERY__BROKER_URL_CMD:", "CELERY__BROKR_URL_CMD:", "BROKR_URL_CMD is read by nobody"),
        ("CORE__LOAD_EXAMPLES:", "CORE__LOAD_EXAMPLES_CMD:", "LOAD_EXAMPLES_CMD is read by nobody"),
        ("/opt/tallystick/dags", "/opt/tallystick/dag", "/opt/tallystick/dag is not in the image"),
        ("MLFLOW_TRACKING_URI:", "MLFLOW_TRACKING_URL:", "MLFLOW_TRACKING_URL is read by nobody"),
        (":/var/lib/postgresql/data", ":/var/lib/postgres/data", "where postgres keeps its data"),
        (":/var/lib/postgresql/data", ":/var/lib/postgresql/data:ro", "and postgres writes there"),
        (":/docker-entrypoint-initdb.d/", ":/docker-entrypoint-init.d/", "is looked at by nobody"),
        ("  restart: unless-stopped", "  restart: sometimes", "sometimes"),
        ("  restart: unless-stopped\n", "", ""),
    ],
)  # fmt: skip
def test_a_planted_fault_is_found(made: Deployment, line: str, planted: str, found: str) -> None:
    text = FILE.read_text()
    assert line in text
    told = made.faults(text.replace(line, planted, 1))
    if not found:  # the nearest change that is none
        assert told == []
    else:
        assert [fault for fault in told if found in fault], told


def test_a_secret_that_is_missing_or_open_is_found(made: Deployment) -> None:
    project = made.render()
    path = made.home / "secrets" / "airflow_jwt_secret"
    kept = path.read_bytes()
    try:
        path.unlink()
        assert [fault for fault in faults(project, made.layout) if "airflow_jwt_secret is missing" in fault]
        path.write_bytes(kept)
        path.chmod(0o644)
        assert [fault for fault in faults(project, made.layout) if "airflow_jwt_secret is readable" in fault]
    finally:
        path.write_bytes(kept)
        path.chmod(0o600)


def test_its_fabric_runs_and_the_operator_joins_it(made: Deployment, tmp_path: Path) -> None:
    """Each process with the mounts, environment and command of its service; no image and no Docker."""
    rendered = tmp_path / "project.json"
    rendered.write_text(json.dumps(made.render().value))
    path = os.pathsep.join(
        [str(made.programs.directory), str(Path(sys.executable).parent), os.environ["PATH"]]
    )
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "--net", sys.executable, "-m", "support.containers",
         rendered, tmp_path / "hosts", "init", "--name", "hospital.example/deployed"],
        env={**os.environ, "PATH": path, "TALLYSTICK_HOME": str(made.home),
             "PYTHONPATH": PYTHONPATH},
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    logs = "\n".join(f"{log.name}: {log.read_text()[-600:]}" for log in tmp_path.glob("*.log"))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    assert "three orderers, Raft" in done.stdout
    assert "hospital.example/deployed/" in done.stdout
    assert (made.home / "operator" / "tally" / "keys" / "log.pem").is_file()
