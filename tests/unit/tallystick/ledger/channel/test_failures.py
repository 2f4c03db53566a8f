"""What the Gateway's errors are called behind the port."""

from __future__ import annotations

import pytest

from tallystick.errors import CouldNotCheck, InvalidInput, OutcomeUnknown, Refused
from tallystick.ledger.channel.failures import translated, translating
from tallystick.ledger.fabric import (
    CommitError,
    CommitStatusError,
    ConfigurationError,
    EndorseError,
    EvaluateError,
    GatewayError,
    Reason,
    SubmitError,
)
from tallystick.ledger.fabric.failures import hint_for
from tallystick.ledger.port import Call
from tallystick.ledger.requests import CHANNEL_HINTS

CALL = Call("provenance", "register_dataset", {})


def refused_by_chaincode(message: str, status: int = 400) -> EndorseError:
    reason = Reason("peer:7051", "OperatorMSP", f"chaincode response {status}, {message}")
    return EndorseError("failed to endorse", code="ABORTED", reasons=[reason])


def test_a_contracts_refusal_keeps_its_code_and_facts() -> None:
    found = translated(refused_by_chaincode('{"code":"FORBIDDEN","facts":{"needs":"pipeline"}}'), CALL)
    assert isinstance(found, Refused)
    assert (found.code, found.facts) == ("FORBIDDEN", {"needs": "pipeline"})
    assert found.message.startswith("provenance.register_dataset was refused: FORBIDDEN")


def test_a_hosts_refusal_says_what_to_do() -> None:
    found = translated(refused_by_chaincode('{"code":"CLOCK_SKEW","facts":{"limit_ms":300000}}'), CALL)
    assert isinstance(found, Refused)
    assert (found.code, found.hint) == (
        "CLOCK_SKEW",
        "Set the clocks of both machines, then submit the same request again.",
    )


@pytest.mark.parametrize(
    "message",
    ['{"code":"PEER_FAULT","facts":{}}', "make sure the chaincode is installed", '["code"]', '{"code":"X"}'],
)
def test_what_no_contract_said_is_no_refusal(message: str) -> None:
    assert type(translated(refused_by_chaincode(message, 500), CALL)) is CouldNotCheck


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommitError("MVCC_READ_CONFLICT", 7, transaction_id="ab"), "MVCC_READ_CONFLICT"),
        (CommitError("PHANTOM_READ_CONFLICT", 7, transaction_id="ab"), "PHANTOM_READ_CONFLICT"),
        (CommitError("DUPLICATE_TXID", 7, transaction_id="ab"), "DUPLICATE_TRANSACTION"),
        (CommitError("ENDORSEMENT_POLICY_FAILURE", 7, transaction_id="ab"), "ENDORSEMENT_POLICY_FAILURE"),
        (EvaluateError("proposal client identity expired 1 h ago", code="UNAVAILABLE"), "EXPIRED"),
        (EndorseError("request unauthorized due to incorrect timestamp 2026-11-23T06:35:04Z"), "CLOCK_SKEW"),
        (EndorseError("error validating proposal: access denied: channel [audit]"), "NOT_A_MEMBER"),
        (SubmitError("got unexpected status: FORBIDDEN -- implicit policy evaluation"), "NOT_A_MEMBER"),
    ],
)
def test_what_does_not_count_is_refused(error: GatewayError, code: str) -> None:
    found = translated(error, CALL)
    assert isinstance(found, Refused)
    assert found.code == code


@pytest.mark.parametrize("code", sorted(CHANNEL_HINTS))
def test_no_hint_names_a_command_that_works_on_this_home_alone(code: str) -> None:
    found = translated(refused_by_chaincode(f'{{"code":"{code}","facts":{{}}}}'), CALL)
    assert isinstance(found, Refused)
    assert found.hint
    assert not any(f"tally {command}" in found.hint for command in ("renew", "enrol", "activate", "revoke"))


def test_a_peers_expired_certificate_is_not_taken_for_the_users() -> None:
    said = "Ssl handshake failed: CERTIFICATE_VERIFY_FAILED: certificate has expired"
    error = EvaluateError(said, code="UNAVAILABLE", hint=hint_for(said))
    found = translated(error, CALL)
    assert type(found) is CouldNotCheck
    assert "of the peer" in found.hint


def test_whether_it_is_recorded_may_be_unknown() -> None:
    error = CommitStatusError("no answer", transaction_id="ab" * 32, outcome_unknown=True)
    found = translated(error, CALL)
    assert isinstance(found, OutcomeUnknown)
    assert "ab" * 32 in found.message
    assert "Submit the same request again" in found.hint


def test_peers_that_are_away_are_named_with_what_to_do() -> None:
    reasons = [Reason("127.0.0.1:1", "", "connection refused"), Reason("127.0.0.1:2", "", "timed out")]
    found = translated(
        EndorseError("none of the peers could do it", reasons=reasons, hint="Are they up?"), CALL
    )
    assert type(found) is CouldNotCheck
    assert found.hint == "Are they up?"
    for reason in reasons:
        assert str(reason) in found.message


def test_a_profile_that_cannot_be_used_is_the_users() -> None:
    with pytest.raises(InvalidInput, match=r"p\.yaml:3"), translating():
        raise ConfigurationError("p.yaml:3  unknown key", hint="Did you mean peers?")
