"""What a transaction read and wrote, by namespace: TxReadWriteSet of Fabric."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

from tallystick.proof.protobuf import TEXT, Message, Shape, shaped

_HASH_OF_NOTHING: Final = sha256().digest()
_ENTRY: Final[Shape] = {1: TEXT}
_PUBLIC: Final[Shape] = {4: {1: TEXT, 2: _ENTRY}}
_HASHED: Final[Shape] = {3: {2: _ENTRY}}
_RANGE: Final[Shape] = {4: {1: {1: TEXT, 2: {}}}, 5: {}}


class Version(NamedTuple):
    """Where a value was written: the block, and the position in it. Absent keys have no version."""

    block: int
    position: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A range's reads as a tree of hashes: what is left of them where they were many."""

    max_degree: int
    max_level: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class RangeRead:
    """A range that was read: start <= key < end, or up to ``end`` itself where it was not read to its end.

    ``found`` has the keys with their versions, or their summary.
    """

    start: str
    end: str
    exhausted: bool
    found: tuple[tuple[str, Version], ...] | Summary


@dataclass(frozen=True, slots=True)
class HashedCollection:
    """What was read and written of private data: all that the channel knows of it are hashes."""

    name: str
    reads: tuple[tuple[bytes, Version | None], ...]
    writes: tuple[tuple[bytes, bool], ...]
    policies: tuple[tuple[bytes, bytes | None], ...]

    @property
    def changes(self) -> bool:
        """Whether anything of the collection is written."""
        return bool(self.writes or self.policies)


@dataclass(frozen=True, slots=True)
class NamespaceSet:
    """Reads, ranges and writes (None deletes) of one namespace, in the order in which they stand there.

    ``policies`` are its writes of metadata: who has to endorse a change of that key alone (empty: whoever
    has to of the others), None where it has no metadata any more.
    """

    namespace: str
    reads: tuple[tuple[str, Version | None], ...]
    ranges: tuple[RangeRead, ...]
    writes: tuple[tuple[str, bytes | None], ...]
    policies: tuple[tuple[str, bytes | None], ...]
    collections: tuple[HashedCollection, ...]

    @property
    def changes_public(self) -> bool:
        """Whether anything but private data is written."""
        return bool(self.writes or self.policies)

    @property
    def changes(self) -> bool:
        """Whether anything of the namespace is written."""
        return self.changes_public or any(each.changes for each in self.collections)


def parse_rwset(data: bytes) -> tuple[NamespaceSet, ...]:
    """The sets of all namespaces. Raises `Malformed`."""
    return tuple(_namespace(each) for each in Message(data, "read-write set").messages(2))


def _namespace(message: Message) -> NamespaceSet:
    public = shaped(message.blob(2), "read-write set", _PUBLIC)
    return NamespaceSet(
        message.text(1),
        tuple(_read(each) for each in public.messages(1)),
        tuple(_range(shaped(each, "read-write set", _RANGE)) for each in public.blobs(2)),
        tuple((each.text(1), _written(each.number(2), each.blob(3))) for each in public.messages(3)),
        tuple((each.text(1), _policy(each)) for each in public.messages(4)),
        tuple(_collection(each) for each in message.messages(3)),
    )


def _collection(message: Message) -> HashedCollection:
    hashed = shaped(message.blob(2), "read-write set", _HASHED)
    return HashedCollection(
        message.text(1),
        tuple((each.blob(1), _version(each, 2)) for each in hashed.messages(1)),
        tuple((each.blob(1), _deletes(each.number(2), each.blob(3))) for each in hashed.messages(2)),
        tuple((each.blob(1), _policy(each)) for each in hashed.messages(3)),
    )


def _written(deletes: int, value: bytes) -> bytes | None:
    return value if value and not deletes else None


def _policy(metadata: Message) -> bytes | None:
    entries = {each.text(1): each.blob(2) for each in metadata.messages(2)}
    return entries.get("VALIDATION_PARAMETER", b"") if entries else None


def _deletes(flag: int, value_hash: bytes) -> bool:
    return bool(flag) or value_hash in (b"", _HASH_OF_NOTHING)


def _read(message: Message) -> tuple[str, Version | None]:
    return message.text(1), _version(message, 2)


def _version(message: Message, number: int) -> Version | None:
    if not message.has(number):
        return None
    version = message.message(number)
    return Version(version.number(1), version.number(2))


def _range(message: Message) -> RangeRead:
    found: Any
    which, parts = message.oneof(blobs=(4, 5))
    content = Message(b"".join(parts), "read-write set")
    if which == 5:
        summary = content
        degree, level = summary.number(1) & 0xFFFFFFFF, summary.number(2) & 0xFFFFFFFF
        found = Summary(degree, level, tuple(summary.blobs(3)))
    else:
        # Fabric reads a version that is missing here as (0, 0), which nothing but block 0 could write.
        reads = [_read(each) for each in content.messages(1)]
        found = tuple((key, version or Version(0, 0)) for key, version in reads)
    return RangeRead(message.text(1), message.text(2), bool(message.number(3)), found)
