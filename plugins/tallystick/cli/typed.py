"""Commands as they must be typed from where the user stands: `tally` alone where the shell would find it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

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
