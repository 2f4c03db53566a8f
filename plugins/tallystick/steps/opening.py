"""Opens a registered dataset from its record alone: key, policy and data, each checked on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from chaincode import canonical
from tallystick import floats, sealing
from tallystick.clients.provenance import Reference
from tallystick.errors import NotAsRecorded
from tallystick.fingerprint.keys import Keyring, TableKey
from tallystick.policy import DatasetPolicy
from tallystick.steps.records import find_record
from tallystick.steps.workspace import Workspace
from tallystick.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

    from tallystick.fingerprint.tables import RowLeaves

_MAX_POLICY: Final = 4 << 20


@dataclass(frozen=True)
class Dataset:
    """A registered dataset, opened. ``file`` is the plain SHA-256 of its data, ``path`` where it lies."""

    reference: Reference
    body: Mapping[str, Any]
    policy: DatasetPolicy
    key: TableKey
    file: str
    path: Path

    @property
    def sealing(self) -> TableKey | None:
        """What digests of things that derive from its rows are sealed with: None without a regime."""
        return sealing_key(self.policy, self.key)

    @cached_property
    def table(self) -> pa.Table:
        """Its rows, as the policy declares them."""
        from tallystick.steps.tables import read_table

        return read_table(self.path, self.policy)

    def leaves(self) -> RowLeaves:
        """Leaf and id of every row. Raises `NotAsRecorded` where they do not make the recorded root."""
        from tallystick.fingerprint.tables import row_leaves

        leaves = row_leaves(self.table, self.key, subject=self.policy.privacy.subject)
        if leaves.root != self.body["table"]["root"]:
            raise NotAsRecorded(f"the rows of {self.reference.id} do not make the root that is recorded")
        return leaves


def open_dataset(w: Workspace, reference: Reference) -> Dataset:
    """The dataset that ``reference`` names; its bytes are digested again before anything reads them.

    Raises `CouldNotCheck` where key, policy or data are erased or not here, and `NotAsRecorded` where
    they differ from the record.
    """
    body = find_record(w, reference).body
    key = table_key(w.keyring, body)
    policy = stored_policy(w.store, sealing.resolve(w.store, body["policy"], key))
    file = sealing.resolve(w.store, body["files"][0]["digest"], key)
    return Dataset(reference, body, policy, key, file, w.store.path(file))


def table_key(keyring: Keyring, body: Mapping[str, Any]) -> TableKey:
    """The table key of a dataset record's ``body``. Raises `CouldNotCheck` where it is not here."""
    return keyring.load(body["table"]["key"]).table_key(bytes.fromhex(body["table"]["nonce"]))


def store_of(w: Workspace, dataset: Dataset) -> Store:
    """The store for what is made of a dataset's rows: under a regime or none, each object is remembered under
    the dataset's key before it is there, so that an erasure finds what nothing came to record.

    Adding raises `Missing` once the dataset is erased.
    """

    def note(sha256: str) -> None:
        sealing.remember(w.store, sealing.seal(table_key(w.keyring, dataset.body), sha256), sha256)

    return w.store.noting(note)


def sealing_key(policy: DatasetPolicy, key: TableKey) -> TableKey | None:
    """``key`` under a privacy regime, None without one."""
    return None if policy.privacy.regime == "none" else key


def stored_policy(store: Store, digest: str) -> DatasetPolicy:
    """The policy whose canonical bytes the store keeps under ``digest``. Raises as `Store.read` does."""
    try:
        policy = DatasetPolicy.model_validate(floats.untag(canonical.decode(store.read(digest, _MAX_POLICY))))
    except (canonical.NotCanonical, ValidationError):
        raise NotAsRecorded(f"object {digest[:12]} is no dataset policy") from None
    if policy.digest != digest:
        raise NotAsRecorded(f"the policy {digest[:12]} means something else to this version of tallystick")
    return policy
