"""What the Gateway's errors are called here: refused, not known, or could not be done now."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Final

from chaincode.errors import Refusal
from tallystick.errors import CouldNotCheck, InvalidInput, OutcomeUnknown, Refused, TallystickError
from tallystick.ledger.fabric import CommitError, ConfigurationError, GatewayError
from tallystick.ledger.port import Call
from tallystick.ledger.requests import CHANNEL_HINTS

#: What a chaincode answers where its peer failed, not the transaction.
_PEER_FAULT: Final = "PEER_FAULT"
_DUPLICATE: Final = "DUPLICATE_TXID"
_NOT_SAID: Final = "\nPeers do not say whether it was revoked; any other user sees it with: tally members"
#: How peers and orderers word that a signer or a claimed time does not count; what every host calls that.
_REFUSALS: Final = (
    ("incorrect timestamp", "CLOCK_SKEW"),
    ("identity expired", "EXPIRED"),
    ("creator certificate is not valid", "NOT_A_MEMBER"),
    ("creator is malformed", "NOT_A_MEMBER"),
    ("access denied", "NOT_A_MEMBER"),
    ("FORBIDDEN", "NOT_A_MEMBER"),
)


@contextlib.contextmanager
def translating() -> Iterator[None]:
    """The Gateway's errors of what is done inside as ours."""
    try:
        yield
    except GatewayError as error:
        raise translated(error) from error


def translated(error: GatewayError, call: Call | None = None) -> TallystickError:
    """The error to raise for ``error``, which came of ``call``."""
    what = f"{call.contract}.{call.transaction}" if call else "the channel"
    if isinstance(error, ConfigurationError):
        return InvalidInput(error.message, hint=error.hint)
    if error.outcome_unknown:
        return OutcomeUnknown(
            f"{what}: it is not known whether transaction {error.transaction_id} is recorded. {_said(error)}",
            hint="Submit the same request again: what is recorded is returned, not recorded twice.",
        )
    refused = _refused(error, what)
    return refused or CouldNotCheck(f"{what}: {_said(error)}", hint=error.hint)


def _refused(error: GatewayError, what: str) -> Refused | None:
    if isinstance(error, CommitError):
        code = "DUPLICATE_TRANSACTION" if error.validation_code == _DUPLICATE else error.validation_code
        return Refused(
            f"{what} was not applied: {code} in block {error.block}",
            code=code,
            hint=CHANNEL_HINTS.get(code, error.hint),
        )
    if refusal := _refusal(error):
        hint = CHANNEL_HINTS.get(refusal.code, "")
        return Refused(f"{what} was refused: {refusal}", code=refusal.code, facts=refusal.facts, hint=hint)
    told = "\n".join((error.message, *(reason.message for reason in error.reasons)))
    code = next((code for words, code in _REFUSALS if words in told), "")
    if not code:
        return None
    hint = CHANNEL_HINTS[code] + (_NOT_SAID if code == "NOT_A_MEMBER" else "")
    return Refused(f"{what} was refused: {code}. {_said(error)}", code=code, hint=hint)


def _refusal(error: GatewayError) -> Refusal | None:
    """What our contracts or their host answered (docs/formats/chaincode-service.md), if it was they."""
    if error.refusal is None:
        return None
    try:
        told = json.loads(error.refusal.message)
        found = Refusal(str(told["code"]), **told["facts"])
    except (ValueError, KeyError, TypeError):
        return None
    return None if found.code == _PEER_FAULT else found


def _said(error: GatewayError) -> str:
    first, *rest = str(error).removesuffix(error.hint).strip().splitlines()
    return " ".join([first, *(line.strip() for line in rest)])
