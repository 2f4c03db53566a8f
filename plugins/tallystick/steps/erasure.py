"""Destroys what a dataset's erasure promises to destroy: its objects, and its key with the last version.

What stands on the ledger stays; without the key its keyed digests mean nothing any more. Backups and
copies outside the home are not reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from chaincode import canonical
from tallystick import sealing
from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded
from tallystick.fingerprint.keys import TableKey
from tallystick.steps.opening import table_key
from tallystick.steps.workspace import Workspace
from tallystick.store import Store

_MOST_MANIFEST: Final = 64 << 20


@dataclass(frozen=True)
class Erased:
    """How many objects were removed, and whether the key was (it is kept while other versions use it)."""

    objects: int
    key_destroyed: bool


def erase(
    w: Workspace,
    dataset: Mapping[str, Any],
    derived: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
) -> Erased:
    """Erase the objects of the dataset record ``dataset`` (its body) and what was sealed of them.

    ``derived`` are the bodies of the records that came from it, ``others`` those of the datasets that are
    not erased: their objects stay. Run again it goes on where it was stopped. Raises `CouldNotCheck`
    where something cannot be removed.
    """
    try:
        key = table_key(w.keyring, dataset)
    except CouldNotCheck:
        key = None  # destroyed before, so what was sealed under it can no longer be found
    kept = {digest for other in others for digest in _files(w, other)}
    removed = 0
    sealed = [file["digest"] for file in dataset["files"]]
    sealed += [digests for body in derived for digests in _digests(body) if sealing.KEYED in digests]
    for digests in sealed:
        for sha256 in _objects(w.store, digests, key):
            if sha256 not in kept:
                removed += w.store.delete(sha256)
        sealing.forget(w.store, digests)
    last = all(other["table"]["key"] != dataset["table"]["key"] for other in others)
    if last and key is not None:
        w.keyring.erase(key.key_id)
    return Erased(removed, last)


def _files(w: Workspace, body: Mapping[str, Any]) -> Iterator[str]:
    """The plain SHA-256 of another dataset's files, as far as they can be found."""
    for file in body["files"]:
        try:
            yield sealing.resolve(w.store, file["digest"], table_key(w.keyring, body))
        except (CouldNotCheck, NotAsRecorded):
            continue


def _digests(value: Any) -> Iterator[Mapping[str, str]]:
    """Every set of digests in a record's body."""
    if isinstance(value, Mapping):
        if value.keys() <= {sealing.PLAIN, sealing.KEYED} and value:
            yield value
        else:
            for item in value.values():
                yield from _digests(item)
    elif isinstance(value, list):
        for item in value:
            yield from _digests(item)


def _objects(store: Store, digests: Mapping[str, str], key: TableKey | None) -> list[str]:
    """The object that ``digests`` name; of a folder, its files and then its manifest."""
    try:
        sha256 = sealing.resolve(store, digests, key)
    except (CouldNotCheck, NotAsRecorded):
        return []
    return [*_members(store, sha256), sha256]


def _members(store: Store, sha256: str) -> list[str]:
    try:
        value = canonical.decode(store.read(sha256, _MOST_MANIFEST))
        return [item["sha256"] for item in value["files"]] if value.keys() == {"files", "v"} else []
    except (CouldNotCheck, NotAsRecorded, InvalidInput, ValueError, KeyError, TypeError, AttributeError):
        return []
