"""An organisation as a directory: making it, its users, and what others need of it.

Whoever enrols or renews holds the lock of the MSP directory (`tallystick.files.alone`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from tallystick.errors import InvalidInput
from tallystick.files import alone, cannot_write, private_directory, sync_directory
from tallystick.identity.authority import Authority
from tallystick.identity.certificates import check_name, read
from tallystick.identity.member import Identity, complete_renewal
from tallystick.proof.errors import ProofError
from tallystick.proof.membership import Member, Membership, Msp, serialise_identity


def create_organisation(
    msp_directory: Path,
    msp_id: str,
    users: Mapping[str, tuple[str, ...]],
    *,
    not_before: datetime | None = None,
) -> Authority:
    """Make MSP_DIRECTORY/<msp_id> with its authority and ``users`` (enrolment id to roles), or nothing.

    Raises `InvalidInput` if the organisation is there already.
    """
    check_name(msp_id, "an MSP")
    target = private_directory(msp_directory) / msp_id
    with alone(msp_directory):
        if target.exists():
            raise InvalidInput(f"{target} is there already", hint="Its keys are kept; choose another place.")
        building = _building(target)
        try:
            authority = Authority.create(msp_id, building, not_before=not_before)
            for name, roles in users.items():
                identity = authority.issue(name, roles, not_before=not_before)
                identity.save(private_directory(building / "users" / name))
            _publish(building, target)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return Authority.load(target)


def enrol(msp_directory: Path, msp_id: str, name: str, roles: Iterable[str]) -> Identity:
    """A new user with ``roles``, from the authority's key that is here.

    Raises `InvalidInput` where there is such a user already or the authority's key is not here.
    """
    check_name(name, "a user")
    authority = Authority.load(_organisation(msp_directory, msp_id))
    target = private_directory(authority.directory / "users") / name
    if target.exists():
        raise InvalidInput(
            f"{msp_id} has a user {name} already",
            hint=f"A new certificate with the same roles: tally renew {name}",
        )
    identity = authority.issue(name, roles)
    building = _building(target)
    try:
        identity.save(building)
        _publish(building, target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return identity


def renew(msp_directory: Path, msp_id: str, name: str) -> Identity:
    """The user with a new key and a certificate with the same enrolment id and roles.

    The old certificate is kept in ``former/``, so that `certificates` knows it; the old key is deleted. What
    a killed process left is completed instead of begun again. Raises `InvalidInput` where the user or the
    authority's key is not here.
    """
    directory = _user(msp_directory, msp_id, name)
    authority = Authority.load(_organisation(msp_directory, msp_id))
    completed = complete_renewal(directory, msp_id)
    if completed is not None:
        return completed
    member = certified(msp_directory, msp_id, name)
    identity = authority.issue(member.enrolment_id, sorted(member.roles))
    identity.replace(directory)
    return identity


def users(msp_directory: Path, msp_id: str) -> list[str]:
    """The names of the users that are here."""
    directory = msp_directory / msp_id / "users"
    return sorted(path.name for path in directory.glob("[!.]*") if path.is_dir())


def load_user(msp_directory: Path, msp_id: str, name: str) -> Identity:
    """A user that `create_organisation` or `enrol` made. Raises `InvalidInput`, naming the users that are
    here, and `CouldNotCheck` for a key that is not its owner's alone."""
    return Identity.load(_user(msp_directory, msp_id, name), msp_id)


def load_member(users: Path, msp_id: str, name: str) -> Identity:
    """The user ``name`` in a directory of users, wherever that lies. Raises as `load_user`."""
    check_name(name, "a user")
    if not (users / name).is_dir():
        here = ", ".join(sorted(path.name for path in users.glob("[!.]*") if path.is_dir())) or "none"
        raise InvalidInput(
            f"there is no user {name} of {msp_id} in {users}",
            hint=f"Users there: {here}. Choose one with TALLYSTICK_USER.",
        )
    return Identity.load(users / name, msp_id)


def certificates(msp_directory: Path, msp_id: str, name: str) -> list[bytes]:
    """The user's certificates (PEM): the one in use, then the former ones. Raises `InvalidInput`."""
    directory = _user(msp_directory, msp_id, name)
    paths = [directory / "signcerts" / "cert.pem", *sorted((directory / "former").glob("*.pem"))]
    return [read(path) for path in paths]


def certified(msp_directory: Path, msp_id: str, name: str) -> Member:
    """Who the user's certificate says he is, in force or not. Raises `InvalidInput`."""
    pem, *_ = certificates(msp_directory, msp_id, name)
    try:
        membership = Membership([load_msp(msp_directory / msp_id)])
        return membership.certified(serialise_identity(msp_id, pem))
    except ProofError as error:
        raise InvalidInput(f"{msp_id}, user {name}: {error}") from error


def load_msp(directory: Path) -> Msp:
    """What others need of the organisation in ``directory``, which is named after its MSP.

    Raises `InvalidInput` if no root certificate lies there.
    """
    roots = tuple(read(path) for path in sorted((directory / "cacerts").glob("*.pem")))
    if not roots:
        raise InvalidInput(f"{directory} has no cacerts/*.pem", hint="Make the keys with: tally init")
    return Msp(
        directory.name, roots, tuple(read(path) for path in sorted((directory / "crls").glob("*.pem")))
    )


def _organisation(msp_directory: Path, msp_id: str) -> Path:
    check_name(msp_id, "an MSP")
    directory = msp_directory / msp_id
    if not directory.is_dir():
        here = sorted(path.name for path in msp_directory.glob("[!.]*") if path.is_dir())
        raise InvalidInput(
            f"there are no keys of {msp_id} in {msp_directory}",
            hint=f"Organisations here: {', '.join(here)}" if here else "Make the keys with: tally init",
        )
    return directory


def _user(msp_directory: Path, msp_id: str, name: str) -> Path:
    check_name(name, "a user")
    directory = _organisation(msp_directory, msp_id) / "users" / name
    if not directory.is_dir():
        here = ", ".join(users(msp_directory, msp_id)) or "none"
        raise InvalidInput(
            f"{msp_id} has no user {name} here",
            hint=f"Users here: {here}. A new one: tally enrol {name}",
        )
    return directory


def _building(target: Path) -> Path:
    """An empty directory beside ``target``, in place of what a killed process left there."""
    building = target.with_name(f".{target.name}.new")
    shutil.rmtree(building, ignore_errors=True)
    return private_directory(building)


def _publish(building: Path, target: Path) -> None:
    try:
        building.rename(target)
        sync_directory(target.parent)
    except OSError as error:
        raise cannot_write(target, error) from error
