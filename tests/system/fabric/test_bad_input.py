"""Nodes that crash or hang under our port: the error says who, at which stage, of which transaction."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from support import ledgers
from support.channels import begin_channel
from support.deadline import within
from support.fabric_network import Live
from support.fabric_writers import adopt, opened

from tallystick.errors import CouldNotCheck, OutcomeUnknown
from tallystick.ledger.channel.ledger import ChannelLedger
from tallystick.ledger.fabric import Deadlines
from tallystick.ledger.port import Call


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    with within(120):
        yield


@pytest.fixture(scope="module")
def channel(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Live:
    own = begin_channel(live, "faulty")
    adopt(own, tmp_path_factory.mktemp("charter"))
    return own


def register(ledger: ChannelLedger, name: str) -> str:
    call = Call("provenance", "register_dataset", ledgers.dataset(name=name))
    return ledger.submit(ledger.reader, call).transaction_id


def recorded(ledger: ChannelLedger, name: str) -> int:
    text = f'"id":"dataset/{name}/1"'.encode()
    transactions = [call for block in ledger.log() for call in block.transactions]
    return sum(text in record.content for call in transactions for record in call.records)


def fault(live: Live, what: str) -> AbstractContextManager[None]:
    kind, _, name = what.partition(" ")
    return live.frozen(name) if kind == "frozen" else live.served_badly(kind, name)


@pytest.mark.parametrize("what", ["dies regulator", "hangs regulator", "frozen peer-regulator"])
def test_an_endorser_that_fails_is_named_and_nothing_is_sent(
    channel: Live, tmp_path: Path, what: str
) -> None:
    name = what.replace(" ", "-")
    # Without a second attempt where the endorsers differ, so that the first one's error is seen.
    with opened(channel, tmp_path, Deadlines(conflicts=0)) as ledger:
        with fault(channel, what):
            began = time.monotonic()
            with pytest.raises(CouldNotCheck) as caught:
                register(ledger, name)
            assert time.monotonic() - began < 20
        told = f"{caught.value}"
        assert not isinstance(caught.value, OutcomeUnknown)
        assert re.search(r"provenance\.register_dataset: endorsing transaction [0-9a-f]{64} ", told)
        assert "RegulatorMSP" in told
        assert caught.value.hint, told
        assert recorded(ledger, name) == 0
        register(ledger, name)
        assert recorded(ledger, name) == 1


def test_an_orderer_that_hangs_leaves_the_outcome_unknown_until_it_is_asked_again(
    channel: Live, tmp_path: Path
) -> None:
    with opened(channel, tmp_path, Deadlines(commit=12.0)) as ledger:
        with channel.frozen("orderer1"):
            began = time.monotonic()
            with pytest.raises(OutcomeUnknown) as caught:
                register(ledger, "unknown")
            assert time.monotonic() - began < 20
        assert "OrdererMSP" in f"{caught.value}"
        assert re.search(r"whether transaction [0-9a-f]{64} is recorded", f"{caught.value}")
        assert "Submit the same request again" in caught.value.hint
        register(ledger, "unknown")
        assert recorded(ledger, "unknown") == 1
