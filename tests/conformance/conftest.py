"""The hosts that every scenario runs on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conformance.probe import invoke
from support.ledgers import Host, make_host, revoke_reader

#: How each host is made: (directory, invoke=…, adopt=…) -> Host. A new host is one line here.
HOSTS = {"embedded": make_host}
#: How a certificate of each host's operator is revoked: Host -> its serial number in hex.
REVOKE = {"embedded": revoke_reader}


@pytest.fixture(params=HOSTS)
def host(request, tmp_path) -> Host:
    """A host with the charter adopted, running the real contracts."""
    return HOSTS[request.param](tmp_path)


@pytest.fixture(params=HOSTS)
def bare(request, tmp_path) -> Host:
    """A host before its charter."""
    return HOSTS[request.param](tmp_path, adopt=False)


@pytest.fixture
def reconfigured(request) -> Callable[[Host], str]:
    """Revokes the reader of the host's operator by a change of its configuration; gives the serial number."""
    return REVOKE[request.node.callspec.params["host"]]


@pytest.fixture(params=HOSTS)
def probing(request, tmp_path) -> Host:
    """A host that runs the probe instead of the contracts."""
    return HOSTS[request.param](tmp_path, invoke=invoke, adopt=False)
