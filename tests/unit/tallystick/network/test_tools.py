"""What Fabric's programs say becomes an error that names what was being done, within a deadline."""

from __future__ import annotations

import time

import pytest

from tallystick.errors import CouldNotCheck
from tallystick.network.tools import attempt, reason, run, until


def sh(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def test_what_a_program_says_is_returned_with_its_code() -> None:
    assert attempt(sh("echo out; echo err >&2; exit 3"), {}, doing="it", deadline=5) == (3, "out\nerr\n")


def test_a_failure_names_what_was_done_and_why() -> None:
    with pytest.raises(CouldNotCheck) as error:
        run(sh("echo usage; echo 'Error: no such channel' >&2; exit 1"), {}, doing="joining", deadline=5)
    assert error.value.message == "joining failed: no such channel"


def test_a_program_that_hangs_is_ended() -> None:
    began = time.monotonic()
    with pytest.raises(CouldNotCheck, match="waiting did not end within 0 s"):
        attempt(["/bin/sleep", "60"], {}, doing="waiting", deadline=0.2)
    assert time.monotonic() - began < 5


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(CouldNotCheck, match="/absent cannot be run"):
        attempt(["/absent"], {}, doing="it", deadline=1)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("", "it said nothing"),
        ("one\ntwo\n", "two"),
        ("Error: first\nUsage: more\n", "first"),
        ("2026-11-23 ERRO [x] broken\nlast\n", "2026-11-23 ERRO [x] broken"),
    ],
)
def test_the_reason_is_the_line_that_says_why(told: str, why: str) -> None:
    assert reason(told) == why


def test_it_is_tried_again_until_it_works_or_the_time_is_over() -> None:
    results = iter([(False, "no Raft leader"), (False, "no Raft leader"), (True, "")])
    until(lambda: next(results), doing="approving", ends=time.monotonic() + 5, alive=lambda: None)
    with pytest.raises(CouldNotCheck, match="approving did not work in time: no Raft leader"):
        until(lambda: (False, "no Raft leader"), doing="approving", ends=time.monotonic(), alive=lambda: None)


def test_what_has_died_ends_the_waiting() -> None:
    def dead() -> None:
        raise CouldNotCheck("orderer1 ended")

    with pytest.raises(CouldNotCheck, match="orderer1 ended"):
        until(lambda: (False, ""), doing="joining", ends=time.monotonic() + 60, alive=dead)


def test_the_reason_that_osnadmin_gives_is_in_its_json() -> None:
    told = 'Status: 500\n{\n\t"error": "cannot join: open \\"x\\": no space left on device"\n}\n'
    assert reason(told) == 'cannot join: open "x": no space left on device'
    assert reason("Status: 405\n{}") == "{}"
