"""Reads commands from standard input and prints why no program of ours would take them: nothing is run.

A JSON array of argument lists in, one of reasons out, null for a command that is known. A program of its own,
since asking Airflow for its commands imports all of it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import sys
from collections.abc import Callable
from typing import Any


def known(command: list[str]) -> str | None:
    """None where the program would take the command, else why it would not."""
    program, arguments = command[0], command[1:]
    asks: dict[str, Callable[[list[str]], Any]] = {
        "airflow": _airflow,
        "mlflow": _mlflow,
        "python": _python,
        "tally": _tally,
    }
    if program not in asks:
        return f"{program} is no program in our image"
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            asks[program](arguments)
    except (Exception, SystemExit) as error:
        return f"{' '.join(command)}: {said.getvalue().strip().splitlines()[-1:] or error}"
    return None


def _airflow(arguments: list[str]) -> None:
    from airflow.cli.cli_parser import get_parser

    get_parser().parse_args(arguments)


def _mlflow(arguments: list[str]) -> None:
    from mlflow.cli import cli

    name, command, rest = cli.resolve_command(cli.make_context("mlflow", [*arguments]), [*arguments])
    if command is None:
        raise LookupError(name)
    command.make_context(name, rest)


def _python(arguments: list[str]) -> None:
    if arguments[:1] == ["-c"]:
        compile(arguments[1], "command", "exec")
    elif arguments[:1] != ["-m"] or importlib.util.find_spec(f"{arguments[1]}.__main__") is None:
        raise LookupError(arguments)


def _tally(arguments: list[str]) -> None:
    from tallystick.cli import run

    run._parser().parse_args(arguments)


if __name__ == "__main__":
    print(json.dumps([known(command) for command in json.load(sys.stdin)]))
