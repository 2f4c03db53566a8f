"""What docker-compose.yml mounts: whole, private, made once; its processes are for docker compose alone."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from support.fabric_network import free_base_port
from support.fabric_programs import write_programs

from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.network import deployment, operate
from tallystick.network.binaries import Binaries


@pytest.fixture
def programs(tmp_path: Path) -> Binaries:
    return write_programs(tmp_path / "programs", osnadmin="echo no leader; exit 1")


@pytest.fixture
def home(tmp_path: Path, programs: Binaries) -> Path:
    deployment.configure(tmp_path / "home", programs)
    return tmp_path / "home"


def test_each_process_is_a_host_of_its_own(home: Path) -> None:
    layout = operate.load(home / "fabric").layout
    environment = deployment.environment_file(layout, "peer-auditor").read_text().splitlines()
    assert "CORE_PEER_ADDRESS=peer-auditor:17351" in environment
    assert "CORE_PEER_LISTENADDRESS=0.0.0.0:17351" in environment
    assert "CORE_PEER_FILESYSTEMPATH=/var/tallystick/fabric/nodes/peer-auditor/data" in environment
    assert not [line for line in environment if str(home) in line]

    certificate = x509.load_pem_x509_certificate((layout.node("orderer2") / "tls/cert.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "orderer2"]
    profile = yaml.safe_load(layout.profile(layout.peers[0].organisation).read_text())
    assert [peer["address"] for peer in profile["peers"]] == [
        "peer-operator:17151",
        "peer-regulator:17251",
        "peer-auditor:17351",
    ]


def test_the_contracts_servers_know_no_path_of_this_machine(home: Path) -> None:
    layout = operate.load(home / "fabric").layout
    environment = deployment.environment_file(layout, "chaincode-operator").read_text()
    assert re.search(r"^CHAINCODE_SERVER_ADDRESS=0\.0\.0\.0:17154$", environment, flags=re.MULTILINE)
    values = [line.partition("=")[2] for line in environment.splitlines()]
    assert {value.split("/fabric/")[0] for value in values if value.startswith("/")} == {"/var/tallystick"}


def test_secrets_are_for_their_owner_alone_and_made_once(home: Path, programs: Binaries) -> None:
    files = [*(home / "secrets").iterdir(), home / "airflow" / "passwords.json"]
    before = {path: path.read_bytes() for path in files}
    assert len(set(before.values())) == len(files) == 9
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    (password,) = re.findall(rb"^requirepass (\S+)$", before[home / "secrets" / "redis_conf"], re.MULTILINE)
    assert b":" + password + b"@redis:" in before[home / "secrets" / "airflow_broker"]

    (home / "secrets" / "airflow_fernet_key").unlink()
    deployment.configure(home, programs)
    changed = [path.name for path in files if path.read_bytes() != before[path]]
    assert changed == ["airflow_fernet_key"]


def test_docker_compose_learns_where_it_lies_and_whose_it_is(home: Path) -> None:
    owner = f"TALLYSTICK_OWNER={os.getuid()}:{os.getgid()}"
    assert (home / "compose.env").read_text().splitlines() == [f"TALLYSTICK_HOME={home}", owner]


def test_another_network_is_left_as_it_is(tmp_path: Path, programs: Binaries) -> None:
    with pytest.raises(CouldNotCheck):
        operate.up(tmp_path / "fabric", programs, base_port=free_base_port())
    with pytest.raises(InvalidInput, match="there is a network already"):
        deployment.configure(tmp_path, programs)
    assert not (tmp_path / "secrets").exists()


def test_no_process_is_started_for_it_nor_stopped(
    home: Path, programs: Binaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystick.network.start._SECONDS", 0.5)
    with pytest.raises(CouldNotCheck, match=r"joining orderer\d to the channel did not work in time"):
        operate.up(home / "fabric", programs)
    assert not (home / "fabric" / "run").exists()
    for command in (
        lambda: operate.status(home / "fabric", programs),
        lambda: operate.down(home / "fabric"),
        lambda: operate.log_lines(home / "fabric", 1),
    ):
        with pytest.raises(InvalidInput, match="containers"):
            command()


@pytest.mark.parametrize("name", ["a:b", "do$lar", "co,mma", "a #b", "quo'te", "new\nline"])
def test_a_home_that_docker_compose_would_misread_is_refused(
    tmp_path: Path, programs: Binaries, name: str
) -> None:
    with pytest.raises(InvalidInput, match="docker compose takes for more than a name"):
        deployment.configure(tmp_path / name, programs)
    assert not (tmp_path / name).exists()


def test_a_home_with_a_space_is_none_of_those(tmp_path: Path, programs: Binaries) -> None:
    deployment.configure(tmp_path / "my home-1.x", programs)
    assert (tmp_path / "my home-1.x" / "compose.env").exists()
