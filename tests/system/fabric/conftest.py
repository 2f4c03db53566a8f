"""One live network for the tests that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fabric_network import CHARTER, Live

from tallystick.errors import CouldNotCheck
from tallystick.network import binaries, operate
from tallystick.network.binaries import Binaries
from tallystick.settings import Settings


@pytest.fixture(scope="session")
def programs() -> Binaries:
    try:
        return binaries.find(Settings.from_environment().cache_dir)
    except CouldNotCheck as error:
        pytest.skip(str(error))  # under CI=true the shared conftest makes this a failure


@pytest.fixture(scope="session")
def live(programs: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Three organisations, one Raft orderer, the charter adopted."""
    root: Path = tmp_path_factory.mktemp("network") / "fabric"
    network = Live.up(root, programs)
    try:
        code, told = network.invoke("charter:adopt", CHARTER, user="admin")
        assert code == 0, told
        yield network
    finally:
        operate.down(root, erase=True)
