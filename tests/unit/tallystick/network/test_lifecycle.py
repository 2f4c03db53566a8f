"""The steps to contracts in force: each waits for what is not ready yet, and none for what cannot work."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.fabric_programs import write_programs

from tallystick.errors import CouldNotCheck
from tallystick.network.layout import Layout
from tallystick.network.lifecycle import Definition, Lifecycle

Make = Callable[..., Lifecycle]
MSPS = ("OperatorMSP", "RegulatorMSP", "AuditorMSP")


@pytest.fixture
def steps(tmp_path: Path) -> Make:
    """A lifecycle over programs that run the given scripts; ``$count`` counts an organisation's calls."""

    def make(seconds: float = 5, **scripts: str) -> Lifecycle:
        counted = (
            f'calls={tmp_path}/${{CORE_PEER_LOCALMSPID:-none}}; echo >> "$calls"; count=$(wc -l < "$calls")\n'
        )
        programs = write_programs(
            tmp_path / "programs", **{name: counted + script for name, script in scripts.items()}
        )
        layout = Layout(tmp_path / "network", "raft", 20_000)
        return Lifecycle(layout, programs, lambda: None, time.monotonic() + seconds)

    return make


@pytest.mark.parametrize(
    "said",
    [
        "Error: got unexpected status: SERVICE_UNAVAILABLE -- no Raft leader",
        "Error: failed to create deliver client for orderer",
        "Error: connection error: connection refused",
    ],
)
def test_an_approval_waits_until_the_orderers_have_a_leader(steps: Make, said: str) -> None:
    late = steps(peer=f'[ "$count" -gt 4 ] || {{ echo "label:id {said}"; exit 1; }}; echo label:id')
    assert late.agree("v", "label:id", 1) == {}


def test_a_leader_that_never_comes_is_an_error_that_says_whose_step_it_was(steps: Make) -> None:
    approving = 'case "$*" in *approveformyorg*) echo "Error: no Raft leader"; exit 1;; esac; echo label:id'
    failures = steps(seconds=0.5, peer=approving).agree("v", "label:id", 1)
    assert {msp: error.message for msp, error in failures.items()} == {
        msp: f"approving the contracts for {msp} did not work in time: no Raft leader" for msp in MSPS
    }


def test_what_cannot_work_is_not_tried_again(steps: Make, tmp_path: Path) -> None:
    refused = steps(peer='echo "Error: access denied"; exit 1')
    with pytest.raises(CouldNotCheck, match="committing the contracts' definition failed: access denied"):
        refused.commit("v", 1, MSPS)
    assert (tmp_path / "OperatorMSP").read_text().count("\n") == 1


@pytest.mark.parametrize("step", ["join", "approve"])
def test_what_was_done_before_an_interruption_is_left_as_it_is(steps: Make, step: str) -> None:
    said = {
        "join": "Error: ledger [audit] already exists with state [ACTIVE]",
        "approve": "Error: attempted to redefine uncommitted sequence (1) with unchanged content",
    }[step]
    told = f'echo "{said} label:id"; exit 1'
    again = steps(peer=told, osnadmin='echo "Status: 405 channel already exists"')
    if step == "join":
        again.join()
    else:
        assert again.agree("v", "label:id", 1) == {}


def test_a_package_that_a_peer_calls_otherwise_is_an_error(steps: Make) -> None:
    failures = steps(peer="echo '{}'").agree("v", "label:id", 1)
    assert set(failures) == set(MSPS)
    assert all("did not install the package under the id label:id" in str(e) for e in failures.values())
    assert steps(peer='echo \'{"package_id": "label:id"}\'').agree("v", "label:id", 1) == {}


def test_a_definition_that_is_not_there_is_none(steps: Make) -> None:
    first = steps(peer="echo 'Error: query failed: namespace tallystick is not defined'; exit 1")
    assert first.committed(first.layout.peers[0]) is None
    found = committed(steps)
    assert found == Definition("abc", 2, frozenset({"OperatorMSP"}), usual=True)
    assert (found.is_of("abc"), found.is_of("abd")) == (True, False)


def committed(steps: Make, **other: Any) -> Definition:
    """What is found where a peer (of Fabric 3.1.1) tells of a definition."""
    told = {
        "sequence": 2,
        "version": "abc",
        "endorsement_plugin": "escc",
        "validation_plugin": "vscc",
        "validation_parameter": "EiAvQ2hhbm5lbC9BcHBsaWNhdGlvbi9FbmRvcnNlbWVudA==",
        "collections": {},
        "approvals": {"OperatorMSP": True, "AuditorMSP": False},
    }
    there = steps(peer=f"echo '{json.dumps(told | other)}'")
    found = there.committed(there.layout.peers[0])
    assert found
    return found


@pytest.mark.parametrize(
    "other",
    [
        {"validation_parameter": "CksSEBIOCAESAggAEgIIARICCAIaEhIQCgxSZWd1bGF0b3JNU1AQAxoREg8K"},
        {"validation_plugin": "own"},
        {"endorsement_plugin": "own"},
        {"init_required": True},
        {"collections": {"config": [{}]}},
    ],
)
def test_a_definition_with_a_policy_of_its_own_is_seen(steps: Make, other: dict[str, Any]) -> None:
    found = committed(steps, **other)
    assert (found.version, found.usual, found.is_of("abc")) == ("abc", False, False)


def test_a_definition_that_cannot_be_asked_for_is_not_taken_for_none(steps: Make) -> None:
    silent = steps(seconds=0.2, peer="echo Error: connection reset; exit 1")
    with pytest.raises(CouldNotCheck, match="for the contracts' definition did not work in time: connection"):
        silent.committed(silent.layout.peers[0])


def approved(*msps: str) -> str:
    return "echo '" + json.dumps({"approvals": dict.fromkeys(msps, True) | {"OrdererMSP": False}}) + "'"


@pytest.mark.parametrize(
    ("msps", "missing"),
    [
        (("OperatorMSP",), "RegulatorMSP has"),
        (("OperatorMSP", "AuditorMSP"), "RegulatorMSP has"),
        (("RegulatorMSP",), "OperatorMSP or AuditorMSP has"),
        ((), "RegulatorMSP and OperatorMSP or AuditorMSP has"),
    ],
)
def test_too_few_approvals_name_whose_is_missing(steps: Make, msps: tuple[str, ...], missing: str) -> None:
    few = steps(peer=approved(*msps))
    with pytest.raises(CouldNotCheck) as error:
        few.require_agreed("v", 2, {"AuditorMSP": CouldNotCheck("its key is away")})
    assert error.value.message == f"the contracts v are not in force: {missing} not approved them"
    assert error.value.hint == "its key is away"


def test_the_regulator_and_one_other_are_enough(steps: Make) -> None:
    for other in ("OperatorMSP", "AuditorMSP"):
        found = steps(peer=approved("RegulatorMSP", other)).require_agreed("v", 2, {})
        assert found == {"RegulatorMSP", other}


def test_an_organisation_that_cannot_approve_does_not_keep_the_others_from_it(steps: Make) -> None:
    script = '[ "$CORE_PEER_LOCALMSPID" != RegulatorMSP ] || { echo "Error: no key"; exit 1; }'
    failures = steps(peer=script + "; echo label:id").agree("v", "label:id", 2)
    assert {msp: error.message for msp, error in failures.items()} == {
        "RegulatorMSP": "installing the contracts on peer-regulator failed: no key"
    }


def test_contracts_that_do_not_answer_and_peers_that_do_not_meet_are_told(steps: Make) -> None:
    alone = steps(seconds=0.2, peer="exit 1", discover="echo OperatorMSP")
    with pytest.raises(CouldNotCheck, match="asking the contracts through peer-"):
        alone.answer(MSPS)
    with pytest.raises(
        CouldNotCheck, match=r"waiting until peer-\w+ knows the other peers did not work in time"
    ):
        alone.meet(MSPS)
    steps(peer="echo NO_CHARTER; exit 1", discover="echo OperatorMSP RegulatorMSP AuditorMSP").meet(MSPS)
