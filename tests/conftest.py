"""What every test shares: under CI=true a skipped test is a failure, so that nothing is left out silently.
Who is asked to end takes down first what the tests have started.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from typing import Any

import pytest

_OURS = os.getpid()


def _end(number: int, frame: object) -> None:
    if os.getpid() == _OURS:
        pytest.exit("asked to end (SIGTERM)", returncode=128 + number)
    # A fork of ours has nothing to take down.
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Have SIGTERM end the tests as an interrupt does: networks run in sessions of their own and would stay.

    Before each test, because what is tested may have set and taken away a handler of its own.
    """
    signal.signal(signal.SIGTERM, _end)


def _fail_instead_of_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("CI") != "true" or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid} was skipped, and under CI=true nothing may be: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, pytest.TestReport]:
    report: pytest.TestReport = yield
    _fail_instead_of_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, pytest.CollectReport]:
    report: pytest.CollectReport = yield
    _fail_instead_of_skip(report)
    return report
