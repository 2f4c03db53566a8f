"""Destroys what a dataset's erasure promises to: the version's key, its objects and what came of them.

What stands on the ledger stays; without the key its keyed digests mean nothing any more. Not reached are
backups and copies outside the home, what MLflow holds, and the plain digests in Airflow's database
(docs/verification.md, "After an erasure").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from chaincode import canonical
from tallystick import sealing
from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded
from tallystick.files import alone, private_directory
from tallystick.fingerprint.keys import TableKey
from tallystick.steps.opening import table_key
from tallystick.steps.run_record import read_run_record
from tallystick.steps.validation import remove_data_docs
from tallystick.steps.workspace import Workspace
from tallystick.store import Store

_MOST_MANIFEST: Final = 64 << 20


def erase(
    w: Workspace,
    dataset: Mapping[str, Any],
    derived: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
) -> int:
    """Erase what the dataset record ``dataset`` and what came of it name, and all that was sealed under its
    key; how many objects.

    ``dataset`` is that record's body, ``derived`` those of the records that came from it, other datasets
    and what came of those left out; ``others`` those of all other records that
    stand: what they name too stays. Run again it goes on where it was stopped. Raises `CouldNotCheck` where
    something cannot be removed.
    """
    # Whatever a running step stores now, it stores before, and is found, or after, and finds no key.
    with alone(private_directory(w.store.root)):
        remembered = sealing.remembered(w.store)
        own = [digests for body in (dataset, *derived) for digests in _digests(body)]
        own += _sealed(w, dataset, remembered)
        going = _reached(w.store, [sha256 for digests in own for sha256 in _named(remembered, digests)])
        staying = _reached(w.store, [*_elsewhere(remembered, own), *_plain(others)])
        removed = 0
        for sha256 in sorted(going - staying):
            removed += remove_data_docs(w.store, sha256) + w.store.delete(sha256)
        # Last, so that a run that is stopped can be done again: without these nothing would be found.
        for digests in own:
            sealing.forget(w.store, digests)
        with suppress(CouldNotCheck):  # destroyed before
            w.keyring.erase(dataset["table"]["key"])
        return removed


def _sealed(
    w: Workspace, dataset: Mapping[str, Any], remembered: Mapping[str, str]
) -> list[Mapping[str, str]]:
    """What is remembered under the dataset's key, recorded or not: of a training that was killed too."""
    try:
        key = table_key(w.keyring, dataset)
    except CouldNotCheck:
        return []
    return [{sealing.KEYED: sealed} for sealed, sha256 in remembered.items() if _opens(key, sealed, sha256)]


def _opens(key: TableKey, sealed: str, sha256: str) -> bool:
    try:
        return key.seal_digest(sha256) == sealed
    except InvalidInput:
        return False


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


def _named(remembered: Mapping[str, str], digests: Mapping[str, str]) -> list[str]:
    """The object that ``digests`` name, if it is known here."""
    sha256 = digests.get(sealing.PLAIN) or remembered.get(digests[sealing.KEYED])
    return [sha256] if sha256 else []


def _elsewhere(remembered: Mapping[str, str], own: Sequence[Mapping[str, str]]) -> list[str]:
    mine = {digests.get(sealing.KEYED) for digests in own}
    return [sha256 for sealed, sha256 in remembered.items() if sealed not in mine]


def _plain(bodies: Iterable[Mapping[str, Any]]) -> list[str]:
    return [
        digests[sealing.PLAIN] for body in bodies for digests in _digests(body) if sealing.PLAIN in digests
    ]


def _reached(store: Store, named: Iterable[str]) -> set[str]:
    """The objects ``named`` and those that they name: a folder's files, a run's predictions."""
    found: set[str] = set()
    for sha256 in named:
        found |= {sha256, *_members(store, sha256), *_predictions(store, sha256)}
    return found


def _predictions(store: Store, sha256: str) -> list[str]:
    try:
        return [read_run_record(store, sha256).value["predictions"]["sha256"]]
    except (CouldNotCheck, NotAsRecorded, InvalidInput):
        return []


def _members(store: Store, sha256: str) -> list[str]:
    try:
        value = canonical.decode(store.read(sha256, _MOST_MANIFEST))
        return [item["sha256"] for item in value["files"]] if value.keys() == {"files", "v"} else []
    except (CouldNotCheck, NotAsRecorded, InvalidInput, ValueError, KeyError, TypeError, AttributeError):
        return []
