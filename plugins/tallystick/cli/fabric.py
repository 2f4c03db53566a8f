"""A network of three organisations on this machine: `tally fabric up` and its other commands."""

from __future__ import annotations

import argparse
import shlex
import time
from typing import TYPE_CHECKING, Any

from tallystick.cli.command import Adder
from tallystick.cli.screen import Screen
from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.settings import Settings

if TYPE_CHECKING:
    from tallystick.network.operate import Network

_CONSENSUS = {
    "raft": "one orderer, Raft",
    "raft3": "three orderers, Raft",
    "bft": "four orderers, Byzantine fault tolerant",
}


def add(adder: Adder) -> None:
    """Add this file's commands."""
    group = adder.group("fabric", "a Hyperledger Fabric network of three organisations on this machine")
    up = group.command("up", _up, "make the network or start it again, and wait until it answers")
    up.add_argument("--orderers", choices=tuple(_CONSENSUS), help="how blocks are ordered (default: raft)")
    up.add_argument("--port", type=int, help="the first of its ports (default: 17050)")
    group.command("configure", _configure, "write what docker-compose.yml mounts: keys, settings, secrets")
    group.command("activate", _activate, "have the organisations put the contracts here in force")
    revoke = group.command("revoke", _revoke, "take a user's certificates out of force on the channel")
    revoke.add_argument("user", metavar="USER", help="the user's name, as in organisations/MSP/users/")
    revoke.add_argument("--msp", default="", help="its organisation (default: yours)")
    group.command("status", _status, "what runs, and how many blocks each peer has")
    down = group.command("down", _down, "stop the network; its ledger stays")
    down.add_argument("--erase", action="store_true", help="remove its keys and its ledger too")
    logs = group.command("logs", _logs, "what its processes said last")
    logs.add_argument("name", nargs="?", metavar="PROCESS", help="only that one")
    logs.add_argument("--lines", type=int, default=10, help="how many of each (default: 10)")


def _up(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.execution import packages
    from tallystick.network import binaries, operate

    began = time.monotonic()
    with screen.busy("looking for Fabric's programs") as tell:
        programs = binaries.find(settings.cache_dir)
        network = operate.up(
            settings.fabric, programs, consensus=arguments.orderers, base_port=arguments.port, tell=tell
        )
    packages.keep_current(settings.packages)
    seconds = time.monotonic() - began
    layout = network.layout
    screen.line(
        f"The network answers, after {seconds:.1f} s: channel audit, contracts {network.package[:12]}."
    )
    screen.table(
        [
            ("orderers", _CONSENSUS[layout.consensus], _ports(orderer.port for orderer in layout.orderers)),
            *(
                (peer.organisation.msp_id, "peer and chaincode server", _ports((peer.port, peer.server_port)))
                for peer in layout.peers
            ),
        ],
        indent="  ",
    )
    urls = _urls(network)
    screen.line(f"To use it as {layout.peers[0].organisation.msp_id}:")
    screen.line(f"  export TALLYSTICK_LEDGER={shlex.quote(urls[layout.peers[0].organisation.name])}")
    screen.next(
        ("tally demo", "both pipelines on it"),
        ("tally fabric status", "what runs"),
        ("tally fabric down", "stops it; its ledger stays"),
    )
    screen.result({**_described(network), "ledgers": urls, "seconds": round(seconds, 3)})
    return 0


def _activate(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.execution import packages
    from tallystick.network import binaries, operate

    with screen.busy("looking for Fabric's programs") as tell:
        programs = binaries.find(settings.cache_dir)
        network, definition, approved = operate.activate(settings.fabric, programs, tell=tell)
    packages.keep_current(settings.packages)
    before, after = definition.version if definition else "", network.package
    recorded = definition is None or not definition.is_of(after)
    if not recorded:
        screen.line(
            f"The contracts installed here ({after[:12]}) are in force already; nothing was recorded."
        )
    elif before == after:
        screen.line(
            f"In force from the next block on: package {after[:12]}, as before,"
            " under the channel's own endorsement policy."
        )
    else:
        screen.line(f"In force from the next block on: package {after[:12]} (before: {before[:12]}).")
        kept = (settings.packages / before).is_dir()
        screen.line(
            "The older package is kept, so that older blocks can be run again."
            if kept
            else f"Keep the release of {before[:12]}: its package is not here, and older blocks ask for it."
        )
    msps = [peer.organisation.msp_id for peer in network.layout.peers]
    for msp_id in sorted(set(msps) - approved):
        screen.line(f"{msp_id} has not approved them: its peer runs nothing until it does.")
    screen.next(("tally verify", "runs every block again under the package of its time"))
    value = {"before": before, "active": after, "recorded": recorded}
    screen.result({**value, "approved": sorted(approved)})
    return 0


def _revoke(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.network import binaries
    from tallystick.network.revoke import revoke

    msp, user = arguments.msp or settings.msp_id, arguments.user
    with screen.busy("revoking on the channel"):
        block = revoke(settings.fabric, binaries.find(settings.cache_dir), msp, user)
    if block is None:
        screen.line(f"All certificates of {user} of {msp} are out of force already; nothing was recorded.")
    else:
        screen.line(f"Revoked: {user} of {msp}, by the configuration in block {block:,}; every peer has it.")
        screen.line("What it signed before stays valid; nothing that is recorded from now on will be.")
    screen.next(("tally members", "what was changed, and by whom"))
    screen.result({"msp": msp, "user": user, "block": block})
    return 0


def _configure(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.network import binaries, deployment

    with screen.busy("looking for Fabric's programs") as tell:
        network = deployment.configure(settings.home, binaries.find(settings.cache_dir), tell=tell)
    environment = settings.home / "compose.env"
    screen.line(f"{settings.home} has what docker-compose.yml mounts. Whoever has it is all organisations.")
    screen.next(
        (f"docker compose --env-file {shlex.quote(str(environment))} up --build --detach", "starts it"),
        ("tally fabric up", "then joins the channel and puts the contracts in force"),
    )
    screen.result({**_described(network), "environment": str(environment)})
    return 0


def _status(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.network import binaries, operate

    status = operate.status(settings.fabric, binaries.find(settings.cache_dir))
    rows = []
    for process in status.processes:
        height = status.heights.get(process.name)
        state = f"running, pid {process.pid}" if process.pid is not None else "NOT running"
        blocks = f"{height:,} blocks" if height is not None else ""
        if process.name in status.heights and process.pid is not None and height is None:
            blocks = "does NOT answer"
        rows.append((process.name, state, f"port {process.port}", blocks))
    screen.table(rows)
    screen.line(f"contracts  {status.network.package[:12]}")
    screen.next(
        ("tally fabric logs", "") if status.running else ("tally fabric up", "starts what does not run")
    )
    screen.result(
        {
            **_described(status.network),
            "running": status.running,
            "processes": [
                {"name": process.name, "port": process.port, "pid": process.pid}
                for process in status.processes
            ],
            "heights": status.heights,
        }
    )
    return 0 if status.running else CouldNotCheck.exit_code


def _down(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.network import operate

    stopped = operate.down(settings.fabric, erase=arguments.erase)
    screen.line(f"Stopped {len(stopped)} processes." if stopped else "Nothing was running.")
    if arguments.erase:
        screen.line(f"{settings.fabric} is removed, with the network's keys and its ledger.")
    else:
        screen.line(f"Keys and ledger stay in {settings.fabric}.")
    screen.next(("tally fabric up", "a new one" if arguments.erase else "starts it again"))
    screen.result({"stopped": stopped, "erased": arguments.erase})
    return 0


def _logs(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.network import operate

    if arguments.lines < 1:
        raise InvalidInput("--lines is not a number of lines", hint="Use 1 or more.")
    logs = operate.log_lines(settings.fabric, arguments.lines, arguments.name)
    for name, lines in logs.items():
        screen.line(f"{name}   {settings.fabric / 'log' / name}.log")
        for line in lines or ["(nothing)"]:
            screen.line(f"  {line}")
    screen.result({"logs": logs})
    return 0


def _urls(network: Network) -> dict[str, str]:
    """The ledger's address for each organisation, by its name."""
    organisations = [peer.organisation for peer in network.layout.peers]
    return {each.name: f"fabric://{network.layout.profile(each)}" for each in organisations}


def _described(network: Network) -> dict[str, Any]:
    from tallystick.network.layout import CHAINCODE

    layout = network.layout
    return {
        "directory": str(layout.root),
        "channel": layout.channel,
        "chaincode": CHAINCODE,
        "orderers": layout.consensus,
        "base_port": layout.base_port,
        "package": network.package,
        "package_id": network.package_id,
    }


def _ports(ports: Any) -> str:
    return "port " + ", ".join(map(str, ports))
