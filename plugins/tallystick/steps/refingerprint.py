"""Makes the fingerprint of a stored table again, reading it as ingest did: what a verification compares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.fingerprint.keys import TableKey
from tallystick.steps.opening import stored_policy
from tallystick.store import Store

if TYPE_CHECKING:
    from tallystick.fingerprint.tables import TableFingerprint


def refingerprint(store: Store, path: Path, policy: str, key: TableKey) -> TableFingerprint:
    """The fingerprint of the table at ``path`` under the stored policy of the SHA-256 ``policy``.

    Raises `NotAsRecorded` for a file that is no such table, and as `stored_policy` does.
    """
    from tallystick.fingerprint.tables import fingerprint_table
    from tallystick.steps.tables import read_table

    read_as = stored_policy(store, policy)
    try:
        return fingerprint_table(read_table(path, read_as), key, subject=read_as.privacy.subject)
    except InvalidInput as error:
        raise NotAsRecorded("the stored file is no longer the table that its policy describes") from error
