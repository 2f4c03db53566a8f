"""`tally`: the command line. One file a group of commands; docs/cli.md says what each does."""

from tallystick.cli.run import main

__all__ = ["main"]
