"""What the last `tally verify` found, kept for `tally status` and the dashboard.

A note about a check, not the check: whoever holds the home can edit it. docs/formats/cli-json.md.
"""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tallystick.errors import CouldNotCheck
from tallystick.files import write_atomic

_NAME: Final = "verification.json"


def keep_verification(home: Path, report: dict[str, Any], block: int) -> None:
    """Keep the report of a whole verification up to ``block``, with the time.

    Where the home cannot be written nothing is kept: the verdict does not depend on it.
    """
    value = {**report, "block": block, "time": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"}
    with contextlib.suppress(CouldNotCheck):
        write_atomic(home / _NAME, json.dumps(value, ensure_ascii=False, sort_keys=True).encode())


def last_verification(home: Path) -> dict[str, Any] | None:
    """The report that was kept last; None where there is none that can be read."""
    try:
        value = json.loads((home / _NAME).read_bytes())
        usable = {"verified", "witnessed", "subjects", "block", "time"} <= value.keys()
    except (OSError, ValueError, AttributeError):
        return None
    return value if usable else None
