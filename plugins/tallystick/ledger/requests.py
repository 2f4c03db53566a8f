"""Requests as they travel, on every host, and what to do about what hosts refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chaincode import canonical, host_limits
from tallystick.errors import InvalidInput
from tallystick.ledger.port import Call

#: What to do about each code of the hosts' own. docs/cli.md lists them; contracts' codes are not here.
HINTS: Final[Mapping[str, str]] = {
    "NOT_A_MEMBER": "Sign with a certificate of an organisation of this ledger:"
    " set TALLYSTICK_HOME, TALLYSTICK_MSP and TALLYSTICK_USER to where it is. A new one: tally enrol USER",
    "EXPIRED": "Give the user a new key and certificate: tally renew USER",
    "NOT_YET_VALID": "Compare this machine's clock with that of the machine that issued the certificate.",
    "REVOKED": "Its organisation took it out of force."
    " If the user is to write again, with a new key: tally renew USER",
    "OTHER_LEDGER": "It was signed for another ledger. Sign it anew for this one (tally status names it).",
    "CLOCK_SKEW": "Set the clocks of both machines, then submit the same request again.",
    "DUPLICATE_TRANSACTION": "It is recorded already: tally log",
    "ENDORSEMENT_DIFFERS": "It was not endorsed here, or changed since. Submit the request anew.",
    "PACKAGE_NOT_ACTIVE": "An administrator records the change with: tally activate",
    "CONTRACT_FAULT": "This is a fault of the contract: report it. Nothing was recorded.",
    "MVCC_READ_CONFLICT": "What it had read was changed meanwhile. Read again and submit anew.",
    "PHANTOM_READ_CONFLICT": "What it had listed was changed meanwhile. Read again and submit anew.",
}
#: On a channel users and members are not this home's to make: the same, with what its organisations do.
CHANNEL_HINTS: Final[Mapping[str, str]] = {
    **HINTS,
    "NOT_A_MEMBER": "Sign with a certificate of an organisation of this channel: TALLYSTICK_LEDGER names the"
    " profile, the profile an identity, TALLYSTICK_USER one of those beside it.",
    "EXPIRED": "Its organisation's authority has to issue another: docs/deployment.md#upgrades",
    "REVOKED": "Its organisation took it out of force."
    " If the user is to write again, its authority issues another: docs/deployment.md#upgrades",
    "PACKAGE_NOT_ACTIVE": "The organisations agree on other contracts with: tally fabric activate",
}


def encode_request(call: Call) -> bytes:
    """The request in its canonical form. Raises `InvalidInput` for one that has none or is too large."""
    try:
        request = canonical.encode(call.request)
    except canonical.NotCanonical as error:
        raise InvalidInput(f"{call.contract}.{call.transaction}: {error}") from None
    if len(request) > host_limits.MAX_REQUEST:
        raise InvalidInput(
            f"{call.contract}.{call.transaction}: a request of more than {host_limits.MAX_REQUEST:,} bytes",
            hint="Split the batch.",
        )
    return request
