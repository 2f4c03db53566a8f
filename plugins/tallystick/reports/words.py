"""Words that the terminal and the dashboard share: commands as typed from here, times, and others' text."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COMMAND: Final = re.compile(r"(?<![\w./-])(?:tally|mlflow)(?= [a-z])")


def typed(text: str) -> str:
    """``text`` of ours with every command in it as it works here: "tally log" is ".venv/bin/tally log"
    where the environment's programs are not on PATH. Not for text out of a record, which stays as it is."""
    return _COMMAND.sub(lambda match: _program(match.group()), text)


def _program(name: str) -> str:
    # Commands of one environment lie beside its interpreter.
    path = Path(sys.executable or name).with_name(name)
    found = shutil.which(name)
    if not path.is_file() or (found is not None and os.path.samefile(found, path)):
        return name
    try:
        shown = path.relative_to(Path.cwd())
    except (OSError, ValueError):  # the working directory is gone, or elsewhere
        shown = path
    return shlex.quote(str(shown) if len(shown.parts) > 1 else f"./{shown}")


def safe(text: str) -> str:
    """``text`` with everything but printable characters spelled out, so that it steers no terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def utc(time_ms: int) -> str:
    """Milliseconds since the epoch as "2026-11-23 01:10:05 UTC"; as a number where no calendar has them."""
    try:
        moment = _EPOCH + timedelta(milliseconds=time_ms)
    except OverflowError:  # whoever signs may claim any time
        return f"{time_ms:,} ms after 1970-01-01 UTC"
    return f"{moment.replace(tzinfo=None).isoformat(' ', 'seconds')} UTC"


def not_verified(behind: int) -> str:
    """Of so many blocks since: that they are not verified."""
    return f"{behind:,} {'block since is' if behind == 1 else 'blocks since are'} NOT verified"
