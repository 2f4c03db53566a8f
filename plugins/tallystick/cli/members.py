"""Who may write, and how that came to be: `members`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tallystick.cli.command import Adder, open_ledger
from tallystick.cli.screen import Screen
from tallystick.reports.words import utc
from tallystick.settings import Settings

if TYPE_CHECKING:
    from tallystick.ledger.port import Configuration, Organisation
    from tallystick.reports.members import Certificates, Changes


def add(adder: Adder) -> None:
    """Add this file's command."""
    adder.command("members", _members, "the organisations in force, and each change of them or the contracts")


def _members(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.reports.members import with_changes

    with open_ledger(settings) as ledger:
        history = list(with_changes(ledger.configurations()))[::-1]
    present = history[0][0]
    screen.line("changes, newest first")
    screen.table([row for entry in history for row in _rows(*entry)], indent="  ")
    screen.line("in force")
    screen.table([_organisation(each) for each in present.organisations], indent="  ")
    screen.next(
        *_revoking(settings), ("tally verify", "checks who signed each of these changes, and all else")
    )
    screen.result(
        {
            "configurations": [_configuration_value(*entry) for entry in history],
            "members": [_organisation_value(each) for each in present.organisations],
            "package": present.package,
        }
    )
    return 0


def _revoking(settings: Settings) -> list[tuple[str, str]]:
    """How a certificate is taken out of force from here; nothing where this home cannot."""
    from tallystick import wiring

    if wiring.on_channel(settings) and not settings.fabric.exists():
        return []
    command = "tally fabric revoke USER" if wiring.on_channel(settings) else "tally revoke USER"
    return [(command, "takes a certificate out of force")]


def _rows(configuration: Configuration, changes: Changes) -> list[tuple[str, ...]]:
    """A line for each thing that changed; who and when on the first."""
    who = (
        utc(configuration.time_ms),
        f"block {configuration.block:,}",
        f"{configuration.enrolment_id} of {configuration.msp_id}" if configuration.msp_id else "the founders",
    )
    said = [*_said(changes), *configuration.changed] or ["nothing changed"]
    return [(*(who if number == 0 else ("", "", "")), line) for number, line in enumerate(said)]


def _said(changes: Changes) -> list[str]:
    lines = [f"{each} is a member" for each in changes.added]
    lines += [f"{each} is a member no more" for each in changes.removed]
    lines += [f"{each} has other root certificates" for each in changes.other_roots]
    lines += [f"{msp} revoked certificate {serial[:12]}" for msp, serial in changes.revoked]
    lines += [f"{msp} put certificate {serial[:12]} back in force" for msp, serial in changes.restored]
    lines += [f"contracts {changes.package[:12]}"] if changes.package else []
    return lines + ([f"contracts' policy {changes.policy[:12]}"] if changes.policy else [])


def _organisation(organisation: Organisation) -> tuple[str, ...]:
    from tallystick.reports.summary import count

    roots = ", ".join(root[:12] for root in organisation.roots)
    certificates = f"{count(len(organisation.roots), 'root certificate')} {roots}"
    not_followed = f"nobody of it counts here: {organisation.unfollowed}" if organisation.unfollowed else ""
    return organisation.msp_id, certificates, f"{len(organisation.revoked):,} revoked", not_followed


def _configuration_value(configuration: Configuration, changes: Changes) -> dict[str, Any]:
    return {
        "block": configuration.block,
        "time": configuration.time_ms,
        "msp": configuration.msp_id,
        "member": configuration.enrolment_id,
        "added": list(changes.added),
        "removed": list(changes.removed),
        "other_roots": list(changes.other_roots),
        "revoked": _certificates(changes.revoked),
        "restored": _certificates(changes.restored),
        "package": changes.package,
        "policy": changes.policy,
        "changed": list(configuration.changed),
    }


def _certificates(certificates: Certificates) -> list[dict[str, str]]:
    return [{"msp": msp, "serial": serial} for msp, serial in certificates]


def _organisation_value(organisation: Organisation) -> dict[str, Any]:
    return {
        "msp": organisation.msp_id,
        "roots": list(organisation.roots),
        "revoked": list(organisation.revoked),
        "unfollowed": organisation.unfollowed,
    }
