"""What the last `tally verify` found, kept for `tally status` and the dashboard.

A note about a check, not the check: whoever holds the home can edit it. docs/formats/cli-json.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tallystick.files import write_atomic

_NAME: Final = "verification.json"


def keep_verification(home: Path, value: dict[str, Any]) -> None:
    """Keep the report of a whole verification. Raises `CouldNotCheck` where it cannot be written."""
    write_atomic(home / _NAME, json.dumps(value, ensure_ascii=False, sort_keys=True).encode())


def last_verification(home: Path) -> dict[str, Any] | None:
    """The report that was kept last; None where there is none that can be read."""
    try:
        value = json.loads((home / _NAME).read_bytes())
        usable = {"verified", "witnessed", "subjects", "block", "time"} <= value.keys()
    except (OSError, ValueError, AttributeError):
        return None
    return value if usable else None
