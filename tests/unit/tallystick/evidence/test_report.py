"""The report's JSON and exit codes are what docs/formats/verify-report.md says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallystick.evidence.report import EXIT_CODES, Report, Subject

PAGE = Path(__file__).parents[4] / "docs" / "formats" / "verify-report.md"


def report(*statuses: str) -> Report:
    return Report.of((Subject("run", str(at), status) for at, status in enumerate(statuses)), witnessed=False)


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        (("verified", "ERASED"), 0),
        (("verified", "ABANDONED"), 3),
        (("cannot check",), 3),
        (("cannot check", "CHANGED"), 1),
        (("MISSING", "verified"), 1),
        (("UNRECORDED",), 1),
        ((), 3),
    ],
)
def test_what_is_wrong_outweighs_what_is_unknown(statuses, code):
    assert report(*statuses).exit_code == code
    assert report(*statuses).verified == (code == 0)


def test_the_json_has_these_fields_and_no_others():
    assert Report((Subject("run", "run/1", "CHANGED", "metric mae: …"),), True, None, 2, 3).value() == {
        "verified": False,
        "witnessed": True,
        "witnessed_blocks": 2,
        "blocks": 3,
        "subjects": [{"kind": "run", "id": "run/1", "status": "CHANGED", "detail": "metric mae: …"}],
    }


@pytest.mark.parametrize(("status", "code"), EXIT_CODES.items())
def test_the_page_lists_every_status_with_its_code(status, code):
    assert f"| `{status}` | {code} |" in PAGE.read_text()
