"""What a validation found, out of what the store kept of it: counts for the screen, the page of Data Docs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.settings import Settings

if TYPE_CHECKING:
    from tallystick.reports.queries import Index
    from tallystick.reports.record import Record

_MOST_BYTES = 64 << 20


def failed_rows(settings: Settings, index: Index, record: Record) -> list[tuple[str, str]]:
    """Each expectation of a validation that failed, with its columns, and how many rows broke it.

    Raises `CouldNotCheck` and `NotAsRecorded` where the kept result is not to be had.
    """
    from chaincode import canonical
    from tallystick.store import Store

    data = Store(settings.objects).read(_result(settings, index, record), _MOST_BYTES)
    try:
        results = canonical.decode(data)["results"]
        return [(each["expectation"], _broke(each)) for each in results if not each["success"]]
    except (canonical.NotCanonical, KeyError, TypeError):
        raise NotAsRecorded(f"what is kept of {record.id} is no result of a validation") from None


def write_docs(settings: Settings, index: Index, record: Record, path: Path) -> None:
    """Write a validation's Data Docs to ``path``. Raises as `failed_rows`, and `InvalidInput`."""
    from tallystick.files import write_atomic
    from tallystick.steps.validation import data_docs
    from tallystick.store import Store

    if record.kind != "validation":
        raise InvalidInput(
            f"{record.id} is no validation, so it has no Data Docs",
            hint="See them: tally log --kind validation",
        )
    if path.exists() or not path.parent.is_dir():
        raise InvalidInput(
            f"{path} cannot be written: it is there already, or its directory is not",
            hint="Nothing was changed. Name a new file: --docs page.html",
        )
    page = data_docs(Store(settings.objects), _result(settings, index, record))
    write_atomic(path, page.read_bytes())


def _result(settings: Settings, index: Index, record: Record) -> str:
    """The SHA-256 of the kept result, which under a privacy regime only the table's key gives."""
    from tallystick import sealing
    from tallystick.fingerprint.keys import Keyring
    from tallystick.steps.opening import table_key
    from tallystick.store import Store

    digests = record.body["result"]
    key = None
    if sealing.PLAIN not in digests:
        key = table_key(Keyring(settings.keys), index.find(record.body["dataset"]["id"]).body)
    return sealing.resolve(Store(settings.objects), digests, key)


def _broke(result: dict[str, Any]) -> str:
    if "unexpected_count" not in result:
        return "could not be evaluated" if result.get("error") else "does not hold for the table"
    rows = result.get("element_count")
    return f"{result['unexpected_count']:,}" + (f" of {rows:,} rows" if rows is not None else " rows")
