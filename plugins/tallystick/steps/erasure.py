"""Destroys what a dataset's erasure promises to: the version's key, its objects and what came of them.

What stands on the ledger stays; without the key its keyed digests mean nothing any more. Not reached are
backups and copies outside the home, what MLflow holds, and the plain digests in Airflow's database
(docs/verification.md, "After an erasure").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from tallystick import sealing
from tallystick.errors import CouldNotCheck, InvalidInput, Missing, NotAsRecorded
from tallystick.files import alone, private_directory
from tallystick.fingerprint.keys import TableKey
from tallystick.folders import read_manifest
from tallystick.steps.opening import table_key
from tallystick.steps.run_record import read_run_record
from tallystick.steps.validation import remove_data_docs
from tallystick.steps.workspace import Workspace
from tallystick.store import Store

#: Kinds of records that name no object. One that is forgotten here is read for nothing and harms nobody.
NAMELESS: Final = frozenset({"charter", "use", "retirement", "outcome", "pipeline", "attestation"})

_MOST_MANIFEST: Final = 64 << 20

#: How a record names an object: `sealing.PLAIN` or `sealing.KEYED`, and that digest.
_Digest = tuple[str, str]


@dataclass(frozen=True)
class Named:
    """The objects that records name, each once. ``manifests`` and ``run_records`` are those of
    ``objects`` that name others in turn."""

    objects: set[_Digest] = field(default_factory=set)
    manifests: set[_Digest] = field(default_factory=set)
    run_records: set[_Digest] = field(default_factory=set)

    def add(self, body: Mapping[str, Any]) -> None:
        """Take in what a record's ``body`` names."""
        self.objects.update(_digests(body))
        self.run_records.update(_digests(body.get("sealed")))
        self.manifests.update(_digests(body.get("artifacts")))


def erase(w: Workspace, dataset: Mapping[str, Any], own: Named, others: Named) -> int:
    """Erase what the dataset record ``dataset`` and what came of it name, and all that was sealed under its
    key; how many objects.

    ``dataset`` is that record's body; ``own`` what it and the records that came from it name, other
    datasets and what came of those left out; ``others`` what all other records that stand name, which
    stays. Run again it goes on where it was stopped. Raises `CouldNotCheck` where something cannot be
    removed.
    """
    # Whatever a running step stores now, it stores before, and is found, or after, and finds no key.
    with alone(private_directory(w.store.root)):
        remembered = sealing.remembered(w.store)
        mine = _sealed(w, dataset, remembered) | {
            sealed for how, sealed in own.objects if how == sealing.KEYED
        }
        theirs = {sealed: sha256 for sealed, sha256 in remembered.items() if sealed not in mine}
        going = _reached(w.store, own, remembered) | {remembered[each] for each in mine & remembered.keys()}
        staying = _reached(w.store, others, theirs) | set(theirs.values())
        removed = 0
        for sha256 in sorted(going - staying):
            removed += remove_data_docs(w.store, sha256) + w.store.delete(sha256)
        # Last, so that a run that is stopped can be done again: without these nothing would be found.
        for sealed in mine:
            sealing.forget(w.store, {sealing.KEYED: sealed})
        with suppress(Missing):  # destroyed before
            w.keyring.erase(dataset["table"]["key"])
        return removed


def _sealed(w: Workspace, dataset: Mapping[str, Any], remembered: Mapping[str, str]) -> set[str]:
    """What is remembered under the dataset's key, recorded or not: of a training that was killed too."""
    try:
        key = table_key(w.keyring, dataset)
    except CouldNotCheck:
        return set()
    return {sealed for sealed, sha256 in remembered.items() if _opens(key, sealed, sha256)}


def _opens(key: TableKey, sealed: str, sha256: str) -> bool:
    try:
        return key.seal_digest(sha256) == sealed
    except InvalidInput:
        return False


def _digests(value: Any) -> Iterator[_Digest]:
    """Every digest of an object in a part of a record's body; what has an id is a record."""
    if isinstance(value, Mapping):
        if value and value.keys() <= {sealing.PLAIN, sealing.KEYED}:
            yield from value.items()
        elif "id" not in value:
            for item in value.values():
                yield from _digests(item)
    elif isinstance(value, list):
        for item in value:
            yield from _digests(item)


def _reached(store: Store, named: Named, remembered: Mapping[str, str]) -> set[str]:
    """The SHA-256 of the objects that are ``named`` and known here, and of those that they name in turn: a
    folder's files, a run's predictions."""

    def known(digests: Iterable[_Digest]) -> set[str]:
        plain = {digest if how == sealing.PLAIN else remembered.get(digest) for how, digest in digests}
        return {sha256 for sha256 in plain if sha256 is not None}

    return known(named.objects).union(
        *(_named_by(_members, store, sha256) for sha256 in known(named.manifests)),
        *(_named_by(_predictions, store, sha256) for sha256 in known(named.run_records)),
    )


def _named_by(read: Callable[[Store, str], list[str]], store: Store, sha256: str) -> list[str]:
    """What ``read`` finds in an object; nothing in one that is gone or is not what its record says."""
    try:
        return read(store, sha256)
    except (CouldNotCheck, NotAsRecorded, InvalidInput):
        return []


def _members(store: Store, sha256: str) -> list[str]:
    return [member for _, member in read_manifest(store.read(sha256, _MOST_MANIFEST), sha256)]


def _predictions(store: Store, sha256: str) -> list[str]:
    return [read_run_record(store, sha256).value["predictions"]["sha256"]]
