"""Takes a file in: a copy by digest, the table's root under its own key, and a dataset on the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tallystick import sealing
from tallystick.clients.provenance import Recorded, Reference, Requests
from tallystick.errors import CouldNotCheck, InvalidInput, PolicyError, Refused
from tallystick.fingerprint.keys import SCHEME
from tallystick.policy import DatasetPolicy, check_columns, load_policy
from tallystick.steps.opening import sealing_key, table_key
from tallystick.steps.records import FoundRecord, find_record
from tallystick.steps.results import Result
from tallystick.steps.workspace import Workspace
from tallystick.store import Progress, StoredObject

if TYPE_CHECKING:
    import pyarrow as pa

ATTEMPTS: Final = 8
"""How often a version is asked for again when somebody else was given it meanwhile."""
VERSION_TAKEN: Final = "VERSION_NOT_NEXT"


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
    """What was read, before the ledger knows of it."""

    policy: DatasetPolicy
    stored: StoredObject
    table: pa.Table
    parents: tuple[Reference, ...]


def ingest(
    w: Workspace,
    requests: Requests,
    source: Path,
    policy_path: Path,
    *,
    parents: Sequence[Reference] = (),
    progress: Progress | None = None,
    may_refer: bool = True,
) -> Ingested:
    """Register the file ``source`` as the next version of the dataset that the policy names.

    Where the latest version is of the same bytes, policy and parents, its use is recorded instead.
    ``progress`` is told how many more bytes are copied; ``may_refer`` is as for `Store.add_file`. Raises
    `InvalidInput` (`PolicyError`) before anything is recorded, and whatever the ledger says; of a file that
    is refused the store keeps nothing.
    """
    policy = load_policy(policy_path)
    check_columns(policy, source)
    stored = w.store.add_file(source, progress, may_refer=may_refer)
    try:
        table = _read(w.store.path(stored.digest), source, policy)
    except BaseException:
        _let_go(w, stored)
        raise
    w.store.add_bytes(policy.canonical)
    try:
        return _recorded(w, requests, _Taken(policy, stored, table, tuple(parents)))
    except Refused:
        _let_go(w, stored)
        raise


def _let_go(w: Workspace, stored: StoredObject) -> None:
    """Delete the copy that no record names: no erasure would ever reach it."""
    w.store.take_back(stored)


def _recorded(w: Workspace, requests: Requests, taken: _Taken) -> Ingested:
    policy = taken.policy
    for attempt in range(ATTEMPTS):
        latest = _latest(w, policy.name)
        if latest is not None and _same(w, latest, taken):
            return _repeated(w, requests, latest, taken)
        try:
            return _registered(w, requests, taken)
        except Refused as refused:
            # Somebody else registered a version meanwhile: theirs may even be of the same data.
            if refused.code != VERSION_TAKEN or attempt == ATTEMPTS - 1:
                raise
    raise CouldNotCheck(f"no version of {policy.name} could be registered")


def _read(path: Path, source: Path, policy: DatasetPolicy) -> pa.Table:
    """The stored table; what is wrong with it is said of the file that the user knows."""
    from tallystick.steps.tables import check_keys, read_table

    try:
        table = read_table(path, policy)
    except PolicyError:
        raise
    except InvalidInput as error:
        raise InvalidInput(error.message.replace(str(path), str(source)), hint=error.hint) from None
    check_keys(table, policy, source)
    return table


def _latest(w: Workspace, name: str) -> FoundRecord | None:
    """The latest version's record, unless there is none or it is retired."""
    version = w.provenance.latest_version("dataset", name)
    if version == 0:
        return None
    record_id = f"dataset/{name}/{version}"
    if w.provenance.read(record_id)["retirement"] is not None:
        return None
    return find_record(w, record_id)


def _same(w: Workspace, latest: FoundRecord, taken: _Taken) -> bool:
    body = latest.body
    if body["policy"] != sealing.seal(None, taken.policy.digest):
        return False
    if body["parents"] != [parent.value() for parent in taken.parents]:
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


def _registered(w: Workspace, requests: Requests, taken: _Taken) -> Ingested:
    from tallystick.fingerprint.tables import fingerprint_table

    policy = taken.policy
    # A key of its own for every version: destroying it erases this version and no other.
    dataset_key = w.keyring.create(policy.name)
    key = dataset_key.table_key()
    fingerprint = fingerprint_table(taken.table, key, subject=policy.privacy.subject)
    under = sealing_key(policy, key)
    file = sealing.seal(under, taken.stored.digest)
    # Before the ledger names it: a record whose object nobody can find would be worth nothing.
    sealing.remember(w.store, file, taken.stored.digest)
    request: dict[str, Any] = {
        "name": policy.name,
        "version": w.provenance.latest_version("dataset", policy.name) + 1,
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
            **request,
        )
    except Refused:
        w.keyring.erase(dataset_key.key_id)
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
