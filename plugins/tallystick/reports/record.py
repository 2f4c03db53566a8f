"""A record as the read index gives it back, and what may be read off it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tallystick.ledger.port import LoggedRecord


@dataclass(frozen=True)
class Record:
    """One record of the log. ``time_ms`` is the transaction's claim; ``salt`` is its leaf's, in hex."""

    leaf: int
    id: str
    kind: str
    digest: str
    block: int
    transaction_id: str
    time_ms: int
    msp_id: str
    member: str
    salt: str
    content: bytes

    @cached_property
    def value(self) -> dict[str, Any]:
        """The record's canonical JSON, decoded."""
        value: dict[str, Any] = json.loads(self.content)
        return value

    @property
    def body(self) -> dict[str, Any]:
        """What the record says."""
        body: dict[str, Any] = self.value["body"]
        return body

    @property
    def streams(self) -> dict[str, dict[str, int]]:
        """Its number and time in each stream: that of its own name first, that of its pipeline last."""
        streams: dict[str, dict[str, int]] = self.value["streams"]
        own = f"{self.kind}:{subject_of(self.kind, self.id, self.body)}"
        # A record is canonical JSON, which has its streams by name.
        return dict(
            sorted(streams.items(), key=lambda item: (item[0] != own, item[0].startswith("pipeline:")))
        )

    @property
    def logged(self) -> LoggedRecord:
        """What the index says that the log holds, to be proven by `ledger.inclusion`."""
        return LoggedRecord(self.leaf, self.content, self.salt)


def references(value: Any, role: str = "") -> Iterator[tuple[str, str]]:
    """Every (field, record id) that a record's body refers to, at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get("id"), str) and isinstance(value.get("digest"), dict):
            yield role, value["id"]
            return
        for key, item in value.items():
            yield from references(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from references(item, role)


def subject_of(kind: str, record_id: str, body: dict[str, Any]) -> str:
    """What people call it: a dataset's or a model's name, a run's id, a pipeline's name."""
    if kind == "pipeline":
        return str(body["dag"])
    if kind == "outcome":
        return f"{body['task']['dag']}.{body['task']['task']}"
    return record_id.split("/")[1] if "/" in record_id else record_id
