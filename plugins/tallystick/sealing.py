"""Digests of what derives from rows: keyed under a privacy regime, plain without one (ledger.md).

The store is addressed by sealed digests too, so that whoever has the key finds everything from a record
alone: `remember` keeps ``objects/sealed/<keyed digest>``, a file whose content is the plain SHA-256. Without
a regime what is made of the rows is remembered so too, for an erasure alone (`steps.opening.store_of`).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tallystick.errors import CouldNotCheck, Missing, NotAsRecorded
from tallystick.files import private_directory, read_small, remove, write_atomic
from tallystick.fingerprint.keys import TableKey
from tallystick.store import Store

PLAIN: Final = "sha256"
KEYED: Final = "hmac-sha256"

Digests = Mapping[str, str]
"""``{"sha256": hex}`` or ``{"hmac-sha256": hex}``, as it stands in records."""

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_ABSENT: Final = "the object of the sealed digest {} is erased or not here"
_ONLY_THERE: Final = "It can be checked only where the dataset's key and its objects are."


def seal(key: TableKey | None, sha256: str) -> dict[str, str]:
    """What is recorded of an object's SHA-256 (64 hex digits): keyed where there is a ``key``."""
    if key is None:
        return {PLAIN: sha256}
    return {KEYED: key.seal_digest(sha256)}


def remember(store: Store, digests: Digests, sha256: str) -> None:
    """Let `resolve` find the object ``sha256`` by its sealed ``digests``. Plain ones need no memory.

    Raises `CouldNotCheck` when the store cannot be written.
    """
    if KEYED in digests:
        place = _place(store, digests[KEYED])
        private_directory(place.parent)
        write_atomic(place, sha256.encode(), 0o400)


def forget(store: Store, digests: Digests) -> None:
    """The opposite of `remember`, for an erasure. Raises `CouldNotCheck` where it cannot be removed."""
    if KEYED in digests:
        remove(_place(store, digests[KEYED]))


def remembered(store: Store) -> dict[str, str]:
    """Every sealed digest that `remember` keeps, with the SHA-256 it stands for, not checked.

    Raises `CouldNotCheck` for one that cannot be read.
    """
    places = sorted((store.root / "sealed").glob("[0-9a-f]*"))
    try:
        return {place.name: read_small(place).decode("ascii", "replace") for place in places}
    except OSError as error:
        raise CouldNotCheck(f"{error.filename} cannot be read: {error.strerror}") from None


def resolve(store: Store, digests: Digests, key: TableKey | None) -> str:
    """The SHA-256 of the object that a record names by ``digests``, checked under ``key`` again.

    Raises `CouldNotCheck` without the key, `Missing` where the memory is erased or not here, and
    `NotAsRecorded` where what is remembered is not what was sealed.
    """
    if PLAIN in digests:
        return digests[PLAIN]
    sealed = digests.get(KEYED, "")
    if key is None or not _HEX.fullmatch(sealed):
        raise CouldNotCheck(_ABSENT.format(sealed[:12]), hint=_ONLY_THERE)
    try:
        sha256 = read_small(_place(store, sealed)).decode("ascii")
    except FileNotFoundError:
        raise Missing(_ABSENT.format(sealed[:12]), hint=_ONLY_THERE) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CouldNotCheck(
            f"the sealed digest {sealed[:12]} cannot be read: {type(error).__name__}"
        ) from None
    if not _HEX.fullmatch(sha256) or not hmac.compare_digest(key.seal_digest(sha256), sealed):
        raise NotAsRecorded(f"the object of the sealed digest {sealed[:12]} was exchanged")
    return sha256


def _place(store: Store, sealed: str) -> Path:
    return store.root / "sealed" / sealed
