"""A time as a reader sees it, whatever was claimed."""

from __future__ import annotations

import pytest

from tallystick.reports.words import utc


@pytest.mark.parametrize(
    ("time_ms", "shown"),
    [
        (0, "1970-01-01 00:00:00 UTC"),
        (1_795_398_605_999, "2026-11-23 01:50:05 UTC"),
        (-62_135_596_800_000, "0001-01-01 00:00:00 UTC"),
        (253_402_300_799_999, "9999-12-31 23:59:59 UTC"),
        (253_402_300_800_000, "253,402,300,800,000 ms after 1970-01-01 UTC"),
        (-(2**63) * 1000, "-9,223,372,036,854,775,808,000 ms after 1970-01-01 UTC"),
    ],
)
def test_every_time_is_shown(time_ms: int, shown: str) -> None:
    assert utc(time_ms) == shown
