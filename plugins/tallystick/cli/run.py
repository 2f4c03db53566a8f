"""Runs one command: parses, calls, and turns whatever happens into words and an exit code.

0 done or verified, 1 refused or not as recorded, 2 invalid input, 3 could not check, 4 internal error;
130 when interrupted, 141 when whoever read the output went away.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from tallystick.cli import (
    check_proof,
    cosigning,
    data,
    fabric,
    home,
    identities,
    members,
    pipelines,
    proofs,
    records,
    streams,
    verification,
)
from tallystick.cli.command import Adder, Command
from tallystick.cli.screen import Screen
from tallystick.cli.streams import OutputLost
from tallystick.errors import InvalidInput, TallystickError
from tallystick.reports.words import typed
from tallystick.settings import Settings

INTERNAL: Final = 4
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
_COULD_NOT: Final = 3
#: Commands as help lists them: by what a user does, from the first day on.
_ORDER: Final = (
    "init", "demo", "run", "policy", "status", "log", "show", "verify", "prove", "prove-row", "checkpoint",
    "check-proof", "cosign", "reproduce", "dashboard", "retire", "enrol", "renew", "revoke", "members",
    "activate", "rebuild", "fabric",
)  # fmt: skip
_GROUPS: Final = (
    home,
    identities,
    members,
    pipelines,
    data,
    records,
    proofs,
    check_proof,
    cosigning,
    verification,
    fabric,
)


def main(argv: Sequence[str] | None = None) -> int:
    """The entry of `tally`; returns the exit code and never raises."""
    streams.prepare()
    try:
        return _told_or_done(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except OutputLost as error:
        Screen.standard(as_json=False).error(error.message, error.hint)
        return error.exit_code
    finally:
        streams.settle()


def _told_or_done(given: Sequence[str]) -> int:
    as_json = "--json" in given
    try:
        arguments = _parser().parse_args(given)
        as_json = arguments.json
        _check_text(arguments)
        return _guarded(arguments, Settings.from_environment(), Screen.standard(as_json=as_json))
    except SystemExit:  # argparse, after --help
        return 0
    except OutputLost:
        raise
    except TallystickError as error:
        screen = Screen.standard(as_json=as_json)
        return _told(screen, error.message, error.hint, error.kind, error.exit_code)


def _check_text(arguments: argparse.Namespace) -> None:
    """What names a record, a kind or a reason is text; a path may hold any bytes. Raises `InvalidInput`."""
    for name, value in vars(arguments).items():
        try:
            if isinstance(value, str):
                value.encode()
        except UnicodeEncodeError:
            raise InvalidInput(f'the argument "{name}" is not UTF-8 text') from None


def _guarded(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Run the command; what nobody foresaw becomes one line and a file."""
    command: Command = arguments.command
    try:
        return command(arguments, settings, screen)
    except (TallystickError, KeyboardInterrupt, BrokenPipeError):
        raise
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        reason = error.strerror or type(error).__name__
        hint = "Check that it is there, who owns it, and that the disk has room."
        return _told(screen, f"{place}{reason}", hint, "CouldNotCheck", _COULD_NOT)
    except Exception as error:
        kept = _keep_traceback(settings, error)
        message = f"tally failed inside: {type(error).__name__}, which is a fault of the program"
        where = f"is written in {kept}" if kept else "could not be written anywhere"
        return _told(screen, message, f"Where it happened {where}", "Internal", INTERNAL)


def _told(screen: Screen, message: str, hint: str, kind: str, code: int) -> int:
    told = {"kind": kind, "message": message, "hint": typed(hint), "exit": code}
    screen.result({"error": told})
    screen.error(message, hint)
    return code


def _keep_traceback(settings: Settings, error: BaseException) -> Path | None:
    """Write where it happened, without any message: a message may hold what must not be kept. None where no
    file could be written."""
    parts = []
    current: BaseException | None = error
    while current is not None:
        parts.append(f"{type(current).__qualname__}\n{''.join(traceback.format_tb(current.__traceback__))}")
        current = current.__cause__ or current.__context__
    name = f"tally-error-{secrets.token_hex(4)}.txt"
    for directory in (settings.home, Path(tempfile.gettempdir())):
        if not directory.is_dir():
            continue
        try:
            descriptor = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write("\n".join(parts))
        except OSError:
            continue  # the next place
        return directory / name
    return None


class _Parser(argparse.ArgumentParser):
    """Raises what argparse would print, so that it is told as any other error is. Subcommands inherit it."""

    def print_help(self, file: Any = None) -> None:
        streams.write(file or sys.stdout, self.format_help())

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if not isinstance(action, argparse._SubParsersAction) or value in action.choices:
            super()._check_value(action, value)
            return
        from tallystick.nearest import nearest

        self.error(f'there is no command "{value}"{nearest(value, action.choices)}')

    def error(self, message: str) -> NoReturn:
        raise InvalidInput(f"{self.prog}: {message}", hint=self.format_usage().strip())


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="tally",
        description="Audited pipelines on a ledger that anyone can verify.",
        epilog=typed("Start with: tally demo.")
        + " Exit codes: 0 done or verified, 1 refused or not as recorded,"
        " 2 invalid input, 3 could not check, 4 internal error.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in _GROUPS:
        group.add(Adder(commands))
    commands._choices_actions.sort(key=lambda command: _ORDER.index(command.dest))
    return parser
