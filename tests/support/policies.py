"""What a policy must say that no step works by, for tests of those that do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

STATED: Final[Mapping[str, Any]] = {
    "name": "claims",
    "title": "t",
    "source": "s",
    "licence": "l",
    "purpose": "p",
    "retention": {"days": 1, "reason": "r"},
    "privacy": {"regime": "none", "reason": "a test"},
}
