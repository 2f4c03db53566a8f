"""The standard streams, whatever stands behind them: a full disk, a reader that left, plain ASCII."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from typing import Final, TextIO

from tallystick.errors import CouldNotCheck

_ERRORS: Final = "tally"
#: What drawings and sentences of ours become where a stream can write ASCII only.
_PLAIN: Final = {"└": "`", "├": "|", "│": "|", "─": "-", "…": "...", "—": "-"}


class OutputLost(CouldNotCheck):
    """Standard output takes nothing more: what was done is done, but the answer could not be written."""


class _Missing(io.TextIOWrapper):
    """Stands where a standard stream is closed: what libraries print is dropped, an answer is lost."""


def prepare() -> None:
    """Make the streams such that writing a character never fails, and that none of them is missing.

    What gRPC would write of its own to standard error our errors say too; whoever wants it sets its variable.
    """
    _open_missing()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC reads it once, when it is imported
    codecs.register_error(_ERRORS, _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def write(stream: TextIO, text: str) -> None:
    """Write ``text`` at once. Raises `OutputLost`, and BrokenPipeError where the reader went away."""
    if isinstance(stream, _Missing):
        raise OutputLost(
            "standard output is closed",
            hint="Only the answer was lost. Ask again with >/dev/null, or where it can be written.",
        )
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputLost(
            f"standard output could not be written: {error.strerror or type(error).__name__}",
            hint="Only the answer was lost. Ask again where there is room for it.",
        ) from error


def settle() -> None:
    """Let go of what a broken stream still holds: Python would fail on it once more when it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError):  # a stream without a descriptor has nothing to fail later
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_missing() -> None:
    """Put the null device where a standard stream is closed: else the next file that is opened, the
    ledger's perhaps, would get its number, and be written to by whoever writes to that number."""
    for number, (name, mode) in enumerate((("stdin", "rb"), ("stdout", "wb"), ("stderr", "wb"))):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, number)  # also where they are equal: children inherit it then
            if null != number:
                os.close(null)
            setattr(sys, name, _Missing(os.fdopen(number, mode, closefd=False)))


def _in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    told = error.object[error.start : error.end]
    shown = "".join(_PLAIN.get(each) or each.encode("ascii", "backslashreplace").decode() for each in told)
    return shown, error.end
