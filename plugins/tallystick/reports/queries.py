"""What is asked of the read index: latest records, one by whatever a person types, streams, lineage."""

from __future__ import annotations

import functools
import json
import sqlite3
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tallystick.errors import InvalidInput
from tallystick.nearest import nearest
from tallystick.reports.record import Record

_COLUMNS: Final = (
    "records.leaf, records.id, kind, digest, block, transaction_id, time_ms, msp_id, member,"
    " CAST(salt AS TEXT), CAST(content AS BLOB)"
)
#: Kinds that people call by name, in the order in which a name is looked for.
NAMED: Final = ("dataset", "model", "run", "pipeline")
_MOST_EDGES: Final = 200


@dataclass(frozen=True, slots=True)
class Edge:
    """``source`` refers to ``target`` in its field ``role``: the target came first."""

    source: str
    role: str
    target: str


def reduced(edges: Iterable[Edge]) -> list[Edge]:
    """``edges`` without those that a longer way says already, so that a drawing shows each step once."""
    nexts: dict[str, set[str]] = {}
    edges = list(edges)
    for edge in edges:
        nexts.setdefault(edge.source, set()).add(edge.target)

    @functools.cache
    def reach(record_id: str) -> frozenset[str]:
        direct = nexts.get(record_id, set())
        return frozenset(direct).union(*(reach(each) for each in direct))

    return [
        edge
        for edge in edges
        if not any(edge.target in reach(other) for other in nexts[edge.source] - {edge.target})
    ]


class Index:
    """Queries over one connection. Every list is bounded, and so is what is read for it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    @property
    def height(self) -> int:
        """How many blocks are indexed."""
        row = self.connection.execute("SELECT next FROM position").fetchone()
        return row[0] if row else 0

    def count(self, kind: str | None = None) -> int:
        """How many records there are, of one kind or of all."""
        if kind is None:
            return int(self.connection.execute("SELECT count(*) FROM records").fetchone()[0])
        return int(
            self.connection.execute("SELECT count(*) FROM records WHERE kind = ?", (kind,)).fetchone()[0]
        )

    def kinds(self) -> dict[str, int]:
        """How many records of each kind there are."""
        return dict(self.connection.execute("SELECT kind, count(*) FROM records GROUP BY kind"))

    def latest(
        self,
        *,
        kind: str | None = None,
        without: str | None = None,
        stream: str | None = None,
        before: int | None = None,
        limit: int = 20,
    ) -> list[Record]:
        """Records, newest first, of one kind or ``without`` one; ``before`` is the leaf of the last one on
        the page before."""
        tables, conditions, values = "records", ["1"], list[Any]()
        if stream is not None:
            tables = "records JOIN streams ON streams.leaf = records.leaf"
            conditions.append("stream = ?")
            values.append(stream)
        if kind is not None:
            conditions.append("kind = ?")
            values.append(kind)
        if without is not None:
            conditions.append("kind != ?")
            values.append(without)
        if before is not None:
            conditions.append("records.leaf < ?")
            values.append(before)
        order = "streams.number" if stream is not None else "records.leaf"
        return self._records(
            f"FROM {tables} WHERE {' AND '.join(conditions)} ORDER BY {order} DESC", values, limit
        )

    def every(self, kinds: Collection[str]) -> Iterator[Record]:
        """Every record of ``kinds``, one at a time, in no order that is promised."""
        rows = self.connection.execute(
            f"SELECT {_COLUMNS} FROM records WHERE kind IN (SELECT value FROM json_each(?))",  # noqa: S608
            (json.dumps(sorted(kinds)),),
        )
        return (Record(*row) for row in rows)

    def get(self, record_id: str) -> Record | None:
        """The record of that very id."""
        found = self._records("FROM records WHERE records.id = ? ORDER BY records.leaf DESC", [record_id], 1)
        return found[0] if found else None

    def row(self, leaf: int) -> tuple[Any, ...]:
        """All that stands in the index of the record of that leaf."""
        row: tuple[Any, ...] = self.connection.execute(
            "SELECT * FROM records WHERE leaf = ?", (leaf,)
        ).fetchone()
        return row

    def find(self, text: str, kinds: Sequence[str] = NAMED) -> Record:
        """The record that ``text`` means: an id, a name (its latest version), a run, or a unique prefix.

        A name is looked for among ``kinds``, in their order. Raises `InvalidInput` where it means nothing
        or more than one thing.
        """
        found = self.get(text) or self._by_name(text, kinds)
        if found is not None:
            return found
        ids = self._by_prefix(text)
        if not ids:
            raise self._unknown(text, kinds)
        if len(ids) > 1:
            raise InvalidInput(
                f'"{text}" could be more than one record{nearest(text, self._names(kinds))}',
                hint="Say which: " + ", ".join(ids[:5]) + (", …" if len(ids) > 5 else ""),
            )
        record = self.get(ids[0])
        if record is None:
            raise self._unknown(text, kinds)
        return record

    def referring_to(self, record_id: str, *, limit: int = 50) -> list[Record]:
        """The records that refer to this one, oldest first."""
        return self._records(
            "FROM records WHERE records.leaf IN"
            " (SELECT DISTINCT leaf FROM links WHERE target = ? ORDER BY leaf LIMIT ?) ORDER BY records.leaf",
            [record_id, limit],
            limit,
        )

    def retirement(self, record_id: str) -> Record | None:
        """The last record that retired this one or marked it erased."""
        found = self._records(
            "FROM records WHERE kind = 'retirement' AND records.leaf IN"
            " (SELECT leaf FROM links WHERE target = ? AND role = 'subject') ORDER BY records.leaf DESC",
            [record_id],
            1,
        )
        return found[0] if found else None

    def ancestors(self, record_id: str, *, limit: int = _MOST_EDGES) -> list[Edge]:
        """What the record came from, directly or not; the nearest ``limit`` steps, oldest first."""
        return self._walk("source", record_id, limit)

    def descendants(self, record_id: str, *, limit: int = _MOST_EDGES) -> list[Edge]:
        """What came from the record, directly or not; the nearest ``limit`` steps, oldest first."""
        return self._walk("target", record_id, limit)

    def derived(self, roots: Iterable[str], kinds: Collection[str]) -> set[str]:
        """The ids ``roots`` and those of the records of ``kinds`` that came from them, directly or by others
        of ``kinds``."""
        rows = self.connection.execute(
            "WITH RECURSIVE tree(id) AS (SELECT value FROM json_each(?) UNION"
            " SELECT links.source FROM tree JOIN links ON links.target = tree.id"
            " JOIN records ON records.leaf = links.leaf"
            " WHERE kind IN (SELECT value FROM json_each(?))) SELECT id FROM tree",
            (json.dumps(sorted(roots)), json.dumps(sorted(kinds))),
        )
        return {row[0] for row in rows}

    def pipelines(self, limit: int = 20) -> list[Record]:
        """The last record of each pipeline's runs, newest first."""
        return self._records(
            "FROM records WHERE records.leaf IN"
            " (SELECT max(leaf) FROM records WHERE kind = 'pipeline' GROUP BY subject)"
            " ORDER BY records.leaf DESC",
            [],
            limit,
        )

    def subjects(self, kind: str, limit: int = 200) -> list[str]:
        """The names of that kind, the last used first."""
        rows = self.connection.execute(
            "SELECT subject FROM records WHERE kind = ? GROUP BY subject ORDER BY max(leaf) DESC LIMIT ?",
            (kind, limit),
        )
        return [row[0] for row in rows]

    def versions(self, kind: str, name: str, limit: int = 200) -> list[str]:
        """The ids of the versions of a dataset or a model, the latest first."""
        rows = self.connection.execute(
            "SELECT id FROM records WHERE kind = ? AND subject = ? ORDER BY leaf DESC LIMIT ?",
            (kind, name, limit),
        )
        return [row[0] for row in rows]

    def _names(self, kinds: Sequence[str]) -> list[str]:
        """What records of ``kinds`` are called, without and with the kind."""
        names = [(kind, name) for kind in kinds for name in self.subjects(kind)]
        return [*(name for _, name in names), *("/".join(each) for each in names)]

    def _unknown(self, text: str, kinds: Sequence[str]) -> InvalidInput:
        guess = nearest(text, self._names(kinds))
        return InvalidInput(f'no record is called "{text}"{guess}', hint="See what there is: tally log")

    def _by_name(self, text: str, kinds: Sequence[str]) -> Record | None:
        kind, separator, name = text.partition("/")
        exact = self._records("FROM records WHERE rest = ? ORDER BY records.leaf DESC", [text], 8)
        if exact:
            order = {each: place for place, each in enumerate(kinds)}
            return min(exact, key=lambda record: order.get(record.kind, len(order)))
        wanted = [(kind, name)] if separator and kind in NAMED else [(each, text) for each in kinds]
        for each, subject in wanted:
            found = self._records(
                "FROM records WHERE kind = ? AND subject = ? ORDER BY records.leaf DESC", [each, subject], 1
            )
            if found:
                return found[0]
        return None

    def _by_prefix(self, text: str) -> list[str]:
        if not text or not text.isascii():
            return []
        end = text + "\x7f"
        ids = dict[str, None]()
        for column in ("id", "rest", "digest"):
            rows = self.connection.execute(
                f"SELECT id FROM records WHERE {column} >= ? AND {column} < ? ORDER BY {column} LIMIT 7",  # noqa: S608
                (text, end),
            )
            ids |= dict.fromkeys(row[0] for row in rows)
        return list(ids)

    def _walk(self, end: str, record_id: str, limit: int) -> list[Edge]:
        """Breadth first along the links whose ``end`` is a record that was met; no link beyond ``limit`` is
        read, however many there are."""
        found: dict[Edge, int] = {}
        met, left = {record_id}, deque([record_id])
        while left and len(found) < limit:
            rows = self.connection.execute(
                f"SELECT source, role, target, leaf FROM links WHERE {end} = ? ORDER BY leaf LIMIT ?",  # noqa: S608
                (left.popleft(), limit - len(found)),
            )
            for source, role, target, leaf in rows:
                found[Edge(source, role, target)] = leaf
                there = target if end == "source" else source
                if there not in met:
                    met.add(there)
                    left.append(there)
        return sorted(found, key=found.__getitem__)

    def _records(self, rest: str, values: Sequence[Any], limit: int) -> list[Record]:
        rows = self.connection.execute(f"SELECT {_COLUMNS} {rest} LIMIT ?", [*values, limit])
        return [Record(*row) for row in rows]
