"""The hosts that every scenario runs on."""

from __future__ import annotations

import pytest
from conformance.probe import invoke
from support.ledgers import Host, make_host

#: How each host is made: (directory, invoke=…, adopt=…) -> Host. A new host is one line here.
HOSTS = {"embedded": make_host}


@pytest.fixture(params=HOSTS)
def host(request, tmp_path) -> Host:
    """A host with the charter adopted, running the real contracts."""
    return HOSTS[request.param](tmp_path)


@pytest.fixture(params=HOSTS)
def bare(request, tmp_path) -> Host:
    """A host before its charter."""
    return HOSTS[request.param](tmp_path, adopt=False)


@pytest.fixture(params=HOSTS)
def probing(request, tmp_path) -> Host:
    """A host that runs the probe instead of the contracts."""
    return HOSTS[request.param](tmp_path, invoke=invoke, adopt=False)
