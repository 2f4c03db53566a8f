"""Making a home: the keys of its parties, the ledger with its first block, and the charter."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from tallystick import wiring
from tallystick.clients import charter
from tallystick.errors import InvalidInput
from tallystick.files import alone, private_directory
from tallystick.identity import (
    Identity,
    create_organisation,
    generate_log_key,
    load_log_key,
    load_msp,
    load_user,
)
from tallystick.ledger.port import Ledger
from tallystick.settings import Settings

#: The users that every organisation gets: pseudonymous enrolment ids and their roles.
_USERS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "operator": {"admin": ("admin",), "pipeline": ("pipeline",)},
    "regulator": {"admin": ("admin",), "reader": ("reader",)},
    "auditor": {"admin": ("admin",), "reader": ("reader",)},
}


@dataclass(frozen=True, slots=True)
class Party:
    """A party of the charter: its name there and its MSP."""

    name: str
    msp_id: str


OPERATOR: Final = Party("operator", "OperatorMSP")
DEVELOPMENT_PARTIES: Final = (OPERATOR, Party("regulator", "RegulatorMSP"), Party("auditor", "AuditorMSP"))


def create_home(settings: Settings, *, name: str, parties: tuple[Party, ...] = (OPERATOR,)) -> Ledger:
    """Make keys for ``parties``, the ledger with its first block, and the charter; returns it open.

    On a channel of Fabric, whose parties and first block are there, it is one member's home: a key for its
    heads, and the charter unless another member was first.

    ``name`` is the log's name without the digits. The first party operates the ledger, the second
    (or the only one) is the independent one. What a killed process left half made is completed with the
    keys that are there. Raises `InvalidInput` where the home is complete; nothing is changed then.
    """
    with alone(private_directory(settings.home)):
        if wiring.on_channel(settings):
            return _join_channel(settings, name)
        return _create_home(settings, name, parties)


def has_charter(settings: Settings) -> bool:
    """Whether there is a ledger and its first record: what `create_home` leaves when it is done.

    A configuration may come before it; of the transactions with records none but the charter can be first.
    """
    if not wiring.has_ledger(settings):
        return False
    with closing(wiring.open_for_reading(settings)) as ledger:
        return any(call.records for block in ledger.log(1) for call in block.transactions)


def _create_home(settings: Settings, name: str, parties: tuple[Party, ...]) -> Ledger:
    from tallystick.execution import packages

    if has_charter(settings):
        raise _complete(settings)
    for party in parties:
        if not (settings.msp / party.msp_id).exists():
            create_organisation(settings.msp, party.msp_id, _USERS[party.name])
    admin = load_user(settings.msp, parties[0].msp_id, "admin")
    packages.keep_current(settings.packages)
    key = settings.log_key
    log_key = load_log_key(key) if key.exists() else generate_log_key(key)
    if not wiring.has_ledger(settings):
        msps = [load_msp(settings.msp / party.msp_id) for party in parties]
        wiring.found_ledger(settings, name=name, msps=msps, admin=admin, log_key=log_key)
    return _adopted(wiring.open_ledger(settings), admin, parties)


def _join_channel(settings: Settings, name: str) -> Ledger:
    from tallystick.execution import packages

    adopted = has_charter(settings)
    if adopted and settings.log_key.exists():
        raise _complete(settings)
    admin = None if adopted else wiring.signer(settings, "admin")
    packages.keep_current(settings.packages)
    if not settings.log_key.exists():
        generate_log_key(settings.log_key)
    ledger = wiring.open_channel(settings, name)
    if admin is None:
        return ledger
    *_, rules = ledger.configurations()
    # Who makes the home operates the pipelines; who is independent is the regulator, where there is one.
    found = [Party(o.msp_id.removesuffix("MSP").lower(), o.msp_id) for o in rules.organisations]
    found.sort(key=lambda party: (party.msp_id != admin.msp_id, party.name != "regulator"))
    return _adopted(ledger, admin, tuple(found))


def _adopted(ledger: Ledger, admin: Identity, parties: tuple[Party, ...]) -> Ledger:
    """``ledger`` with its charter. It is closed where that fails."""
    try:
        charter.adopt(
            ledger,
            admin,
            parties={party.name: party.msp_id for party in parties},
            independent=parties[min(1, len(parties) - 1)].name,
            grants={"pipeline": [(parties[0].name, "pipeline")]},
        )
    except BaseException:
        ledger.close()
        raise
    return ledger


def _complete(settings: Settings) -> InvalidInput:
    return InvalidInput(
        f"there is a home with a ledger already: {settings.ledger_url}",
        hint="Nothing was changed. Another home: set TALLYSTICK_HOME. This one: tally status",
    )
