"""The home and what lies in it: `init`, `status`, `rebuild`, `activate`, `dashboard`."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any, Final

from tallystick.cli.command import Adder, open_ledger, open_records
from tallystick.cli.screen import Screen
from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded
from tallystick.files import open_regular
from tallystick.reports.words import not_verified, typed
from tallystick.settings import Settings

#: What the charter takes as the part of the origin before the slash and the digits.
_LOG_NAME: Final = re.compile(r"[a-z0-9][a-z0-9./-]{0,100}")
_PORT: Final = 8501
_ADDRESS: Final = "127.0.0.1"
_PORTS: Final = 65536


def add(adder: Adder) -> None:
    """Add this file's commands."""
    init = adder.command("init", _init, "make one organisation's keys and an empty ledger")
    init.add_argument(
        "--name", default="tallystick.local", help="the log's name for ever, best below a domain of yours"
    )
    adder.command("status", _status, "where everything lies and how far the ledger is")
    adder.command("rebuild", _rebuild, "make everything that is derived from the blocks again, and compare")
    adder.command("activate", _activate, "record the contracts that are installed here as those in force")
    dashboard = adder.command("dashboard", _dashboard, "start the dashboard on this machine")
    dashboard.add_argument("--port", type=int, default=_PORT, help=f"default: {_PORT}")
    dashboard.add_argument(
        "--address", default=_ADDRESS, help=f"default: {_ADDRESS}; it asks nobody who they are"
    )


def _init(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick import wiring
    from tallystick.home.create import create_home
    from tallystick.proof.trust import parse_trust

    if not _LOG_NAME.fullmatch(arguments.name):
        raise InvalidInput(
            "that is no name for a log",
            hint="Take lower-case letters, digits, dots, slashes and hyphens: hospital.example/lab",
        )
    ledger = create_home(settings, name=arguments.name)
    try:
        origin, vkeys = ledger.origin, [key.vkey for key in parse_trust(ledger.trust()).logs]
    finally:
        ledger.close()
    keys = "keys of one organisation, kept by you alone"
    where = "block 0 with the configuration, block 1 with the charter"
    if wiring.on_channel(settings):
        keys, where = "a key for the heads that you sign, kept by you alone", "a channel of Fabric"
    screen.table(
        [
            ("made", str(settings.home), keys),
            ("ledger", origin, where),
            *(("vkey", vkey, "give it to whoever shall verify you") for vkey in vkeys),
        ]
    )
    screen.next(
        ("tally policy new --data FILE", "writes a first policy for a file of yours"),
        ("tally checkpoint", "prints the signed head, to be kept elsewhere"),
    )
    screen.result({"home": str(settings.home), "origin": origin, "vkeys": vkeys})
    return 0


def _status(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick import wiring
    from tallystick.home.identities import ending

    try:
        value = _facts(settings, screen)
    except CouldNotCheck as error:
        if not wiring.has_ledger(settings):
            raise
        return _status_unread(settings, screen, error)
    certificates = ending(settings)
    value["certificates"] = [each.value() for each in certificates]
    package = value["package"]
    same = "installed here" if package["active"] == package["installed"] else "NOT those installed here"
    contradiction = value["contradiction"]
    screen.table(
        [
            ("home", value["home"]),
            ("ledger", f"{value['origin']}, {value['blocks']:,} blocks, {value['leaves']:,} leaves"),
            (
                "records",
                ", ".join(f"{number:,} {kind}" for kind, number in value["records"].items()) or "none",
            ),
            ("refused", f"{value['refusals']:,} transactions ({settings.refusals.name})"),
            ("contracts", f"package {package['active'][:12]}, {same}"),
            ("last head", _seen(value["last_head_seen"], contradiction, settings.state_dir)),
            ("verified", verification_line(value["last_verification"])),
            ("MLflow", value["mlflow"]),
            *(("certificate", each.sentence) for each in certificates),
        ]
    )
    activate = "tally fabric activate" if wiring.on_channel(settings) else "tally activate"
    screen.next(("tally verify", "checks all of it") if same == "installed here" else (activate, ""))
    screen.result(value)
    return NotAsRecorded.exit_code if contradiction else 0


def _facts(settings: Settings, screen: Screen) -> dict[str, Any]:
    """What `status` says of the ledger. Raises `CouldNotCheck` where it or the index cannot be used."""
    from tallystick.home import memory
    from tallystick.home.configure import package_status
    from tallystick.proof.checkpoint import head_of
    from tallystick.reports.verification import last_verification

    with open_records(settings, screen) as (ledger, index):
        head = head_of(ledger.checkpoint())
        seen = memory.last_seen(settings, ledger.origin)
        return {
            "home": str(settings.home),
            "origin": ledger.origin,
            "blocks": ledger.height,
            "leaves": head.size,
            "records": index.kinds(),
            "refusals": _lines(settings.refusals),
            "package": package_status(settings),
            "last_head_seen": seen.size if seen else None,
            "contradiction": memory.contradiction(settings, ledger) or None,
            "last_verification": last_verification(settings.home, ledger),
            "mlflow": settings.mlflow_shown,
        }


def _status_unread(settings: Settings, screen: Screen, error: CouldNotCheck) -> int:
    """What can be told of a home whose ledger or index cannot be used now, on a full disk for one."""
    from tallystick.reports.verification import noted_verification

    noted = noted_verification(settings.home)
    verified = [("verified", "nothing noted")]
    if noted is not None:
        line = verification_line({**noted, "behind": 0})
        verified = [("verified", line), ("", "not held against the ledger now, which may have changed since")]
    screen.table([("home", str(settings.home)), ("ledger", settings.ledger_url), *verified])
    screen.error(f"The rest cannot be read now: {error.message}", error.hint)
    told = {"kind": error.kind, "message": error.message, "hint": typed(error.hint)}
    screen.result(
        {
            "home": str(settings.home),
            "ledger": settings.ledger_url,
            "last_verification": noted,
            "error": {**told, "exit": error.exit_code},
        }
    )
    return error.exit_code


def _rebuild(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick import wiring
    from tallystick.reports.index import rebuild_index

    # The ledger is opened afterwards: what opening it needs may be what has to be made again.
    with screen.progress("reading blocks") as advance:
        rebuilt = wiring.rebuild(settings, advance)
    indexing = screen.progress("reading blocks into the index", rebuilt.blocks)
    with open_ledger(settings) as ledger, indexing as advance:
        index = rebuild_index(settings.index, ledger, advance)
    tables = {**rebuilt.differences, **{f"index {table}": count for table, count in index.items()}}
    changed = [table for table, count in rebuilt.differences.items() if count]
    screen.line(f"Read {rebuilt.blocks:,} blocks and made everything again that is derived from them.")
    screen.table(
        [
            (table, "as before" if not count else f"{count:,} rows were not what the blocks say; put right")
            for table, count in tables.items()
        ],
        indent="  ",
    )
    screen.next(("tally verify", "checks the blocks themselves"))
    screen.result({"blocks": rebuilt.blocks, "differences": tables})
    return NotAsRecorded.exit_code if changed else 0


def _activate(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.home.configure import activate

    before, after = activate(settings)
    if before == after:
        screen.line(
            f"The contracts installed here ({after[:12]}) are in force already; nothing was recorded."
        )
    else:
        screen.line(f"In force from the next block on: package {after[:12]} (before: {before[:12]}).")
        screen.line("The older package is kept, so that older blocks can be run again.")
    screen.next(("tally verify", "runs every block again under the package of its time"))
    screen.result({"before": before, "active": after, "recorded": before != after})
    return 0


def _dashboard(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    checkout = Path(__file__).resolve().parents[3]
    app = checkout / "dashboards" / "app.py"
    if not app.is_file():
        raise CouldNotCheck(
            "the dashboard is not installed here", hint="It comes with the checkout: make dashboard"
        )
    if not 0 < arguments.port < _PORTS:
        raise InvalidInput("that is no port", hint="Choose one from 1024 to 65535.")
    _check_port(arguments.port)
    url = f"http://127.0.0.1:{arguments.port}"
    screen.line(f"The dashboard is at {url}   (this machine only; stop it with Ctrl-C)")
    screen.result({"url": url})
    options = {
        "server.address": arguments.address,
        "server.port": str(arguments.port),
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "server.fileWatcherType": "none",
    }
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(app)]
    command += [part for name, value in options.items() for part in (f"--{name}", value)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(checkout), os.environ.get("PYTHONPATH")])),
        "TALLYSTICK_HOME": str(settings.home),
        "TALLYSTICK_STATE": str(settings.state_dir),
    }
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # In place of this process, so that whatever stops it stops the dashboard.
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell is wanted


def _check_port(port: int) -> None:
    """Raises `InvalidInput` for a port that cannot be taken, naming the next one that can."""
    if _is_free(port):
        return
    free = next((each for each in range(port + 1, min(port + 100, _PORTS)) if _is_free(each)), None)
    raise InvalidInput(
        f"port {port} is taken by another program, or not yours to take",
        hint=f"Take another: tally dashboard --port {free or 'N'}",
    )


def _is_free(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself will
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def verification_line(verified: dict[str, Any] | None) -> str:
    """What is noted of the last verification, in a line."""
    if verified is None:
        return "nothing noted of this ledger as it stands"
    outcome = "all as recorded" if verified["verified"] else "NOT all as recorded"
    since = f"; {not_verified(verified['behind'])}" if verified["behind"] else ""
    return f"{outcome} up to block {verified['block']:,}{since}   ({verified['time']}; a note, not proof)"


def _seen(size: int | None, contradiction: str | None, state_dir: Path) -> str:
    if contradiction:
        return f"NOT this ledger as it stands: {contradiction}"
    if size is None:
        return "none kept outside the home yet"
    return f"{size:,} leaves, kept outside the home in {state_dir}"


def _lines(path: Path) -> int:
    try:
        with open_regular(path) as file:
            return sum(1 for _ in file)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise CouldNotCheck(f"{path} cannot be read: {error.strerror}") from None
