"""Airflow and MLflow on a real PostgreSQL, with the settings, commands and secrets of docker-compose.yml.

Only hosts, ports and places of files differ. The databases are made by the script that the container runs.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
import yaml
from support.compose import FILE, ROOT
from support.dag_runs import environment, records, run_dags
from support.fabric_programs import write_programs
from support.home import make_home

from tallystick.network import deployment
from tallystick.settings import Settings

SERVICES = yaml.safe_load(FILE.read_text())["services"]
STARTING = 300.0
ASYNCHRONOUS = """
import asyncio
from airflow import settings
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

async def ask():
    engine = create_async_engine(settings.SQL_ALCHEMY_CONN_ASYNC)
    async with engine.connect() as connection:
        print(engine.driver, (await connection.execute(text("select count(*) from dag_run"))).scalar_one())
    await engine.dispose()

asyncio.run(ask())
"""


@dataclass(frozen=True)
class Servers:
    """PostgreSQL and MLflow, running; ``moved`` turns what the compose file says into what holds here."""

    database: int
    mlflow: int
    secrets: Path
    directory: Path

    def moved(self, text: str) -> str:
        for inside, here in {
            "@postgres:5432": f"@127.0.0.1:{self.database}",
            "mlflow:5000": f"mlflow:{self.mlflow}",
            "127.0.0.1:5000": f"127.0.0.1:{self.mlflow}",
            "--port=5000": f"--port={self.mlflow}",
            "--host=0.0.0.0": "--host=127.0.0.1",
            "/run/secrets": str(self.secrets),
            "/var/lib/mlflow": str(self.directory / "artifacts"),
        }.items():
            text = text.replace(inside, here)
        return text

    def environment(self, service: str) -> dict[str, str]:
        """A service's variables, but for those that are of another home."""
        told = SERVICES[service]["environment"]
        left = ("TALLYSTICK_", "MLFLOW_TRACKING_URI", "AIRFLOW_HOME", "AIRFLOW__CORE__DAGS_FOLDER")
        return {name: self.moved(str(value)) for name, value in told.items() if not name.startswith(left)}

    def execute(self, database: str, statement: str) -> list[Any]:
        """The rows that a statement gives, as the role of ``database`` with the password of its file."""
        password = (self.secrets / f"{database}_pgpass").read_text().split(":")[4]
        address = {"host": "127.0.0.1", "port": self.database, "dbname": database, "user": database}
        connection = psycopg2.connect(**address, password=password)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()
        finally:
            connection.close()


def programs() -> Path:
    """PostgreSQL's programs, which Debian keeps out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed")  # under CI=true the shared conftest makes this a failure
    return found[-1].parent


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def unprivileged(command: list[str]) -> list[str]:
    """PostgreSQL does not run as root."""
    if os.getuid() != 0:
        return command
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]


def wait(what: str, ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTING
    while time.monotonic() < deadline and process.poll() is None:
        if ready():
            return
        time.sleep(0.2)
    raise AssertionError(f"no {what}: {log.read_text(errors='replace')[-3000:]}")


def start(command: list[str], log: Path, place: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own: what it starts itself is ended with it."""
    with log.open("wb") as sink:
        return subprocess.Popen(
            command,
            env={**os.environ, **environment},
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    directory = tmp_path_factory.mktemp("deployed")
    deployment.configure(directory / "home", write_programs(directory / "programs"))
    servers = Servers(free_port(), free_port(), directory / "home" / "secrets", directory)
    # Below a directory of pytest's only its owner reaches anything, and PostgreSQL is another user.
    place = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        if os.getuid() == 0:
            shutil.chown(place, "postgres", "postgres")
        with running_database(servers, place), running_mlflow(servers):
            yield servers
    finally:
        shutil.rmtree(place)


@contextmanager
def running_database(servers: Servers, place: Path) -> Iterator[None]:
    """PostgreSQL as its image starts it: passwords over the network, databases made by our script."""
    binaries, data = programs(), str(place / "data")
    made = [str(binaries / "initdb"), "-D", data, "-U", "postgres", "--no-sync"]
    made += ["--auth-host=scram-sha-256", "--auth-local=trust"]
    subprocess.run(unprivileged(made), cwd=place, check=True, capture_output=True, timeout=60)
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(servers.database),
        "unix_socket_directories": str(place),
        "fsync": "off",
    }
    command = [str(binaries / "postgres"), "-D", data]
    command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    log = servers.directory / "postgresql.log"
    process = start(unprivileged(command), log, place)
    socket_of = ["-h", str(place), "-p", str(servers.database), "-U", "postgres"]

    def answers() -> bool:
        asked = [binaries / "pg_isready", *socket_of]
        return subprocess.run(asked, capture_output=True, timeout=20, check=False).returncode == 0

    try:
        wait("PostgreSQL", answers, process, log)
        script = servers.moved((ROOT / "deploy" / "postgresql" / "databases.sql").read_text())
        psql = [binaries / "psql", *socket_of, "--no-psqlrc", "--quiet", "-f", "-"]
        subprocess.run(psql, input=script, text=True, check=True, timeout=60)
        yield
    finally:
        stop(process)


@contextmanager
def running_mlflow(servers: Servers) -> Iterator[None]:
    """MLflow's server with the command of its service."""
    program, *arguments = [servers.moved(part) for part in SERVICES["mlflow"]["command"]]
    log = servers.directory / "mlflow.log"
    command = [sys.executable, "-m", program, *arguments]
    process = start(command, log, servers.directory, **servers.environment("mlflow"))
    try:
        wait("MLflow", lambda: healthy(servers), process, log)
        yield
    finally:
        stop(process)


def healthy(servers: Servers) -> bool:
    try:
        return ask_mlflow(servers, "/health", f"127.0.0.1:{servers.mlflow}").status_code == 200
    except httpx.HTTPError:
        return False


def ask_mlflow(servers: Servers, path: str, host: str) -> httpx.Response:
    url = f"http://127.0.0.1:{servers.mlflow}{path}"
    return httpx.get(url, headers={"Host": host}, timeout=30, trust_env=False)


@pytest.fixture(scope="module")
def settings(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return make_home(tmp_path_factory.mktemp("operator"))


@pytest.fixture(scope="module")
def airflow(servers: Servers, settings: Settings) -> dict[str, str]:
    """The environment of every part of Airflow, its database migrated by the command of the service."""
    variables = environment(
        settings,
        **servers.environment("airflow-scheduler"),
        AIRFLOW_HOME=str(settings.airflow),
        AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
        MLFLOW_TRACKING_URI=f"http://127.0.0.1:{servers.mlflow}",
    )
    program, *arguments = SERVICES["airflow-migration"]["command"]
    command = [sys.executable, "-m", program, *arguments]
    done = subprocess.run(
        command,
        env=variables,
        cwd=settings.home,
        capture_output=True,
        text=True,
        check=False,
        timeout=STARTING,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return variables


def test_airflow_reaches_its_database_in_both_ways(servers: Servers, airflow: dict[str, str]) -> None:
    assert servers.execute("airflow", "select count(*) from alembic_version") == [(1,)]
    told = subprocess.run(
        [sys.executable, "-c", ASYNCHRONOUS],
        env=airflow, capture_output=True, text=True, check=False, timeout=STARTING,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr[-3000:]
    assert told.stdout.split()[-2] == "asyncpg"


def test_a_password_that_is_not_in_its_file_opens_nothing(servers: Servers) -> None:
    address = {"host": "127.0.0.1", "port": servers.database, "dbname": "mlflow", "user": "mlflow"}
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(**address, password="another")
    theirs = (servers.secrets / "airflow_pgpass").read_text().split(":")[4]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(**address, password=theirs)


def test_mlflow_answers_under_the_name_of_its_service_and_no_strange_one(servers: Servers) -> None:
    path = "/api/2.0/mlflow/experiments/get?experiment_id=0"
    assert ask_mlflow(servers, path, f"mlflow:{servers.mlflow}").status_code == 200
    assert ask_mlflow(servers, path, "elsewhere.example").status_code == 403


def test_a_pipeline_runs_on_both_and_its_sealed_run_is_read_back(
    servers: Servers, settings: Settings, airflow: dict[str, str]
) -> None:
    ours = {name: value for name, value in airflow.items() if name.startswith(("AIRFLOW_", "MLFLOW_", "PG"))}
    outcome = run_dags(settings, "healthcare_risk", **ours)
    assert outcome.code == 0, outcome.log[-5000:]

    (run,) = records(settings, "run")
    ((kept, status),) = servers.execute("mlflow", "select run_uuid, status from runs")
    assert (run["run_id"], status) == (kept, "FINISHED")
    states = servers.execute("airflow", "select dag_id, state from dag_run order by dag_id")
    assert states == [("healthcare_risk", "success"), ("healthcare_risk_training", "success")]
    assert not list(settings.airflow.glob("*.db"))

    verified = verify(settings, airflow)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    servers.execute("mlflow", "update metrics set value = value + 1 returning run_uuid")
    verified = verify(settings, airflow)
    assert verified.returncode == 1, verified.stdout + verified.stderr
    assert f"run/{kept[:12]}" in verified.stdout


def verify(settings: Settings, airflow: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "import sys; from tallystick.cli import main; sys.exit(main(['verify']))",
    ]
    return subprocess.run(
        command, env=airflow, cwd=settings.home, capture_output=True, text=True, check=False, timeout=STARTING
    )
