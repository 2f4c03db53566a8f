"""The hosts that every scenario runs on, as fixtures (`hosts.HOSTS`)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conformance.hosts import HOSTS, Host
from conformance.probe import invoke
from support.channels import CHANNELS


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(what): only for hosts that have it (conformance.hosts)")
    config.addinivalue_line("markers", "fabric: runs on a live network")


def pytest_sessionfinish():
    CHANNELS.close()


def pytest_terminal_summary(terminalreporter):
    passed = [report.nodeid for report in terminalreporter.stats.get("passed", []) if report.when == "call"]
    counts = {name: sum(f"[{name}" in each for each in passed) for name in HOSTS}
    told = ", ".join(f"{count} on {name}" for name, count in counts.items())
    terminalreporter.write_line(f"conformance: scenarios passed: {told}")


def pytest_generate_tests(metafunc):
    """Each scenario on every host that has what it needs, so that none is skipped."""
    if "host_kind" not in metafunc.fixturenames:
        return
    needed = {what for mark in metafunc.definition.iter_markers("needs") for what in mark.args}
    able = [name for name, kind in HOSTS.items() if needed <= kind.has]
    assert able, f"no host has {', '.join(needed)}"
    marks = {"fabric": [pytest.mark.fabric]}
    hosts = [pytest.param(HOSTS[name], id=name, marks=marks.get(name, ())) for name in able]
    metafunc.parametrize("host_kind", hosts)


@pytest.fixture
def host(host_kind, tmp_path) -> Host:
    """A host with the charter adopted, running the real contracts."""
    return host_kind.make(tmp_path)


@pytest.fixture
def bare(host_kind, tmp_path) -> Host:
    """A host before its charter."""
    return host_kind.make(tmp_path, adopt=False)


@pytest.fixture
def reconfigured(host_kind) -> Callable[[Host], str]:
    """Revokes the reader of the host's operator by a change of its configuration; gives the serial number."""
    return host_kind.revoke


@pytest.fixture
def probing(host_kind, tmp_path) -> Host:
    """A host that runs the probe instead of the contracts."""
    return host_kind.make(tmp_path, invoke=invoke, adopt=False)
