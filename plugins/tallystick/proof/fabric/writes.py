"""What the writes of a transaction come to, key by key (core/ledger/kvledger/txmgmt/validation/tx_ops.go).

A key's writes are added up as Fabric adds them, in one byte: of a key that stands there twice, that gives
what nobody would expect, and what every peer keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tallystick.proof.fabric.rwset import NamespaceSet, Version
from tallystick.proof.fabric.state import State

_PUT, _SET_POLICY, _UNSET_POLICY, _DELETE = 1, 2, 4, 8

#: A key with its space.
Place = tuple[str, str]


@dataclass(slots=True)
class _Sum:
    flags: int = 0
    value: bytes | None = None
    policy: bytes | None = None

    def add(self, flag: int) -> None:
        self.flags = (self.flags + flag) & 0xFF


def private_space(namespace: str, collection: str) -> str:
    """The space of a collection's hashes."""
    return f"{namespace}\0{collection}"


def policy_places(each: NamespaceSet) -> Iterator[Place]:
    """The keys whose own policy, or other metadata, is written."""
    yield from ((each.namespace, key) for key, _ in each.policies)
    for collection in each.collections:
        space = private_space(each.namespace, collection.name)
        yield from ((space, key.hex()) for key, _ in collection.policies)


def apply(
    sets: Sequence[NamespaceSet], version: Version, state: State, written: set[Place], kept: str
) -> None:
    """Note in ``state`` what a transaction that counts writes, and in ``written`` which keys those are.

    Of the namespace ``kept`` the values are kept too.
    """
    for (space, key), found in _sums(sets).items():
        alone = found.flags & (_SET_POLICY | _UNSET_POLICY)
        put = found.flags in (0, _PUT) or (found.flags & _PUT and alone)
        if found.flags & _DELETE:
            state.write(space, key, None)
            state.set_policy(space, key, None)
        elif put or state.version(space, key) is not None:
            state.write(space, key, version)
            if found.flags not in (0, _PUT):
                state.set_policy(space, key, found.policy)
        else:
            continue
        written.add((space, key))
        if space == kept and (put or found.flags & _DELETE):
            state.keep(space, key, None if found.flags & _DELETE else found.value)


def _sums(sets: Sequence[NamespaceSet]) -> dict[Place, _Sum]:
    sums: dict[Place, _Sum] = {}

    def of(space: str, key: str) -> _Sum:
        return sums.setdefault((space, key), _Sum())

    for each in sets:
        for key, value in each.writes:
            _put(of(each.namespace, key), value)
        for key, policy in each.policies:
            _set_policy(of(each.namespace, key), policy)
        for collection in each.collections:
            space = private_space(each.namespace, collection.name)
            for hashed, deletes in collection.writes:
                _put(of(space, hashed.hex()), None if deletes else b"hashed")
            for hashed, policy in collection.policies:
                _set_policy(of(space, hashed.hex()), policy)
    return sums


def _put(found: _Sum, value: bytes | None) -> None:
    found.add(_DELETE if value is None else _PUT)
    found.value = found.value if value is None else value


def _set_policy(found: _Sum, policy: bytes | None) -> None:
    found.add(_UNSET_POLICY if policy is None else _SET_POLICY)
    found.policy = found.policy if policy is None else policy
