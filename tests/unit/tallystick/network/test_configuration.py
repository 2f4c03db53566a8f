"""Each process's environment: everything it needs, mutual TLS everywhere, nothing left to fill in."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from support.fabric_programs import write_programs

from tallystick.network import configuration
from tallystick.network.binaries import DEPLOY
from tallystick.network.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "network", "bft", 20_000)


def test_a_peer_listens_on_this_machine_alone_and_asks_everybody_for_a_certificate(layout: Layout) -> None:
    peer = layout.peers[0]
    environment = configuration.peer_environment(layout, peer, Path("/connection.json"))
    listening = {name: value for name, value in environment.items() if name.endswith("LISTENADDRESS")}
    assert len(listening) == 3
    assert all(value.startswith("127.0.0.1:") for value in listening.values())
    asked = [name for name in environment if name.endswith("CLIENTAUTHREQUIRED")]
    assert {environment[name] for name in asked} == {"true"}
    assert len(asked) == 2
    assert environment["CHAINCODE_CONNECTION"] == "/connection.json"
    assert len(environment["CORE_PEER_TLS_CLIENTROOTCAS_FILES"].split()) == 3


def test_an_orderer_asks_everybody_for_a_certificate(layout: Layout) -> None:
    environment = configuration.orderer_environment(layout, layout.orderers[3])
    asked = [value for name, value in environment.items() if name.endswith("CLIENTAUTHREQUIRED")]
    assert asked == ["true"] * 3
    assert environment["ORDERER_GENERAL_LISTENPORT"] == "20003"


def test_nothing_is_left_to_fill_in(layout: Layout) -> None:
    peer = layout.peers[2]
    for environment in (
        configuration.peer_environment(layout, peer, Path("/c")),
        configuration.orderer_environment(layout, layout.orderers[0]),
    ):
        assert not [value for value in environment.values() if "${" in value or not value]


def test_ours_is_laid_over_fabrics_own_configuration(layout: Layout, tmp_path: Path) -> None:
    configuration.write_configuration(layout, write_programs(tmp_path / "programs"))
    core = yaml.safe_load((layout.config / "core.yaml").read_text())
    assert core["peer"] == {"id": "jdoe"}
    assert core["vm"] == {"endpoint": "", "docker": {"pull": False}}
    [builder] = core["chaincode"]["externalBuilders"]
    assert (Path(builder["path"]) / "bin" / "release").is_file()


@pytest.mark.parametrize(("kind", "claimed"), [("ccaas", True), ("golang", False)])
def test_the_builder_claims_our_packages_and_gives_the_peers_own_connection(
    tmp_path: Path, kind: str, claimed: bool
) -> None:
    source, metadata, output, release = (tmp_path / name for name in ("s", "m", "o", "r"))
    for directory in (source, metadata, output, release):
        directory.mkdir()
    (source / "law.json").write_text("{}")
    (metadata / "metadata.json").write_text(f'{{"type": "{kind}", "label": "x"}}')
    (tmp_path / "connection.json").write_text("keys")

    def run(name: str, *arguments: Path) -> int:
        command = [DEPLOY / "builder" / "bin" / name, *arguments]
        environment = {"PATH": "/usr/bin:/bin", "CHAINCODE_CONNECTION": str(tmp_path / "connection.json")}
        return subprocess.run(command, env=environment, check=False).returncode

    assert (run("detect", source, metadata) == 0) == claimed
    assert run("build", source, metadata, output) == 0
    assert run("release", output, release) == 0
    released = release / "chaincode" / "server" / "connection.json"
    assert released.read_text() == "keys"
    assert released.stat().st_mode & 0o077 == 0
    (source / "law.json").unlink()
    assert run("detect", source, metadata) != 0


def test_servers_allow_pings_well_before_fabrics_clients_send_them(layout: Layout) -> None:
    peer = configuration.peer_environment(layout, layout.peers[0], Path("/c"))
    orderer = configuration.orderer_environment(layout, layout.orderers[0])
    # comm.DefaultKeepaliveOptions and sampleconfig/core.yaml of Fabric 3.1: every client of its own.
    between_pings = 60
    for allowed in (
        peer["CORE_PEER_KEEPALIVE_MININTERVAL"],
        orderer["ORDERER_GENERAL_KEEPALIVE_SERVERMININTERVAL"],
    ):
        assert int(allowed.removesuffix("s")) <= between_pings / 2


def test_a_contracts_server_takes_no_module_from_where_somebody_is(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "grpc.py").write_text("raise SystemExit('planted')")
    monkeypatch.chdir(tmp_path)
    environment = configuration.server_environment(layout, layout.peers[0], "id", "digest")
    done = subprocess.run(
        configuration.server_command(),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0, "it has no keys here"
    assert "planted" not in done.stderr
