"""Members of the organisations whose keys are here: enrolled, renewed, revoked, and those soon to end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from tallystick import wiring
from tallystick.clients import charter
from tallystick.errors import InvalidInput, Refused
from tallystick.files import alone
from tallystick.home.administrators import ADMIN, administrators
from tallystick.identity import Authority, Identity, load_msp, load_user
from tallystick.identity import organisation as organisations
from tallystick.identity.certificates import load_certificate, load_revocations
from tallystick.proof.errors import ProofError
from tallystick.proof.membership import Membership, Msp, refusal_code, serialise_identity
from tallystick.settings import Settings

#: How long before its end a certificate is spoken of; in an authority's last year its members' get shorter.
_MEMBERS_NOTICE: Final = timedelta(days=30)
_AUTHORITYS_NOTICE: Final = timedelta(days=365)

#: MSP, user, end, how long before that it is told, and what to do about it.
_Dated = tuple[str, str, datetime, timedelta, str]


@dataclass(frozen=True, slots=True)
class Certified:
    """A member as its certificate has it."""

    msp_id: str
    user: str
    roles: tuple[str, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class Ending:
    """A certificate whose end is near or past; ``user`` is empty for the authority's own."""

    msp_id: str
    user: str
    until: datetime
    ended: bool
    advice: str

    @property
    def sentence(self) -> str:
        """What ends when, and what to do about it."""
        whose = f"{self.user} of {self.msp_id}" if self.user else f"the authority of {self.msp_id}"
        return f"{whose} {'ENDED' if self.ended else 'ends'} on {self.until:%Y-%m-%d}: {self.advice}"

    def value(self) -> dict[str, str | int | bool]:
        """For programs; ``until`` in milliseconds since the epoch."""
        until = int(self.until.timestamp()) * 1000
        return {"msp": self.msp_id, "user": self.user, "until": until, "ended": self.ended}


def enrol(settings: Settings, msp_id: str, user: str, roles: Iterable[str]) -> Certified:
    """Make a user with a key of its own. Raises `InvalidInput` as `identity.organisation.enrol`."""
    with alone(_keys(settings)):
        return _certified(settings, user, organisations.enrol(settings.msp, msp_id, user, roles))


def renew(settings: Settings, msp_id: str, user: str) -> Certified:
    """Give a user a new key and certificate, or complete it. Raises as `identity.organisation.renew`."""
    with alone(_keys(settings)):
        return _certified(settings, user, organisations.renew(settings.msp, msp_id, user))


def revoke(settings: Settings, msp_id: str, user: str) -> int | None:
    """Take all certificates of ``user`` out of force; returns the number of the configuration's block.

    None where all of it was in force already; what a killed process left half done is completed. Raises
    `Refused` LAST_ADMINISTRATOR where nobody here could configure the ledger afterwards, and
    `InvalidInput` where the user or the authority's key is not here, and on a channel.
    """
    wiring.require_not_on_channel(settings)
    with alone(_keys(settings)):
        certificates = organisations.certificates(settings.msp, msp_id, user)
        authority = Authority.load(settings.msp / msp_id)
        in_force = wiring.config_in_force(settings).msps
        # Judged with the list that is here: a revocation that was killed may stand in it and not yet count.
        signer = _signer(settings, _with_revocations(in_force, authority.directory), msp_id, user)
        authority.revoke(certificates)
        msps = _with_revocations(in_force, authority.directory)
        if msps == in_force:
            return None
        return wiring.reconfigure(settings, signer, msps=msps)


def require_signer(settings: Settings) -> None:
    """That what ``settings.user`` of ``settings.msp_id`` signs counts on the ledger now.

    Raises `Refused` with the host's code where it does not; where the key is not here, as `load_user`.
    """
    if wiring.on_channel(settings):
        with closing(wiring.open_channel(settings)) as ledger:
            charter.read(ledger, wiring.signer(settings))  # peers answer no others
        return
    user, msp_id = settings.user, settings.msp_id
    identity = load_user(settings.msp, msp_id, user)
    try:
        signer = serialise_identity(identity.msp_id, identity.certificate_pem)
        in_force = Membership(wiring.config_in_force(settings).msps)
        in_force.judge(signer, time.time_ns() // 1_000_000)
    except ProofError as error:
        code = refusal_code(error)
        hint = {
            "NOT_A_MEMBER": "Set TALLYSTICK_MSP and TALLYSTICK_USER to a member; see who is: tally members",
            "NOT_YET_VALID": "Compare this machine's clock with that of the machine that certified the user.",
        }.get(code, f"If {user} is to write again, with a new key: tally renew {user} --msp {msp_id}")
        raise Refused(
            f"{user} of {msp_id} cannot write on this ledger now: {code}",
            code=code,
            hint=f"{hint}\nNothing was recorded.",
        ) from None


def ending(settings: Settings, *, at: datetime | None = None) -> list[Ending]:
    """The certificates here that end soon (members' in 30 days, authorities' in a year) or have ended, the
    first to end first; without those that are revoked. On a channel those of the users beside the profile's,
    of whose revocation nothing is known here. ``at`` is now when left out. Raises `InvalidInput`.
    """
    now = at or datetime.now(UTC)
    dated = _channels(settings) if wiring.on_channel(settings) else _homes(settings)
    found = [
        Ending(msp_id, user, until, until < now, advice)
        for msp_id, user, until, notice, advice in dated
        if until - now <= notice
    ]
    return sorted(found, key=lambda each: each.until)


def _homes(settings: Settings) -> Iterator[_Dated]:
    for directory in sorted(path for path in settings.msp.glob("[!.]*") if path.is_dir()):
        msp_id, revoked = directory.name, _revoked(directory)
        pems = [("", root) for root in load_msp(directory).roots]
        for user in organisations.users(settings.msp, msp_id):
            pem, *_ = organisations.certificates(settings.msp, msp_id, user)
            pems.append((user, pem))
        for user, pem in pems:
            certificate = load_certificate(pem, directory / user)
            advice = f"tally renew {user} --msp {msp_id}" if user else "docs/formats/identity.md#validity"
            notice = _MEMBERS_NOTICE if user else _AUTHORITYS_NOTICE
            if certificate.serial_number not in revoked:
                yield msp_id, user, certificate.not_valid_after_utc, notice, advice


def _channels(settings: Settings) -> Iterator[_Dated]:
    msp_id, directory = wiring.channel_users(settings)
    for path in sorted(directory.glob("[!.]*/signcerts/cert.pem")):
        user, until = path.parts[-3], load_certificate(path.read_bytes(), path).not_valid_after_utc
        yield msp_id, user, until, _MEMBERS_NOTICE, "docs/deployment.md#upgrades"


def _keys(settings: Settings) -> Path:
    if not settings.msp.is_dir():
        raise InvalidInput(f"there are no keys in {settings.msp}", hint="Make them with: tally init")
    return settings.msp


def _certified(settings: Settings, user: str, identity: Identity) -> Certified:
    roles = organisations.certified(settings.msp, identity.msp_id, user).roles
    until = load_certificate(identity.certificate_pem, settings.msp / user).not_valid_after_utc
    return Certified(identity.msp_id, user, tuple(sorted(roles)), until)


def _signer(settings: Settings, msps: Sequence[Msp], msp_id: str, user: str) -> Identity:
    """An administrator other than the one who is to be revoked."""
    able = administrators(settings, msps)
    others = [name for name in able if (settings.msp_id, name) != (msp_id, user)]
    if not others:
        raise Refused(
            f"{user} is the last administrator of {msp_id} here: nobody could configure the ledger any more",
            code="LAST_ADMINISTRATOR",
            hint=f"First make another: tally enrol USER --role {ADMIN}\nThen, where {user} stays with a new"
            f" key: tally revoke {user}, and tally renew {user}",
        )
    return able[others[0]]


def _with_revocations(msps: Sequence[Msp], directory: Path) -> tuple[Msp, ...]:
    """``msps`` with the revocation lists in ``directory`` for its organisation, whose roots stay."""
    here = load_msp(directory)
    if here.msp_id not in {msp.msp_id for msp in msps}:
        raise InvalidInput(
            f"{here.msp_id} is not an organisation of this ledger",
            hint=f"Those are: {', '.join(sorted(msp.msp_id for msp in msps))}",
        )
    return tuple(Msp(msp.msp_id, msp.roots, here.crls) if msp.msp_id == here.msp_id else msp for msp in msps)


def _revoked(directory: Path) -> set[int]:
    lists = (load_revocations(pem, directory / "crls") for pem in load_msp(directory).crls)
    return {entry.serial_number for each in lists for entry in each}
