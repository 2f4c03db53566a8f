"""A network that cannot start says why and leaves nothing running; one that is another is not touched."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from support.fabric_network import free_base_port
from support.fabric_programs import write_programs

from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.network import operate, processes
from tallystick.network.binaries import Binaries
from tallystick.network.lifecycle import Definition


@dataclass
class Place:
    root: Path
    programs: Binaries
    port: int

    def up(self, **how: object) -> operate.Network:
        return operate.up(self.root, self.programs, **{"base_port": self.port, **how})  # type: ignore[arg-type]

    def note(self, **changed: object) -> None:
        path = self.root / "network.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Programs with which a network is made, and whose orderer dies at once."""
    programs = write_programs(tmp_path / "programs", orderer="echo no disk; exit 7", osnadmin="exit 1")
    return Place(tmp_path / "home" / "fabric", programs, free_base_port())


@pytest.fixture
def made(place: Place) -> Place:
    """A network that was made and could not start."""
    with pytest.raises(CouldNotCheck):
        place.up()
    return place


def test_a_process_that_dies_is_named_and_the_others_are_stopped(place: Place) -> None:
    with pytest.raises(CouldNotCheck) as error:
        place.up()
    assert "ended while the network was starting" in error.value.message
    ports = operate.load(place.root).layout.ports
    assert [name for name in ports if processes.pid_of(place.root, name)] == []


def test_a_network_that_could_not_be_made_leaves_no_directory(place: Place) -> None:
    place.programs = write_programs(place.programs.directory, configtxgen="echo Error: bad profile; exit 1")
    with pytest.raises(CouldNotCheck, match="making the channel's first block failed: bad profile"):
        place.up()
    assert [path.name for path in place.root.parent.iterdir()] == [".fabric.lock"]


def test_what_a_killed_start_left_half_made_goes(place: Place) -> None:
    half_made = place.root.parent / ".fabric.making" / "organisations"
    half_made.mkdir(parents=True)
    with pytest.raises(CouldNotCheck, match="ended while"):
        place.up()
    assert sorted(path.name for path in place.root.parent.iterdir()) == [".fabric.lock", "fabric"]


def test_a_network_is_not_started_as_another(made: Place) -> None:
    with pytest.raises(InvalidInput, match="there is a network already: raft, from port"):
        made.up(consensus="bft")
    with pytest.raises(InvalidInput, match="there is a network already"):
        made.up(base_port=made.port + 1)


def test_a_network_of_other_contracts_is_not_started(made: Place) -> None:
    made.note(package="0" * 64)
    with pytest.raises(InvalidInput, match="are not those of the network") as error:
        made.up()
    assert "tally fabric activate" in error.value.hint
    assert "tally fabric down --erase" in error.value.hint


@pytest.fixture
def defined(made: Place, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A network that starts, with a definition that is ``usual`` or is not; notes what is committed."""
    package = operate.load(made.root).package
    start = MagicMock()
    start.__enter__.return_value = start
    start.committed = lambda: [call.args[0] for call in start.commit.call_args_list]
    start.define = lambda **how: setattr(
        start.in_force, "return_value", Definition(**{"version": package, "sequence": 4, **how})
    )
    monkeypatch.setattr(operate, "Start", MagicMock(return_value=start))
    return start


def test_contracts_that_others_put_in_force_are_named(made: Place, defined: Any) -> None:
    defined.define(approved=frozenset(), usual=True, version="5" * 64)
    with pytest.raises(InvalidInput, match="not the one that this network was made with") as error:
        made.up()
    assert "5" * 64 in error.value.hint


def test_a_link_is_neither_made_a_network_nor_erased(place: Place, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "other").write_text("of somebody else")
    place.root.parent.mkdir(parents=True, exist_ok=True)
    place.root.symlink_to(disk)
    for work in (place.up, lambda: operate.down(place.root, erase=True)):
        with pytest.raises(InvalidInput, match="is a link") as error:
            work()
        assert "Remove the link" in error.value.hint
    assert (disk / "other").exists()


def test_a_network_whose_endorsement_policy_was_changed_is_not_started(made: Place, defined: Any) -> None:
    defined.define(approved=frozenset(), usual=False)
    with pytest.raises(
        InvalidInput, match="endorsement policy of the contracts is not the channel's"
    ) as error:
        made.up()
    assert "tally fabric activate" in error.value.hint
    defined.define(approved=frozenset(), usual=True)
    made.up()
    assert defined.committed() == []


@pytest.mark.parametrize(
    ("version", "usual", "committed"), [({}, True, []), ({}, False, [5]), ({"version": "0" * 64}, True, [5])]
)
def test_activating_puts_package_and_policy_in_force(
    made: Place, defined: Any, version: dict[str, str], usual: bool, committed: list[int]
) -> None:
    defined.define(approved=frozenset(), usual=usual, **version)
    _, before, _ = operate.activate(made.root, made.programs)
    assert before == defined.in_force.return_value
    assert defined.committed() == committed


@pytest.mark.parametrize("changed", [{"v": 2}, {"fabric": "2.5.9"}])
def test_a_network_of_another_version_is_left_alone_and_can_be_erased(
    made: Place, changed: dict[str, object]
) -> None:
    made.note(**changed)
    for work in (made.up, lambda: operate.down(made.root), lambda: operate.log_lines(made.root, 1)):
        with pytest.raises(InvalidInput, match="was not made by this version"):
            work()
    assert made.root.exists()
    operate.down(made.root, erase=True)
    assert not made.root.exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"consensus": "paxos"}, '"consensus"'),
        ({"consensus": ["raft"]}, '"consensus"'),
        ({"base_port": "17050"}, '"base_port"'),
        ({"base_port": True}, '"base_port"'),
        ({"base_port": 65_500}, '"base_port"'),
        ({"named": "no"}, '"named"'),
        ({"package": None}, '"package"'),
        ({"package": "../../else"}, '"package"'),
    ],
)
def test_a_note_that_is_spoilt_is_named_with_its_field(
    made: Place, changed: dict[str, object], said: str
) -> None:
    assert operate.load(made.root).layout.base_port == made.port
    made.note(**changed)
    with pytest.raises(InvalidInput, match=r"network\.json") as error:
        operate.load(made.root)
    assert said in error.value.message


@pytest.mark.parametrize("field", ["consensus", "base_port", "package"])
def test_a_note_that_lacks_a_field_is_named_with_it(made: Place, field: str) -> None:
    path = made.root / "network.json"
    note = json.loads(path.read_text())
    del note[field]
    path.write_text(json.dumps(note))
    with pytest.raises(InvalidInput, match=f'network.json .*"{field}"'):
        operate.load(made.root)


@pytest.mark.parametrize("data", [b"[" * 100_000, b"{", b"\xff", b" " * (1 << 20) + b"{}"])
def test_a_note_that_is_no_json_is_named(made: Place, data: bytes) -> None:
    (made.root / "network.json").write_bytes(data)
    with pytest.raises(InvalidInput, match=r"network\.json cannot be read"):
        operate.load(made.root)


def test_a_pipe_in_the_notes_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "network.json")
    with pytest.raises(InvalidInput, match=r"network\.json cannot be read: not a regular file"):
        operate.load(tmp_path)


def test_a_directory_that_holds_no_network_is_not_touched(place: Place) -> None:
    place.root.mkdir(parents=True)
    (place.root / "mine").touch()
    with pytest.raises(CouldNotCheck, match="holds no whole network"):
        place.up()
    assert (place.root / "mine").exists()


@pytest.mark.parametrize("port", [0, 80, 65_500])
def test_ports_out_of_range_are_refused(place: Place, port: int) -> None:
    with pytest.raises(InvalidInput, match="a network needs 305 ports"):
        place.up(base_port=port)


def test_without_a_network_it_says_how_to_make_one(place: Place) -> None:
    for work in (lambda: operate.down(place.root), lambda: operate.status(place.root, place.programs)):
        with pytest.raises(CouldNotCheck, match="there is no network") as error:
            work()
        assert error.value.hint == "Make one with: tally fabric up"


def test_the_log_of_one_process_is_shown_and_a_name_of_none_refused(made: Place) -> None:
    assert operate.log_lines(made.root, 1, "orderer1") == {"orderer1": ["no disk"]}
    assert len(operate.log_lines(made.root, 1)) == 7
    with pytest.raises(InvalidInput, match="no process of the network"):
        operate.log_lines(made.root, 1, "../../secret")


def test_a_profile_leads_nowhere_while_none_of_its_networks_peers_runs(made: Place, tmp_path: Path) -> None:
    own, other = made.root / "profiles" / "operator.yaml", tmp_path / "profiles" / "operator.yaml"

    def run(name: str) -> None:
        processes.start(made.root, name, ["/bin/sleep", "60"], {})

    try:
        run("orderer1")
        assert operate.is_down(made.root, own)
        assert not operate.is_down(made.root, other)
        assert not operate.is_down(tmp_path, other)
        run("peer-auditor")
        assert not operate.is_down(made.root, own)
    finally:
        processes.stop(made.root, ["orderer1", "peer-auditor"])
    assert operate.is_down(made.root, own)
    made.note(named=True)
    assert not operate.is_down(made.root, own), "containers have their processes elsewhere"
