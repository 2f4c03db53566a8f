"""Submitting and asking through a peer of our own: what comes back, and what is promised to the log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.fabric_gateway import CHAINCODE, CHANNEL, FakeChannel, FakePeer, Refusal, serving

from chaincode import canonical
from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded, Refused
from tallystick.identity import Authority, Identity, generate_log_key
from tallystick.ledger.channel import ledger as room
from tallystick.ledger.channel.ledger import ChannelLedger
from tallystick.ledger.fabric import ClientTls, PeerAddress, Profile
from tallystick.ledger.port import Call
from tallystick.network.certificates import issue_tls
from tallystick.proof.checkpoint import Checkpoint
from tallystick.proof.merkle import EMPTY_ROOT
from tallystick.proof.trust import parse_trust

HEAD = Checkpoint("hospital.example/0123456789abcdef", 0, EMPTY_ROOT)


class Log:
    """Stands in for the log, which has tests of its own."""

    origin = HEAD.origin

    def __init__(self, *_: Any, **__: Any) -> None:
        self.promised: list[int] = []

    def promise(self, block: int) -> None:
        self.promised.append(block)

    def head(self) -> Checkpoint:
        return HEAD


def law(arguments: list[bytes]) -> bytes:
    """A chaincode that answers with its arguments, refuses, or gives what is not canonical."""
    if arguments[0] == b"probe:refuse":
        raise Refusal('{"code":"NO","facts":{"field":"x"}}')
    if arguments[0] == b"probe:noise":
        return b"{ }"
    return canonical.encode([each.decode() for each in arguments])


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    authority = Authority.create("OperatorMSP", tmp_path_factory.mktemp("member"))
    return authority.issue("pipeline", ("pipeline",))


@pytest.fixture
def profile(tmp_path: Path) -> Iterator[Profile]:
    tls = Authority.create("OperatorTLS", tmp_path / "tls")
    root = (tls.directory / "cacerts" / "ca.pem").read_bytes()
    with serving(FakePeer(FakeChannel(law)), *issue_tls(tls, "peer"), root) as peer:
        address = PeerAddress(peer.address, root)
        client = ClientTls(*issue_tls(tls, "client"))
        yield Profile(tmp_path, CHANNEL, CHAINCODE, "OperatorMSP", None, (address,), client)


@pytest.fixture
def ledger(
    profile: Profile, member: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ChannelLedger]:
    monkeypatch.setattr(room, "ChannelLog", Log)
    key = generate_log_key(tmp_path / "log.pem")
    opened = ChannelLedger(profile, tmp_path, reader=member, log_key=key)
    yield opened
    opened.close()


def test_what_is_submitted_comes_back_and_is_promised_to_the_log(
    ledger: ChannelLedger, member: Identity
) -> None:
    receipt = ledger.submit(member, Call("probe", "put", {"b": 1, "a": "ü"}))
    assert receipt.response == ["probe:put", '{"a":"ü","b":1}']
    assert ledger.blocks.promised == [receipt.block]  # type: ignore[attr-defined]
    assert ledger.evaluate(member, Call("probe", "get", [])) == ["probe:get", "[]"]
    assert len(ledger.blocks.promised) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("way", ["submit", "evaluate"])
def test_a_refusal_keeps_its_code_and_facts(ledger: ChannelLedger, member: Identity, way: str) -> None:
    with pytest.raises(Refused) as refused:
        getattr(ledger, way)(member, Call("probe", "refuse", {}))
    assert (refused.value.code, refused.value.facts) == ("NO", {"field": "x"})
    assert ledger.blocks.promised == []  # type: ignore[attr-defined]


def test_what_is_no_request_is_not_sent_and_no_answer_not_taken(
    ledger: ChannelLedger, member: Identity
) -> None:
    with pytest.raises(InvalidInput, match="float"):
        ledger.submit(member, Call("probe", "put", 0.5))
    with pytest.raises(NotAsRecorded, match="not canonical"):
        ledger.evaluate(member, Call("probe", "noise", {}))


def test_its_head_is_signed_by_the_key_that_it_names(ledger: ChannelLedger) -> None:
    assert parse_trust(ledger.trust()).require_quorum(ledger.checkpoint()).checkpoint == HEAD


def test_without_a_key_nothing_is_signed(ledger: ChannelLedger) -> None:
    ledger._log_key = None
    for ask in (ledger.checkpoint, ledger.trust):
        with pytest.raises(CouldNotCheck, match="signs heads is not here"):
            ask()


def test_where_nobody_listens_nothing_is_opened(profile: Profile, member: Identity, tmp_path: Path) -> None:
    (peer,) = profile.peers
    away = replace(profile, peers=(replace(peer, address="127.0.0.1:1"),))
    with pytest.raises(CouldNotCheck, match="reading blocks"):
        ChannelLedger(away, tmp_path, reader=member)
