"""What a configuration changed of the one before it: members, their certificates, contracts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tallystick.ledger.port import Configuration

#: (MSP, serial number in hex)
Certificates = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """Organisations that came, went, or have other root certificates; certificates that were revoked, or
    are no longer; the digests of the contracts and of what was agreed on for them, None where they stayed
    the same."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    other_roots: tuple[str, ...]
    revoked: Certificates
    restored: Certificates
    package: str | None
    policy: str | None


def with_changes(configurations: Iterable[Configuration]) -> Iterator[tuple[Configuration, Changes]]:
    """Each configuration, oldest first, with what it changed."""
    before: Configuration | None = None
    for configuration in configurations:
        yield configuration, _changes(before, configuration)
        before = configuration


def _changes(before: Configuration | None, after: Configuration) -> Changes:
    roots = {each.msp_id: each.roots for each in before.organisations} if before else {}
    now = {each.msp_id: each.roots for each in after.organisations}
    revoked, now_revoked = _revoked(before), _revoked(after)
    return Changes(
        tuple(sorted(now.keys() - roots.keys())),
        tuple(sorted(roots.keys() - now.keys())),
        tuple(sorted(each for each in now.keys() & roots.keys() if now[each] != roots[each])),
        tuple(sorted(now_revoked - revoked)),
        tuple(sorted(revoked - now_revoked)),
        None if before and before.package == after.package else after.package,
        None if after.policy == (before.policy if before else "") else after.policy,
    )


def _revoked(configuration: Configuration | None) -> set[tuple[str, str]]:
    organisations = configuration.organisations if configuration else ()
    return {(each.msp_id, serial) for each in organisations for serial in each.revoked}
