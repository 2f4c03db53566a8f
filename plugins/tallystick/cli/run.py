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
from typing import Final, NoReturn

from tallystick.cli import data, fabric, home, pipelines, proofs, records, verification
from tallystick.cli.command import Adder, Command
from tallystick.cli.screen import Screen
from tallystick.errors import InvalidInput, TallystickError
from tallystick.settings import Settings

INTERNAL: Final = 4
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
_COULD_NOT: Final = 3
_GROUPS: Final = (home, pipelines, data, records, proofs, verification, fabric)


def main(argv: Sequence[str] | None = None) -> int:
    """The entry of `tally`; returns the exit code and never raises."""
    given = sys.argv[1:] if argv is None else argv
    try:
        arguments = _parser().parse_args(given)
    except SystemExit:  # argparse, after --help
        return 0
    except InvalidInput as error:
        screen = Screen.standard(as_json="--json" in given)
        return _told(screen, error.message, error.hint, "InvalidInput", error.exit_code)
    screen = Screen.standard(as_json=arguments.json)
    try:
        settings = Settings.from_environment()
        return _guarded(arguments, settings, screen)
    except TallystickError as error:
        return _told(screen, error.message, error.hint, type(error).__name__, error.exit_code)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # What is still buffered would raise again when Python closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


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
        return _told(screen, message, f"Where it happened is written in {kept}", "Internal", INTERNAL)


def _told(screen: Screen, message: str, hint: str, kind: str, code: int) -> int:
    screen.result({"error": {"kind": kind, "message": message, "hint": hint, "exit": code}})
    screen.error(message, hint)
    return code


def _keep_traceback(settings: Settings, error: BaseException) -> Path:
    """Write where it happened, without any message: a message may hold what must not be kept."""
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
        except OSError:
            continue  # the next place
        with os.fdopen(descriptor, "w") as file:
            file.write("\n".join(parts))
        return directory / name
    return Path(os.devnull)


class _Parser(argparse.ArgumentParser):
    """Raises what argparse would print, so that it is told as any other error is. Subcommands inherit it."""

    def error(self, message: str) -> NoReturn:
        raise InvalidInput(f"{self.prog}: {message}", hint=self.format_usage().strip())


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="tally",
        description="Audited pipelines on a ledger that anyone can verify.",
        epilog="Start with: tally demo. Exit codes: 0 done or verified, 1 refused or not as recorded,"
        " 2 invalid input, 3 could not check, 4 internal error.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in _GROUPS:
        group.add(Adder(commands))
    return parser
