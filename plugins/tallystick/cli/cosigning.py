"""`cosign`: a member of a channel confirms the head that another one signed."""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path

from tallystick.cli.command import Adder, read_text
from tallystick.cli.screen import Screen
from tallystick.settings import Settings


def add(adder: Adder) -> None:
    """Add this file's command."""
    cosign = adder.command("cosign", _cosign, "on a channel: confirm the head that another member signed")
    cosign.add_argument("checkpoint", type=Path, metavar="FILE", help="what its `tally checkpoint` gave")
    cosign.add_argument(
        "--out", type=Path, metavar="FILE", help="write the head there instead of printing it"
    )


def _cosign(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.files import write_atomic
    from tallystick.home.cosigning import cosign

    note = read_text(arguments.checkpoint, "checkpoint")
    with screen.busy("judging the channel's blocks"):
        cosigned = cosign(settings, note, time_s=int(time.time()))
    head, verifier = cosigned.head, cosigned.verifier
    confirmed = f"The log derived here has that root at {head.size:,} leaves; cosigned as {verifier.name}."
    name = verifier.name.rpartition("/")[2]
    trusted = f"witness {name} {verifier.vkey}"
    if arguments.out is None:
        screen.text(cosigned.note)
        if not screen.as_json:
            screen.note(confirmed)
            screen.note(f"for a trust file: {trusted}")
    else:
        write_atomic(arguments.out, cosigned.note.encode(), 0o644)
        screen.line(confirmed)
        screen.line("For a trust file (docs/formats/trust-policy.md):")
        screen.line(f"  {trusted}")
        screen.next(
            (
                f"tally verify --since {shlex.quote(str(arguments.out))} --trust FILE",
                "later, with that line in FILE and a quorum",
            )
        )
    screen.result(
        {
            "checkpoint": cosigned.note,
            "origin": head.origin,
            "size": head.size,
            "cosigner": verifier.name,
            "vkey": verifier.vkey,
        }
    )
    return 0
