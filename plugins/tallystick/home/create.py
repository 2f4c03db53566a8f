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
from tallystick.identity import create_organisation, generate_log_key, load_log_key, load_msp, load_user
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

    ``name`` is the log's name without the digits. The first party operates the ledger, the second
    (or the only one) is the independent one. What a killed process left half made is completed with the
    keys that are there. Raises `InvalidInput` where the home is complete; nothing is changed then.
    """
    with alone(private_directory(settings.home)):
        return _create_home(settings, name, parties)


def has_charter(settings: Settings) -> bool:
    """Whether there is a ledger and its first record: what `create_home` leaves when it is done.

    A configuration may come before it; of the transactions none but the charter can be the first.
    """
    if not wiring.has_ledger(settings):
        return False
    with closing(wiring.open_for_reading(settings)) as ledger:
        return any(block.transactions for block in ledger.log(1))


def _create_home(settings: Settings, name: str, parties: tuple[Party, ...]) -> Ledger:
    from tallystick.execution import packages

    if has_charter(settings):
        raise InvalidInput(
            f"there is a home with a ledger already: {settings.ledger_url}",
            hint="Nothing was changed. Another home: set TALLYSTICK_HOME. This one: tally status",
        )
    for party in parties:
        if not (settings.msp / party.msp_id).exists():
            create_organisation(settings.msp, party.msp_id, _USERS[party.name])
    operator = parties[0]
    admin = load_user(settings.msp, operator.msp_id, "admin")
    packages.keep_current(settings.packages)
    key = settings.log_key
    log_key = load_log_key(key) if key.exists() else generate_log_key(key)
    if not wiring.has_ledger(settings):
        msps = [load_msp(settings.msp / party.msp_id) for party in parties]
        wiring.found_ledger(settings, name=name, msps=msps, admin=admin, log_key=log_key)
    ledger = wiring.open_ledger(settings)
    try:
        charter.adopt(
            ledger,
            admin,
            parties={party.name: party.msp_id for party in parties},
            independent=parties[min(1, len(parties) - 1)].name,
            grants={"pipeline": [(operator.name, "pipeline")]},
        )
    except BaseException:
        ledger.close()
        raise
    return ledger
