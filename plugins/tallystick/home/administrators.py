"""Who can configure the ledger from this home: administrators in force whose key is here."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tallystick.errors import InvalidInput, TallystickError
from tallystick.identity import Identity, load_user
from tallystick.identity.organisation import certificates, users
from tallystick.proof.errors import ProofError
from tallystick.proof.membership import Membership, Msp, serialise_identity
from tallystick.settings import Settings

ADMIN = "admin"


def administrators(settings: Settings, msps: Sequence[Msp]) -> dict[str, Identity]:
    """The administrators of ``settings.msp_id`` by user name: in force now under ``msps``, key at hand.

    Raises `InvalidInput` where there is none, saying of each why not.
    """
    membership = _membership(msps)
    able: dict[str, Identity] = {}
    unable: list[str] = []
    for name in users(settings.msp, settings.msp_id):
        pem, *_ = certificates(settings.msp, settings.msp_id, name)
        try:
            certificate = serialise_identity(settings.msp_id, pem)
            if ADMIN in membership.certified(certificate).roles:
                membership.judge(certificate, time.time_ns() // 1_000_000)
                able[name] = load_user(settings.msp, settings.msp_id, name)
        except (ProofError, TallystickError) as error:
            unable.append(f"{name}: {error.args[0]}")
    if able:
        return able
    why = "; ".join(unable) or "no user here has the role"
    raise InvalidInput(
        f"no administrator of {settings.msp_id} can sign here ({why})",
        hint=f"Renew one: tally renew USER\nMake another: tally enrol USER --role {ADMIN}",
    )


def _membership(msps: Sequence[Msp]) -> Membership:
    try:
        return Membership(msps)
    except ProofError as error:
        raise InvalidInput(
            f"certificates or revocation lists here cannot be used: {error}",
            hint="Put them back from a backup; the ledger's last configuration holds those in force.",
        ) from error
