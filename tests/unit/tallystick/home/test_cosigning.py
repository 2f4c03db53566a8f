"""A member confirms only a head that the log has which it derived itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from support import ledgers
from support.home import make_home

from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded
from tallystick.home.cosigning import check_head, cosign
from tallystick.proof.checkpoint import Checkpoint, head_of


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ledgers.EmbeddedHost]:
    host = ledgers.make_host(tmp_path_factory.mktemp("cosigning"))
    yield host
    host.ledger.close()


@pytest.fixture
def heads(host: ledgers.EmbeddedHost) -> tuple[Checkpoint, Checkpoint]:
    """A head, and a later one of the same log."""
    old = head_of(host.ledger.checkpoint())
    host.ledger.submit(host.pipeline, ledgers.Call("charter", "read", {}))
    return old, head_of(host.ledger.checkpoint())


def test_todays_head_and_an_older_one_are_those_of_the_log(host, heads):
    assert heads[0].size < heads[1].size
    for head in heads:
        check_head(host.ledger, head)


@pytest.mark.parametrize("which", [0, 1])
def test_another_root_of_that_size_is_named(host, heads, which):
    with pytest.raises(NotAsRecorded, match=f"another root at {heads[which].size}"):
        check_head(host.ledger, replace(heads[which], root=bytes(32)))


def test_a_size_that_is_not_there_yet_cannot_be_checked(host, heads):
    with pytest.raises(CouldNotCheck, match="what this member's peer has makes"):
        check_head(host.ledger, replace(heads[1], size=heads[1].size + 1))


def test_a_head_of_another_log_is_no_head_of_this(host, heads):
    with pytest.raises(InvalidInput, match="is a head of other"):
        check_head(host.ledger, replace(heads[1], origin="other.example/0123456789abcdef"))


def test_the_one_operator_of_an_embedded_ledger_cosigns_nothing(tmp_path):
    settings = make_home(tmp_path)
    with pytest.raises(InvalidInput, match="one operator"):
        cosign(settings, "x", time_s=0)
    assert not settings.cosigner_key.exists()
