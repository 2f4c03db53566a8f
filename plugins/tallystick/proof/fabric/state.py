"""What a channel's blocks have written so far: as much as the judgement of the next block needs.

Versions of all keys, policies of single ones, values of lifecycle definitions, ids of transactions; kept in
memory. A verifier of a ledger that does not fit there hands `channel.Channel` an object like it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tallystick.proof.fabric.rwset import Version

_POLICIES: Final = "\0policies of "


@dataclass(slots=True)
class _Space:
    versions: dict[str, Version | None] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    sorted: bool = True


class State:
    """Keys by space: a namespace, or a namespace with a collection, whose keys are hashes in hex."""

    def __init__(self) -> None:
        self._spaces: dict[str, _Space] = {}
        self._values: dict[tuple[str, str], bytes] = {}
        self._ids: set[str | bytes] = set()

    def version(self, space: str, key: str) -> Version | None:
        """Where the key's value was written; None for a key that is absent."""
        found = self._spaces.get(space)
        return found.versions.get(key) if found else None

    def range(self, space: str, start: str, end: str, last: bool) -> Iterator[tuple[str, Version]]:
        """Keys with start <= key < end, or key <= end where ``last``, in order. An empty end is none."""
        found = self._spaces.get(space)
        if found is None:
            return
        if not found.sorted:
            found.order.sort()
            found.sorted = True
        first = bisect_left(found.order, start)
        stop = (bisect_right if last else bisect_left)(found.order, end) if end else len(found.order)
        for index in range(first, stop):
            key = found.order[index]
            version = found.versions[key]
            if version is not None:
                yield key, version

    def write(self, space: str, key: str, version: Version | None) -> None:
        """Note where a key was written, or with None that it is absent from now on."""
        found = self._spaces.setdefault(space, _Space())
        if key not in found.versions:
            if version is None:
                return
            found.order.append(key)
            found.sorted = False
        found.versions[key] = version

    def keep(self, space: str, key: str, value: bytes | None) -> None:
        """Keep a value that later blocks are judged by; None removes it."""
        if value is None:
            self._values.pop((space, key), None)
        else:
            self._values[space, key] = value

    def value(self, space: str, key: str) -> bytes | None:
        """A value that was kept."""
        return self._values.get((space, key))

    def policy(self, space: str, key: str) -> bytes:
        """Who has to endorse a change of this key alone; empty where that is as of the others."""
        return self.value(_POLICIES + space, key) or b""

    def set_policy(self, space: str, key: str, policy: bytes | None) -> None:
        """Note who has to endorse a change of this key alone; None or empty for those of all others."""
        self.keep(_POLICIES + space, key, policy or None)

    def has_id(self, transaction_id: str) -> bool:
        """Whether a transaction of this id stands in a block, valid or not."""
        return _short(transaction_id) in self._ids

    def add_id(self, transaction_id: str) -> None:
        """Note that a transaction of this id stands in a block."""
        self._ids.add(_short(transaction_id))


def _short(transaction_id: str) -> str | bytes:
    """Half the memory for what is an id's usual form."""
    try:
        short = bytes.fromhex(transaction_id)
    except ValueError:
        return transaction_id
    return short if short.hex() == transaction_id else transaction_id
