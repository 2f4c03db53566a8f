"""What a host accepts from a contract. Every host calls these checks, so that all refuse alike."""

from __future__ import annotations

import re
from typing import Final

from chaincode.errors import Refusal

MAX_KEY: Final = 512
MAX_RECORD: Final = 60 * 1024
MAX_VALUE: Final = 60 * 1024
MAX_SCAN: Final = 1000
#: All records of one transaction travel in one event (Fabric allows one).
MAX_EVENT: Final = 4 * 1024 * 1024
MAX_REQUEST: Final = 4 * 1024 * 1024

#: The one prefix that no contract owns: chaincode/streams.py counts there for all of them.
SHARED_PREFIX: Final = "streams/"

_KEY: Final = re.compile(r"[a-z][a-z0-9-]*(/[A-Za-z0-9._:+~-]+)+")


def check_key(key: str) -> None:
    """Raise `Refusal` INVALID_KEY unless ``key`` is a path of ASCII segments below a contract's name."""
    if type(key) is not str or len(key) > MAX_KEY or not _KEY.fullmatch(key):
        raise Refusal("INVALID_KEY", limit_characters=MAX_KEY)


def check_write(contract: str, key: str, value: bytes | None) -> None:
    """Raise `Refusal` for a key outside the contract's own, or a value that is not text of the size."""
    check_key(key)
    if not key.startswith((contract + "/", SHARED_PREFIX)):
        raise Refusal("FOREIGN_KEY", contract=contract)
    if value is None:
        return
    if type(value) is not bytes or not 0 < len(value) <= MAX_VALUE:
        raise Refusal("INVALID_VALUE", limit_bytes=MAX_VALUE)
    try:
        value.decode()
    except UnicodeDecodeError:
        raise Refusal("INVALID_VALUE", reason="not UTF-8") from None


def check_scan(start: str, end: str, limit: int) -> None:
    """Raise `Refusal` INVALID_SCAN unless the range is not empty and the page is of the allowed size."""
    if not start < end or not 1 <= limit <= MAX_SCAN:
        raise Refusal("INVALID_SCAN", limit=MAX_SCAN)


def check_event(record: bytes, total: int) -> None:
    """Raise `Refusal` TOO_LARGE for a record, or for a transaction with ``total`` bytes of records."""
    if type(record) is not bytes or len(record) > MAX_RECORD:
        raise Refusal("TOO_LARGE", limit_bytes=MAX_RECORD)
    if total > MAX_EVENT:
        raise Refusal("TOO_LARGE", limit_event_bytes=MAX_EVENT)
