"""The contracts of a live network are replaced: its organisations agree, and old blocks keep their law."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import ledgers
from support.fabric_network import Live

import chaincode
from tallystick import wiring
from tallystick.execution import packages
from tallystick.home.create import create_home
from tallystick.home.verification import verify_home
from tallystick.ledger.port import Call
from tallystick.network import operate, processes
from tallystick.network.binaries import Binaries
from tallystick.settings import Settings

#: What the next release does besides: run again under it, an older transaction would have written more.
OLD = "    return canonical.encode(await CONTRACTS[contract][transaction](context, value))\n"
NEW = '    await context.put(f"{contract}/next", b"1")\n' + OLD


@dataclass
class Home:
    """A home with a network of its own, and the release that comes next."""

    live: Live
    settings: Settings
    release: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.settings.home),
            "PYTHONPATH": str(self.release),
            "TALLYSTICK_HOME": str(self.settings.home),
            "TALLYSTICK_STATE": str(self.settings.state_dir),
            "TALLYSTICK_LEDGER": self.settings.ledger_url,
            "XDG_CACHE_HOME": str(Settings.from_environment().cache_dir.parent),
        }

    def tally(self, *arguments: str) -> tuple[int, Any]:
        """A command of the next release."""
        command = [sys.executable, "-c", "import sys, tallystick.cli as c; sys.exit(c.main())"]
        done = subprocess.run(
            [*command, *arguments, "--json"],
            cwd=self.release,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, json.loads(done.stdout)

    def register(self, name: str) -> None:
        with closing(wiring.open_ledger(self.settings)) as ledger:
            call = Call("provenance", "register_dataset", ledgers.dataset(name))
            ledger.submit(wiring.signer(self.settings), call)

    def packages(self) -> list[str]:
        """The contracts in force, one after the other."""
        with closing(wiring.open_for_reading(self.settings)) as ledger:
            return list(dict.fromkeys(each.package for each in ledger.configurations() if each.package))


@pytest.fixture
def home(tmp_path: Path, programs: Binaries) -> Iterator[Home]:
    root = tmp_path / "home" / "fabric"
    try:
        live = Live.up(root, programs)
        settings = Settings.from_environment(
            {
                "HOME": str(tmp_path),
                "TALLYSTICK_HOME": str(tmp_path / "home"),
                "TALLYSTICK_STATE": str(tmp_path / "state"),
                "TALLYSTICK_LEDGER": f"fabric://{live.layout.profiles}/operator.yaml",
            }
        )
        create_home(settings, name="hospital.example/activation").close()
        release = tmp_path / "release"
        shutil.copytree(Path(chaincode.__file__).parent, release / "chaincode")
        catalogue = release / "chaincode" / "catalogue.py"
        assert OLD in catalogue.read_text()
        catalogue.write_text(catalogue.read_text().replace(OLD, NEW))
        yield Home(live, settings, release)
    finally:
        operate.down(root, erase=True)


def away(home: Home, *organisations: str) -> dict[Path, Path]:
    """Take administrators' keys away; where each was and where it is."""
    moved = {}
    for name in organisations:
        keys = home.live.layout.user(home.live.peer(name).organisation.msp_id, "admin") / "keystore"
        moved[keys] = keys.rename(keys.with_name("away"))
    return moved


def test_the_contracts_are_replaced_when_the_organisations_agree(home: Home) -> None:
    old = packages.current_digest()
    home.register("before")

    code, refused = home.tally("fabric", "up")
    assert (code, refused["error"]["kind"]) == (2, "InvalidInput")
    assert "tally fabric activate" in refused["error"]["hint"]

    moved = away(home, "regulator", "auditor")
    servers = {peer.server: processes.pid_of(home.live.root, peer.server) for peer in home.live.layout.peers}
    code, refused = home.tally("fabric", "activate")
    for keys, kept in moved.items():
        kept.rename(keys)
    assert code == 3, refused
    assert "RegulatorMSP has not approved them" in refused["error"]["message"]
    assert home.packages() == [old], "nothing is committed by one alone"
    assert servers == {name: processes.pid_of(home.live.root, name) for name in servers}
    home.register("meanwhile")

    moved = away(home, "auditor")
    code, done = home.tally("fabric", "activate")
    for keys, kept in moved.items():
        kept.rename(keys)
    assert code == 0, done
    assert (done["before"], done["recorded"]) == (old, True)
    assert done["approved"] == ["OperatorMSP", "RegulatorMSP"]
    new = done["active"]
    assert home.packages() == [old, new]
    home.register("after")

    code, again = home.tally("fabric", "activate")
    assert (code, again["recorded"], len(again["approved"])) == (0, False, 3)
    code, up = home.tally("fabric", "up")
    assert (code, up["package"]) == (0, new)

    for verified in (verify_home(home.settings).value(), home.tally("verify")[1]):
        first = verified["subjects"][0]
        assert (first["kind"], first["status"]) == ("ledger", "verified"), verified
        assert "rules changed once (contracts; by whom: tally members)" in first["detail"]
        assert not [each for each in verified["subjects"] if each["kind"] == "contracts"]

    shutil.rmtree(home.settings.packages / old)
    code, verified = home.tally("verify")
    unknown = [each for each in verified["subjects"] if each["kind"] == "contracts"]
    assert [(each["id"], each["status"]) for each in unknown] == [(old, "cannot check")]
