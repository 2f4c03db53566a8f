"""A network as a whole: brought up from nothing or from yesterday, looked at, taken down."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.execution import packages
from tallystick.files import alone, private_directory, read_small, write_atomic
from tallystick.network import configuration, processes
from tallystick.network.binaries import VERSION, Binaries
from tallystick.network.certificates import make_certificates, write_connection
from tallystick.network.genesis import write_genesis
from tallystick.network.layout import BASE_PORT, CONSENSUS, PORTS, Layout
from tallystick.network.lifecycle import Definition, Lifecycle
from tallystick.network.package import package_id
from tallystick.network.profiles import write_profiles
from tallystick.network.start import Start, Tell

_ERASE: Final = "tally fabric down --erase"
_NOTE: Final = "network.json"
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_SPOILT: Final = f"Put back the file as it was, or give up the network's ledger: {_ERASE}"


@dataclass(frozen=True, slots=True)
class Network:
    """A network that was made: its layout, and the digest of the contracts that it has in force."""

    layout: Layout
    package: str

    @property
    def package_id(self) -> str:
        """The id of the chaincode package on every peer."""
        return package_id(self.package)

    def value(self) -> dict[str, Any]:
        """For the note in its directory."""
        return {
            "v": 1,
            "fabric": VERSION,
            "consensus": self.layout.consensus,
            "base_port": self.layout.base_port,
            "named": self.layout.named,
            "package": self.package,
        }


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process: its name, the first port it listens on, and its pid where it runs."""

    name: str
    port: int
    pid: int | None


@dataclass(frozen=True, slots=True)
class Status:
    """How a network stands. ``heights`` are the peers' blocks, None where one does not answer."""

    network: Network
    processes: tuple[ProcessStatus, ...]
    heights: dict[str, int | None]

    @property
    def running(self) -> bool:
        """Whether every process runs and every peer answers."""
        answers = all(height is not None for height in self.heights.values())
        return answers and all(process.pid is not None for process in self.processes)


def load(root: Path) -> Network:
    """The network in ``root``.

    Raises `CouldNotCheck` where there is none, and `InvalidInput` for one of another version or whose note
    is spoilt, naming its field.
    """
    path = root / _NOTE
    try:
        note = json.loads(read_small(path))
    except FileNotFoundError:
        raise CouldNotCheck(f"there is no network in {root}", hint="Make one with: tally fabric up") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON, or nested too deep"
        raise InvalidInput(f"{path} cannot be read: {reason}", hint=_SPOILT) from error
    if not isinstance(note, dict) or note.get("v") != 1 or note.get("fabric") != VERSION:
        raise InvalidInput(
            f"the network in {root} was not made by this version of tally (Fabric {VERSION})",
            hint=f"Use the version that made it, or give up its ledger: {_ERASE}",
        )
    consensus: Any = note.get("consensus")
    first: Any = note.get("base_port")
    package: Any = note.get("package")
    named: Any = note.get("named", False)
    right = {
        "consensus": isinstance(consensus, str) and consensus in CONSENSUS,
        "base_port": type(first) is int and 1024 <= first <= 65535 - PORTS,
        "named": isinstance(named, bool),
        "package": isinstance(package, str) and _DIGEST.fullmatch(package),
    }
    if wrong := [field for field, held in right.items() if not held]:
        raise InvalidInput(f'{path} is spoilt: "{wrong[0]}" is not what tally writes there', hint=_SPOILT)
    return Network(Layout(root, consensus, first, named=named), package)


def load_own(root: Path) -> Network:
    """As `load`, and raises `InvalidInput` where the network's processes are containers."""
    network = load(root)
    if network.layout.named:
        raise InvalidInput(
            "that network's processes are containers", hint="Ask or stop them with: docker compose"
        )
    return network


def up(
    root: Path,
    binaries: Binaries,
    *,
    consensus: str | None = None,
    base_port: int | None = None,
    tell: Tell = lambda _: None,
) -> Network:
    """Make the network in ``root`` unless it is there, start what does not run, wait until it answers.

    Leaves nothing running that it started where that fails. Raises `InvalidInput` for a network that is
    there and another than asked for, `CouldNotCheck` for a port that is taken, a process that dies, or
    what does not work in time.
    """
    with held(root):
        network = made(root, binaries, consensus, base_port, tell)
        if network.package != packages.current_digest():
            raise InvalidInput(
                f"the contracts here ({packages.current_digest()[:12]}) are not those of the network"
                f" ({network.package[:12]})",
                hint="Have the organisations agree on them: tally fabric activate\n"
                f"Or run the release that it was made with, or give up its ledger: {_ERASE}",
            )
        write_profiles(network.layout)
        with Start(network.layout, binaries, network.package, tell) as start:
            start.run()
            start.join()
            definition = start.in_force()
            if definition is None:
                start.commit(1, start.agree(1))
            elif definition.version != network.package:
                raise InvalidInput(
                    "the contracts' definition on the channel is not the one that this network was made with",
                    hint=f"Organisations have changed it since: run the contracts {definition.version}",
                )
            elif not definition.usual:
                raise InvalidInput(
                    "the endorsement policy of the contracts is not the channel's own any more",
                    hint="Organisations have changed it since: `tally members` says when and by whom."
                    " Have them agree on the channel's own again: tally fabric activate",
                )
            start.wait()
    return network


def activate(
    root: Path, binaries: Binaries, *, tell: Tell = lambda _: None
) -> tuple[Network, Definition | None, frozenset[str]]:
    """Put the contracts that are installed here in force on the network in ``root``, which runs afterwards.

    Their endorsement policy is the channel's own, whatever it was before. Returns the network, the definition
    that was in force before, and the MSPs whose peers run the new ones. While too few
    organisations approve, those before stay in force and in their servers. What a killed process left half
    done is completed. Raises as `up`, and `CouldNotCheck` naming whose approval is missing.
    """
    with held(root):
        former = load(root)
        network = replace(former, package=packages.current_digest())
        with Start(network.layout, binaries, network.package, tell) as start:
            start.run(servers=former == network)
            before = start.in_force()
            if before is None or not before.is_of(network.package):
                sequence = before.sequence + 1 if before else 1
                approved = start.agree(sequence)
                start.replace_servers()
                start.commit(sequence, approved)
            start.run()
            _note(root, network)
            return network, before, start.wait()


def status(root: Path, binaries: Binaries) -> Status:
    """How the network in ``root`` stands. Raises as `load`."""
    network = load_own(root)
    layout = network.layout
    shown = tuple(
        ProcessStatus(name, ports[0], processes.pid_of(root, name)) for name, ports in layout.ports.items()
    )
    lifecycle = Lifecycle(layout, binaries, lambda: None, time.monotonic())
    running = {process.name for process in shown if process.pid is not None}
    heights = {peer.name: lifecycle.height(peer) if peer.name in running else None for peer in layout.peers}
    return Status(network, shown, heights)


def is_down(root: Path, profile: Path) -> bool:
    """Whether ``profile`` leads to the network in ``root``, and none of its peers runs on this machine.

    Asks nobody. False where that cannot be known: no network there, another version's, containers.
    """
    try:
        layout = load_own(root).layout
    except (CouldNotCheck, InvalidInput):
        return False
    own = profile.resolve().parent == layout.profiles.resolve()
    return own and not any(processes.pid_of(root, peer.name) for peer in layout.peers)


def down(root: Path, *, erase: bool = False) -> list[str]:
    """Stop every process of the network in ``root``; returns the names of those that ran.

    With ``erase`` its keys and its ledger are removed too. Raises as `load`, but for a network of another
    version that is to be erased, and `InvalidInput` where a link is to be.
    """
    if not root.exists():
        if not erase:
            load(root)
        return []
    if erase:
        _require_own_directory(root)
    with held(root):
        names = [path.stem for path in (root / "run").glob("*.json")]
        if not erase:
            names = [name for name in reversed(load_own(root).layout.ports) if name in names]
        stopped = processes.stop(root, names) if names else []
        if erase:
            shutil.rmtree(root)
            shutil.rmtree(_building(root), ignore_errors=True)
    return stopped


def log_lines(root: Path, count: int, name: str | None = None) -> dict[str, list[str]]:
    """The last ``count`` lines of each process's log, or of the one called ``name``.

    Raises as `load`, and `InvalidInput` for a name of none.
    """
    names = list(load_own(root).layout.ports)
    if name is not None and name not in names:
        raise InvalidInput("that is no process of the network", hint=f"It has: {', '.join(names)}")
    return {each: processes.last_lines(root, each, count) for each in ([name] if name else names)}


def made(
    root: Path,
    binaries: Binaries,
    consensus: str | None,
    base_port: int | None,
    tell: Tell,
    *,
    named: bool | None = None,
) -> Network:
    """The network in ``root``, which is held; its files are made unless they are there. Raises as `up`."""
    if not (root / _NOTE).exists():
        first = BASE_PORT if base_port is None else base_port
        layout = Layout(root, consensus or "raft", first, named=bool(named))
        if not 1024 <= layout.base_port <= 65535 - PORTS:
            raise InvalidInput(
                f"a network needs {PORTS + 1} ports from its first", hint=f"Choose 1024 to {65535 - PORTS}."
            )
        if not layout.named:
            processes.check_ports(layout.ports)
        tell("making keys and the channel's first block")
        return _make(Network(layout, packages.current_digest()), binaries)
    network = load(root)
    there = network.layout
    asked = (consensus, there.consensus), (base_port, there.base_port), (named, there.named)
    if any(wanted not in (None, found) for wanted, found in asked):
        raise InvalidInput(
            f"there is a network already: {there.consensus}, from port {there.base_port}",
            hint=f"Start it as it is: tally fabric up. Or give up its ledger: {_ERASE}",
        )
    return network


def _make(network: Network, binaries: Binaries) -> Network:
    """All files of the network or none: they are made beside its place and moved there in one step."""
    root = network.layout.root
    _require_own_directory(root)
    if root.exists():
        raise CouldNotCheck(
            f"{root} is there and holds no whole network", hint=f"Remove what is left of it: {_ERASE}"
        )
    building = _building(root)
    # Of a start that was killed; nobody else is at work here (`held`).
    shutil.rmtree(building, ignore_errors=True)
    private_directory(building)
    try:
        layout = replace(network.layout, root=building)
        make_certificates(layout)
        configuration.write_configuration(layout, binaries)
        write_genesis(layout, binaries)
        for peer in layout.peers:
            write_connection(layout, peer)
        _note(building, network)
        building.rename(root)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return network


def _require_own_directory(root: Path) -> None:
    """Raises `InvalidInput` for a link: what it leads to may hold more than a network."""
    if root.is_symlink():
        raise InvalidInput(
            f"{root} is a link, and a network is made and erased only in a directory of its own",
            hint="Remove the link (with what it leads to, if that is to go), or choose another"
            " TALLYSTICK_HOME, on the other disk.",
        )


def _note(root: Path, network: Network) -> None:
    write_atomic(root / _NOTE, json.dumps(network.value()).encode())


def _building(root: Path) -> Path:
    return root.with_name(f".{root.name}.making")


@contextmanager
def held(root: Path) -> Iterator[None]:
    """One command at a time works on the network; the lock lies beside its directory."""
    with alone(private_directory(root.parent) / f".{root.name}.lock"):
        yield
