"""Members of the organisations whose keys are here: `enrol`, `renew`, `revoke`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tallystick.cli.command import Adder, Command
from tallystick.cli.screen import Screen
from tallystick.settings import Settings

if TYPE_CHECKING:
    from tallystick.home.identities import Certified

_READER = "reader"


def add(adder: Adder) -> None:
    """Add this file's commands."""
    enrol = _command(adder, "enrol", _enrol, "make a user of an organisation whose authority's key is here")
    enrol.add_argument(
        "--role",
        action="append",
        default=[],
        metavar="ROLE",
        help=f"admin, pipeline or another role of the charter; may be repeated (default: {_READER})",
    )
    _command(adder, "renew", _renew, "give a user a new key and certificate, with the same name and roles")
    _command(adder, "revoke", _revoke, "take a user's certificates out of force")


def _command(adder: Adder, name: str, command: Command, summary: str) -> argparse.ArgumentParser:
    parser = adder.command(name, command, summary)
    parser.add_argument("user", metavar="USER", help="the user's name, as in msp/MSP/users/")
    parser.add_argument("--msp", default="", help="its organisation (default: yours)")
    return parser


def _enrol(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.home.identities import enrol

    roles = arguments.role or [_READER]
    certified = enrol(settings, arguments.msp or settings.msp_id, arguments.user, roles)
    return _told("Enrolled", certified, screen)


def _renew(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.home.identities import renew

    certified = renew(settings, arguments.msp or settings.msp_id, arguments.user)
    return _told(
        "Renewed",
        certified,
        screen,
        "The old key is deleted. What it signed stays valid; revoking reaches it.",
    )


def _told(done: str, certified: Certified, screen: Screen, more: str = "") -> int:
    roles = ", ".join(certified.roles) or "none"
    screen.line(f"{done}: {certified.user} of {certified.msp_id}, roles: {roles}.")
    screen.line(f"The certificate is valid until {certified.until:%Y-%m-%d %H:%M} UTC. {more}".rstrip())
    screen.next((f"export TALLYSTICK_USER={certified.user}", "lets commands sign as this user"))
    screen.result(
        {
            "msp": certified.msp_id,
            "user": certified.user,
            "roles": list(certified.roles),
            "until": int(certified.until.timestamp()) * 1000,
        }
    )
    return 0


def _revoke(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.home.identities import revoke

    msp, user = arguments.msp or settings.msp_id, arguments.user
    block = revoke(settings, msp, user)
    if block is None:
        screen.line(f"All certificates of {user} of {msp} are out of force already; nothing was recorded.")
    else:
        screen.line(f"Revoked: {user} of {msp}, by the configuration in block {block:,}.")
        screen.line("What it signed before stays valid; nothing that it signs from now on will be.")
    screen.next(("tally status", ""), (f"tally renew {user}", "lets it write again, with a new key"))
    screen.result({"msp": msp, "user": user, "block": block})
    return 0
