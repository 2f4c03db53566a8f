"""What a command is, how it is added to the parser, and how it opens the ledger."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tallystick.cli.screen import Screen
from tallystick.errors import InvalidInput
from tallystick.files import read_small
from tallystick.settings import Settings

if TYPE_CHECKING:
    from tallystick.ledger.port import Ledger
    from tallystick.reports.queries import Index

#: Prints on the screen and returns the exit code.
Command = Callable[[argparse.Namespace, Settings, Screen], int]


class Adder:
    """Adds commands to the parser, each with the options that all of them have."""

    def __init__(self, commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        self._commands = commands

    def command(self, name: str, command: Command, summary: str) -> argparse.ArgumentParser:
        """A command that runs ``command``; returns its parser for the options of its own."""
        parser = self._commands.add_parser(name, help=summary, description=summary[:1].upper() + summary[1:])
        parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
        parser.set_defaults(command=command)
        return parser

    def group(self, name: str, summary: str) -> Adder:
        """A command that has commands of its own."""
        parser = self._commands.add_parser(name, help=summary, description=summary[:1].upper() + summary[1:])
        return Adder(parser.add_subparsers(title="commands", metavar="COMMAND", required=True))


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger]:
    """The ledger that the settings name, for reading, closed again afterwards. Raises as
    `wiring.open_for_reading`."""
    from tallystick import wiring

    ledger = wiring.open_for_reading(settings)
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def open_records(settings: Settings, screen: Screen) -> Iterator[tuple[Ledger, Index]]:
    """The ledger and its read index, up to date."""
    from tallystick.reports.index import open_index

    with ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(settings))
        with screen.progress("reading blocks into the index") as advance:
            index = stack.enter_context(open_index(settings.index, ledger, advance))
        yield ledger, index


def read_text(path: Path, what: str) -> str:
    """A small text file that the user named. Raises `InvalidInput`."""
    try:
        return read_bytes(path, what).decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is no {what}: it is not text") from None


def read_bytes(path: Path, what: str, most: int = 1 << 20) -> bytes:
    """A file of at most ``most`` bytes that the user named. Raises `InvalidInput`."""
    try:
        return read_small(path, most)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror}", hint=f"Name the file of a {what}."
        ) from None
