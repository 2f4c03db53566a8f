"""What commands print on: plain text for people, or one JSON document for programs.

Answers go to standard output, progress and errors to standard error. Text that comes from a record
is shown with its control characters spelled out, so that it cannot steer a terminal.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TextIO

from tallystick.cli import streams
from tallystick.reports.words import safe, typed

if TYPE_CHECKING:
    from rich.status import Status

Advance = Callable[[int], None]

_RED: Final = "31"
_GREEN: Final = "32"
_YELLOW: Final = "33"
#: Colour repeats what the word says; it never says it alone.
_COLOURS: Final = {
    "verified": _GREEN,
    "CHANGED": _RED,
    "MISSING": _RED,
    "UNRECORDED": _RED,
    "ERASED": _YELLOW,
    "ABANDONED": _YELLOW,
    "cannot check": _YELLOW,
}
_QUIET_SECONDS: Final = 2.0


class Screen:
    """One command's output. With ``as_json`` only `result` prints, once, on standard output."""

    def __init__(self, *, as_json: bool, out: TextIO, err: TextIO) -> None:
        self.as_json = as_json
        self._out = out
        self._err = err
        self._live: Status | None = None
        self._colour = out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    @classmethod
    def standard(cls, *, as_json: bool) -> Screen:
        """On the process's own streams."""
        return cls(as_json=as_json, out=sys.stdout, err=sys.stderr)

    def line(self, text: str = "") -> None:
        """One line for people."""
        if not self.as_json:
            self._print(safe(text))

    def table(self, rows: Sequence[Sequence[str]], *, indent: str = "", status: int | None = None) -> None:
        """Rows in aligned columns; the column ``status`` is coloured by its word."""
        if not rows or self.as_json:
            return
        cells = [[safe(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for row in cells:
            padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            if status is not None:
                padded[status] = self._coloured(row[status], padded[status])
            self._print((indent + "  ".join(padded)).rstrip())

    def next(self, *commands: tuple[str, str]) -> None:
        """The last lines: what to type next, and what it does."""
        self.table(
            [
                ("next:" if index == 0 else "", typed(command), what)
                for index, (command, what) in enumerate(commands)
            ]
        )

    def result(self, value: Any) -> None:
        """The one JSON document, where that was asked for."""
        if self.as_json:
            # In ASCII: it is the same document then whatever the stream can write.
            streams.write(self._out, json.dumps(value, indent=2, sort_keys=True) + "\n")

    def text(self, text: str) -> None:
        """Text as it is, for files and notes; with ``as_json`` nothing."""
        if not self.as_json:
            streams.write(self._out, text)

    def error(self, message: str, hint: str = "") -> None:
        """What happened and what to do, on standard error."""
        self.note(message)
        for line in hint.splitlines():
            self.note(f"  {typed(line)}")

    def note(self, text: str) -> None:
        """A line about progress, on standard error."""
        with suppress(OSError):  # nobody is left to be told that it cannot be told
            print(safe(text), file=self._err, flush=True)

    @contextmanager
    def busy(self, doing: str) -> Iterator[Callable[[str], None]]:
        """For work of unknown length: a moving line on a terminal that says what is being done; elsewhere
        a line when that has changed, at most one in two seconds."""
        if self._err.isatty():
            from rich.console import Console

            with Console(file=self._err).status(safe(doing)) as live:
                self._live = live
                try:
                    yield lambda text: live.update(safe(text))
                finally:
                    self._live = None
            return
        self.note(f"{doing} …")
        told, last = time.monotonic(), doing

        def tell(text: str) -> None:
            nonlocal told, last
            if text != last and time.monotonic() - told > _QUIET_SECONDS:
                told, last = time.monotonic(), text
                self.note(f"{text} …")

        yield tell

    @contextmanager
    def progress(self, doing: str, total: int | None = None) -> Iterator[Advance]:
        """A bar on a terminal; elsewhere a line, once the work has lasted two seconds."""
        if self._err.isatty():
            with _bar(self._err, doing, total) as advance:
                yield advance
            return
        yield self._plain_progress(doing, total)

    def _plain_progress(self, doing: str, total: int | None) -> Advance:
        done, told = 0, time.monotonic()

        def advance(count: int) -> None:
            nonlocal done, told
            done += count
            if time.monotonic() - told > _QUIET_SECONDS:
                told = time.monotonic()
                self.note(f"{doing}: {done:,}" + (f" of {total:,}" if total else ""))

        return advance

    def _print(self, line: str) -> None:
        if self._live is not None:
            self._live.stop()
        streams.write(self._out, line + "\n")
        if self._live is not None:
            self._live.start()

    def _coloured(self, word: str, text: str) -> str:
        colour = _COLOURS.get(word)
        return f"\x1b[{colour}m{text}\x1b[0m" if colour and self._colour else text


@contextmanager
def _bar(stream: TextIO, doing: str, total: int | None) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda count: bar.advance(task, count)
