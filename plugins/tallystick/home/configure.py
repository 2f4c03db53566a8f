"""Changing the rules in force: which contracts run."""

from __future__ import annotations

from tallystick import wiring
from tallystick.execution import packages
from tallystick.home.administrators import administrators
from tallystick.settings import Settings


def package_status(settings: Settings) -> dict[str, str]:
    """The digests of the contract package in force on the ledger and of the one installed here."""
    return {"active": wiring.package_in_force(settings), "installed": packages.current_digest()}


def activate(settings: Settings) -> tuple[str, str]:
    """Put the installed contract package in force; returns the digests before and after.

    Nothing is recorded where it is in force already. Raises `InvalidInput` where no administrator can
    sign here.
    """
    config = wiring.config_in_force(settings)
    before, after = config.package, packages.keep_current(settings.packages)
    if before != after:
        signer, *_ = administrators(settings, config.msps).values()
        wiring.reconfigure(settings, signer, package=after)
    return before, after
