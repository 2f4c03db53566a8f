"""Two members' homes on one channel: each judges the blocks and derives the log by itself."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support import ledgers
from support.channels import begin_channel
from support.fabric_forger import Forger
from support.fabric_network import Live
from support.fabric_vectors import sets

from tallystick import wiring
from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded, Refused
from tallystick.home.cosigning import cosign
from tallystick.home.create import create_home, has_charter
from tallystick.home.verification import verify_home
from tallystick.ledger.port import Call, Receipt
from tallystick.network.layout import CHAINCODE
from tallystick.proof.checkpoint import head_of
from tallystick.proof.errors import NotTrusted
from tallystick.proof.trust import parse_trust
from tallystick.settings import Settings

NAME = "hospital.example/shared"


def member(live: Live, place: Path, organisation: str, user: str) -> Settings:
    return Settings.from_environment(
        {
            "HOME": str(place),
            "TALLYSTICK_HOME": str(place / organisation),
            "TALLYSTICK_STATE": str(place / f"{organisation}-state"),
            "TALLYSTICK_LEDGER": f"fabric://{live.layout.profiles}/{organisation}.yaml",
            "TALLYSTICK_USER": user,
        }
    )


@pytest.fixture(scope="module")
def channel(live: Live) -> Live:
    return begin_channel(live, "members")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("members")


@pytest.fixture(scope="module")
def operator(channel: Live, place: Path) -> Settings:
    settings = member(channel, place, "operator", "pipeline")
    assert not has_charter(settings)
    create_home(settings, name=NAME).close()
    return settings


@pytest.fixture(scope="module")
def regulator(channel: Live, place: Path, operator: Settings) -> Settings:
    settings = member(channel, place, "regulator", "reader")
    create_home(settings, name="another.example/name").close()
    return settings


def register(settings: Settings, name: str) -> Receipt:
    with closing(wiring.open_ledger(settings)) as ledger:
        call = Call("provenance", "register_dataset", ledgers.dataset(name))
        return ledger.submit(wiring.signer(settings), call)


def register_together(settings: Settings, *requests: dict[str, Any]) -> Receipt:
    items = [{"transaction": "register_dataset", "request": request} for request in requests]
    with closing(wiring.open_ledger(settings)) as ledger:
        return ledger.submit(wiring.signer(settings), Call("provenance", "batch", {"items": items}))


def head(settings: Settings) -> tuple[str, str]:
    """The signed head, and whose signature counts."""
    with closing(wiring.open_for_reading(settings)) as ledger:
        return ledger.checkpoint(), ledger.trust()


def test_two_members_sign_one_head_with_keys_of_their_own(operator: Settings, regulator: Settings) -> None:
    register(operator, "shared")
    (one, trusts_one), (two, trusts_two) = head(operator), head(regulator)
    assert head_of(one) == head_of(two)
    assert head_of(one).origin.startswith(f"{NAME}/")
    assert parse_trust(trusts_one).require_quorum(one).checkpoint == head_of(two)
    assert parse_trust(trusts_two).require_quorum(two).checkpoint == head_of(one)
    assert trusts_one != trusts_two


def test_a_head_that_one_signed_the_other_cosigns_and_a_quorum_is_met(
    operator: Settings, regulator: Settings
) -> None:
    register(operator, "cosigned")
    note, trusts = head(operator)
    cosigned = cosign(regulator, note, time_s=1_800_000_000)
    policy = trusts.replace("quorum none", f"witness regulator {cosigned.verifier.vkey}\nquorum regulator")
    assert parse_trust(policy).require_quorum(cosigned.note).witnessed
    with pytest.raises(NotTrusted, match="too few"):
        parse_trust(policy).require_quorum(note)
    assert cosigned.verifier.name == f"{NAME}/RegulatorMSP"
    assert regulator.cosigner_key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InvalidInput, match="has cosigned that head already"):
        cosign(regulator, cosigned.note, time_s=1_800_000_001)
    root = note.splitlines()[2]
    with pytest.raises(NotAsRecorded, match="another root"):
        cosign(regulator, note.replace(root, "A" * 43 + "="), time_s=1_800_000_000)


def test_what_one_wrote_the_other_runs_again(operator: Settings, regulator: Settings) -> None:
    made = register(operator, "judged").response
    # Keys that are read at once, requests that are there already, and one that follows another of its batch.
    first = ledgers.dataset("batched", parents=[ledgers.reference(made)])
    second = ledgers.dataset("batched", version=2)
    together = register_together(operator, first, ledgers.dataset("judged"), second, first)
    assert [each["repeated"] for each in together.response] == [False, True, False, True]
    since, trusts = head(operator)
    report = verify_home(regulator, since=since, trust=trusts)
    found = {subject.kind: subject for subject in report.subjects}
    assert (found["ledger"].status, found["checkpoint"].status) == ("verified", "verified")
    assert (found["records"].status, report.exit_code) == ("cannot check", 3)
    assert "signed by the orderers and its endorsers" in found["ledger"].detail
    assert "trust" not in found, "another member's key does not sign this member's head"
    (unpinned,) = [each for each in verify_home(regulator, trust=trusts).subjects if each.kind == "trust"]
    assert (unpinned.status, "this member's own" in unpinned.detail) == ("cannot check", True)
    _, own = head(regulator)
    report = verify_home(regulator, since=since, trust=own)
    (foreign,) = [each for each in report.subjects if each.kind == "checkpoint"]
    assert (foreign.status, "not signed by any" in foreign.detail) == ("cannot check", True)


def test_a_home_is_made_once_and_the_charter_by_one_member(operator: Settings, regulator: Settings) -> None:
    for settings in (operator, regulator):
        assert has_charter(settings)
        with pytest.raises(InvalidInput, match="there is a home with a ledger already"):
            create_home(settings, name=NAME)


def test_a_reader_writes_nothing(regulator: Settings) -> None:
    with pytest.raises(Refused) as refused:
        register(regulator, "foreign")
    assert (refused.value.code, refused.value.facts) == ("FORBIDDEN", {"needs": "pipeline"})


@pytest.fixture
def without_own_peer(channel: Live, operator: Settings) -> Iterator[Live]:
    channel.kill("peer-operator", signal.SIGKILL)
    yield channel
    channel.again()


def test_without_the_own_peer_others_are_asked(without_own_peer: Live, operator: Settings) -> None:
    receipt = register(operator, "orphan")
    with closing(wiring.open_for_reading(operator)) as ledger:
        logged = [call.id for block in ledger.log(receipt.block) for call in block.transactions]
    assert receipt.transaction_id in logged


def test_where_nobody_answers_that_is_said(channel: Live, place: Path) -> None:
    text = (channel.layout.profiles / "operator.yaml").read_text()
    profile = channel.layout.profiles / "nobody.yaml"
    for peer in channel.layout.peers:
        text = text.replace(f":{peer.port}", ":1")
    profile.write_text(text)
    settings = member(channel, place, "nobody", "pipeline")
    with pytest.raises(CouldNotCheck, match="none of the peers could do it"):
        wiring.open_for_reading(settings)


def test_what_two_forged_counts_and_the_third_names_it(live: Live, tmp_path: Path) -> None:
    spoilt = begin_channel(live, "colluders")
    create_home(member(spoilt, tmp_path, "operator", "pipeline"), name=NAME).close()
    auditor = member(spoilt, tmp_path, "auditor", "reader")
    with closing(create_home(auditor, name=NAME)) as ledger:
        before = ledger.height
        # Both keep to every rule of Fabric's, and say that the contracts gave what they do not give.
        liar = Forger(spoilt)
        written = {"provenance/stream/dataset:forged": b'{"number":9,"time":1}'}
        liar.send(
            liar.forged({CHAINCODE: sets(written)}, version=spoilt.network.package, name="provenance:use")
        )
        ledger.blocks.promise(before)
        (block,) = ledger.log(before)
        assert len(block.transactions) == 1
    report = verify_home(auditor)
    assert report.exit_code == 1
    found = report.subjects[0]
    assert (found.kind, found.status) == ("block", "CHANGED")
    assert f"{before}" in str(found)
    assert "the contract refuses it" in found.detail
