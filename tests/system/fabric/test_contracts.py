"""Fabric's own `peer` program invokes and queries our contracts on a live network."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from support import ledgers
from support.fabric_network import CHARTER, Live, refusal

from tallystick.identity import Authority
from tallystick.network.layout import CHAINCODE, CHANNEL, ORGANISATIONS


def test_every_organisations_peer_gives_the_same_answer(live: Live) -> None:
    answers = [live.query("charter:read", {}, each.name, "admin") for each in ORGANISATIONS]
    assert answers[0]["parties"] == CHARTER["parties"]
    assert answers == [answers[0]] * 3


def test_a_charter_is_adopted_once(live: Live) -> None:
    code, told = live.invoke("charter:adopt", CHARTER, user="admin")
    assert code == 1
    assert refusal(told) == {"code": "CHARTER_EXISTS", "facts": {}}


def test_the_pipelines_role_writes_and_everybody_reads(live: Live) -> None:
    request = ledgers.dataset(name="written")
    code, told = live.invoke("provenance:register_dataset", request)
    assert code == 0, told
    found = live.query("provenance:read", {"id": "dataset/written/1"}, "auditor", "reader")
    assert set(found["facts"]) == {"digest"}
    code, told = live.invoke("provenance:register_dataset", ledgers.dataset(name="other"), user="admin")
    assert refusal(told) == {"code": "FORBIDDEN", "facts": {"needs": "pipeline"}}
    endorsers = ("regulator", "auditor")
    code, told = live.invoke("provenance:register_dataset", request, endorsers=endorsers)
    assert code == 0, "a request that is sent again gives the first record"


def test_a_batch_is_written_whole_or_not_at_all(live: Live) -> None:
    def item(name: str, number: int) -> dict[str, object]:
        request = {**ledgers.dataset(name=name), "request_id": f"batch-{number}"}
        return {"transaction": "register_dataset", "request": request}

    items = [item(f"batch{number}", number) for number in range(130)]
    code, told = live.invoke("provenance:batch", {"items": items[:2]})
    assert code == 0, told
    code, told = live.invoke("provenance:batch", {"items": [item("fresh", 900), item("batch0", 901)]})
    assert refusal(told)["facts"]["item"] == 1
    assert live.query("provenance:latest", {"kind": "dataset", "name": "fresh"}) == 0
    code, told = live.invoke("provenance:batch", {"items": items[2:]})
    assert code == 0, told[-500:]
    assert live.query("provenance:latest", {"kind": "dataset", "name": "batch129"}) == 1


@pytest.mark.parametrize("endorsers", [("operator",), ("operator", "auditor")])
def test_nothing_counts_without_the_regulator(live: Live, endorsers: tuple[str, ...]) -> None:
    name = "without-" + "-".join(endorsers)
    code, told = live.invoke("provenance:register_dataset", ledgers.dataset(name=name), endorsers=endorsers)
    assert code == 1
    assert "ENDORSEMENT_POLICY_FAILURE" in told
    assert live.query("provenance:latest", {"kind": "dataset", "name": name}) == 0


def test_a_certificate_that_is_not_valid_yet_is_refused_by_the_contracts(live: Live, tmp_path) -> None:
    msp = tmp_path / "msp"
    shutil.copytree(live.layout.user("OperatorMSP", "pipeline"), msp)
    shutil.rmtree(msp / "keystore")
    authority = Authority.load(live.layout.organisations / "OperatorMSP")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    authority.issue("early", ("pipeline",), not_before=tomorrow).save(msp)
    request = ledgers.dataset(name="early")
    code, told = live.invoke("provenance:register_dataset", request, CORE_PEER_MSPCONFIGPATH=str(msp))
    assert code == 1
    assert refusal(told)["code"] == "NOT_YET_VALID"


def test_operator_and_auditor_alone_cannot_replace_the_contracts(live: Live) -> None:
    definition = ["-C", CHANNEL, "-n", CHAINCODE, "-v", "forged", "--sequence", "2"]
    policy = ["--signature-policy", "OR('OperatorMSP.peer')"]
    for organisation in ("operator", "auditor"):
        arguments = ["lifecycle", "chaincode", "approveformyorg", *definition, *policy]
        arguments += live.orderer(organisation, "admin")
        code, told = live.run(arguments, organisation, "admin")
        assert code == 0, told
    arguments = ["lifecycle", "chaincode", "commit", *definition, *policy, *live.orderer("operator", "admin")]
    code, told = live.run(
        [*arguments, *live.endorser("operator"), *live.endorser("auditor")], "operator", "admin"
    )
    assert code == 1
    assert "ENDORSEMENT_POLICY_FAILURE" in told or "failed to endorse" in told or "not agreed" in told
    code, told = live.run(
        ["lifecycle", "chaincode", "querycommitted", "-C", CHANNEL, "-n", CHAINCODE], "regulator", "admin"
    )
    assert f"Version: {live.network.package}, Sequence: 1" in told
