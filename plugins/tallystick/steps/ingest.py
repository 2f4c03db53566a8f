"""Takes a file in: a copy by digest, the table's root under its own key, and a dataset on the ledger."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tallystick import sealing
from tallystick.clients.provenance import Recorded, Reference, Requests
from tallystick.errors import CouldNotCheck, InvalidInput, PolicyError, Refused
from tallystick.fingerprint.data_file import open_plain
from tallystick.fingerprint.keys import SCHEME, TableKey
from tallystick.policy import DatasetPolicy, check_columns, load_policy
from tallystick.steps.opening import sealing_key, table_key
from tallystick.steps.published import check_published
from tallystick.steps.records import FoundRecord, find_record
from tallystick.steps.results import Result
from tallystick.steps.versions import with_latest
from tallystick.steps.workspace import Workspace
from tallystick.store import Progress, StoredObject

if TYPE_CHECKING:
    from tallystick.fingerprint.tables import TableFingerprint


@dataclass(frozen=True)
class Ingested(Result):
    """A dataset that stands on the ledger. ``file`` and ``policy`` are plain SHA-256 of store objects;
    ``repeated`` where the latest version was of the same data and policy already."""

    dataset: Reference
    name: str
    version: int
    rows: int
    root: str
    file: str
    policy: str
    repeated: bool


@dataclass(frozen=True)
class _Taken:
    """What was copied, before the ledger knows of it."""

    policy: DatasetPolicy
    stored: StoredObject
    parents: tuple[Reference, ...]
    transformation: Mapping[str, Any] | None


@dataclass(frozen=True)
class _Read:
    """What was read of it, under a key of its own."""

    key: TableKey
    fingerprint: TableFingerprint


def ingest(
    w: Workspace,
    requests: Requests,
    source: Path,
    policy_path: Path,
    *,
    parents: Sequence[Reference] = (),
    transformation: Path | None = None,
    progress: Progress | None = None,
    may_refer: bool = True,
) -> Ingested:
    """Register the file ``source`` as the next version of the dataset that the policy names.

    The file is copied, digested and read as streams: memory does not grow with it. Where the latest version
    is of the same bytes, policy, parents and transformation, its use is recorded instead. ``transformation``
    is the file that made it of its parents, a script or a text: its name and plain digest are recorded.
    ``progress`` is told how many more bytes are copied; ``may_refer`` is as for `Store.add_file`. Raises
    `InvalidInput` (`PolicyError`) before anything is recorded, and whatever the ledger says; of a file that
    is refused the store keeps nothing.
    """
    policy = load_policy(policy_path)
    check_published(policy)
    check_columns(policy, source)
    made = None if transformation is None else _transformation(transformation)
    stored = w.store.add_file(source, progress, may_refer=may_refer)
    taken = _Taken(policy, stored, tuple(parents), made)
    try:
        already = _already(w, taken, w.provenance.latest_version("dataset", policy.name))
        if already is None:
            read = _fingerprinted(w, source, taken)
    except BaseException:
        w.store.take_back(stored)  # no record names it, so no erasure would ever reach it
        raise
    if already is not None:
        return _repeated(w, requests, already, taken)
    w.store.add_bytes(policy.canonical)
    try:
        done = _recorded(w, requests, taken, read)
    except Refused:
        w.keyring.erase(read.key.key_id)
        w.store.take_back(stored)
        raise
    if done.repeated:
        w.keyring.erase(read.key.key_id)
    return done


def _transformation(path: Path) -> dict[str, Any]:
    with open_plain(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = re.sub(r"[^A-Za-z0-9._:+~-]+", "-", path.name).lstrip("._:+~-")[:128]
    return {"name": name or "transformation", "digest": sealing.seal(None, digest)}


def _fingerprinted(w: Workspace, source: Path, taken: _Taken) -> _Read:
    """The stored file's rows under a new key; what is wrong with them is said of the file the user knows."""
    from tallystick.fingerprint.tables import fingerprint_table
    from tallystick.steps.tables import Rows

    path, policy = w.store.location(taken.stored.digest), taken.policy
    # A key of its own for every version: destroying it erases this version and no other.
    key = w.keyring.create(policy.name).table_key()
    try:
        rows = Rows(path, policy).source()
        return _Read(key, fingerprint_table(rows, key, subject=policy.privacy.subject))
    except BaseException as error:
        w.keyring.erase(key.key_id)
        if isinstance(error, InvalidInput) and not isinstance(error, PolicyError):
            raise InvalidInput(error.message.replace(str(path), str(source)), hint=error.hint) from None
        raise


def _recorded(w: Workspace, requests: Requests, taken: _Taken, read: _Read) -> Ingested:
    def register(latest: int) -> Ingested:
        already = _already(w, taken, latest)
        if already is not None:
            return _repeated(w, requests, already, taken)
        return _registered(w, requests, taken, read, latest + 1)

    return with_latest(w, "dataset", taken.policy.name, register)


def _already(w: Workspace, taken: _Taken, latest: int) -> FoundRecord | None:
    """The record of the version ``latest`` where it is of the same, and not retired."""
    if latest == 0:
        return None
    record_id = f"dataset/{taken.policy.name}/{latest}"
    if w.provenance.read(record_id)["retirement"] is not None:
        return None
    found = find_record(w, record_id)
    return found if _same(w, found, taken) else None


def _same(w: Workspace, latest: FoundRecord, taken: _Taken) -> bool:
    body = latest.body
    if body["policy"] != sealing.seal(None, taken.policy.digest):
        return False
    if body["parents"] != [parent.value() for parent in taken.parents]:
        return False
    if body["transformation"] != taken.transformation:
        return False
    try:
        key = sealing_key(taken.policy, table_key(w.keyring, body))
    except CouldNotCheck:
        return False  # a version whose key is gone can no longer be compared with anything
    digests: Mapping[str, str] = body["files"][0]["digest"]
    return digests == sealing.seal(key, taken.stored.digest)


def _repeated(w: Workspace, requests: Requests, latest: FoundRecord, taken: _Taken) -> Ingested:
    sealing.remember(w.store, latest.body["files"][0]["digest"], taken.stored.digest)
    w.provenance.record_use(
        requests.of("use"), dataset=latest.reference, purpose=_shorter(taken.policy.purpose, 300)
    )
    return _ingested(latest.reference, latest.body, taken, repeated=True)


def _registered(w: Workspace, requests: Requests, taken: _Taken, read: _Read, version: int) -> Ingested:
    policy, key, fingerprint = taken.policy, read.key, read.fingerprint
    under = sealing_key(policy, key)
    file = sealing.seal(under, taken.stored.digest)
    # Before the ledger names it: a record whose object nobody can find would be worth nothing.
    sealing.remember(w.store, file, taken.stored.digest)
    request: dict[str, Any] = {
        "name": policy.name,
        "version": version,
        "table": {
            "scheme": SCHEME,
            "root": fingerprint.root,
            "rows": fingerprint.rows,
            "nonce": key.nonce.hex(),
            "key": key.key_id,
        },
    }
    try:
        recorded: Recorded = w.provenance.register_dataset(
            requests.of("dataset"),
            files=[(file, taken.stored.size, taken.stored.referenced)],
            schema=sealing.seal(under, fingerprint.schema_digest),
            source=_shorter(policy.source, 500),
            licence=_shorter(policy.licence, 200),
            policy=sealing.seal(None, policy.digest),
            parents=taken.parents,
            transformation=taken.transformation,
            **request,
        )
    except Refused:
        sealing.forget(w.store, file)
        raise
    return _ingested(recorded.reference, request, taken, repeated=False)


def _ingested(dataset: Reference, body: Mapping[str, Any], taken: _Taken, *, repeated: bool) -> Ingested:
    return Ingested(
        dataset,
        body["name"],
        body["version"],
        body["table"]["rows"],
        body["table"]["root"],
        taken.stored.digest,
        taken.policy.digest,
        repeated,
    )


def _shorter(text: str, limit: int) -> str:
    """The text, cut where a record has no room for it: the policy keeps it whole."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
