"""Changing the rules in force: which contracts run, and whose certificates count."""

from __future__ import annotations

from contextlib import closing

from tallystick import wiring
from tallystick.execution import packages
from tallystick.identity import Authority, load_msp, load_user
from tallystick.settings import Settings


def package_status(settings: Settings) -> dict[str, str]:
    """The digests of the contract package in force on the ledger and of the one installed here."""
    with closing(wiring.open_embedded(settings)) as ledger:
        return {"active": ledger.config.package, "installed": packages.current_digest()}


def activate(settings: Settings) -> tuple[str, str]:
    """Put the installed contract package in force; returns the digests before and after.

    Nothing is recorded where it is in force already. Raises `InvalidInput` without an administrator's key.
    """
    before, after = package_status(settings)["active"], packages.keep_current(settings.packages)
    if before != after:
        wiring.reconfigure(settings, load_user(settings.msp, settings.msp_id, "admin"), package=after)
    return before, after


def revoke(settings: Settings, msp_id: str, user: str) -> int:
    """Revoke the certificate of ``user`` of ``msp_id`` and put the list in force; returns the block's number.

    Raises `InvalidInput` where the user or the authority's key is not here.
    """
    member = load_user(settings.msp, msp_id, user)
    admin = load_user(settings.msp, settings.msp_id, "admin")
    directory = settings.msp / msp_id
    Authority.load(directory).revoke([member.certificate_pem])
    with closing(wiring.open_embedded(settings)) as ledger:
        others = [msp for msp in ledger.config.msps if msp.msp_id != msp_id]
    return wiring.reconfigure(settings, admin, msps=[*others, load_msp(directory)])
