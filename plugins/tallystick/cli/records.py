"""Reading the record: `log` and `show`."""

from __future__ import annotations

import argparse
import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tallystick.cli.command import Adder, open_records
from tallystick.cli.screen import Screen
from tallystick.errors import InvalidInput, TallystickError
from tallystick.reports.words import typed, utc
from tallystick.settings import Settings

if TYPE_CHECKING:
    from tallystick.reports.queries import Edge, Index
    from tallystick.reports.record import Record

_MOST: Final = 1000
_LAST_LEAF: Final = 2**63 - 1
_MOST_LINES: Final = 60


def add(adder: Adder) -> None:
    """Add this file's commands."""
    log = adder.command("log", _log, "the records, newest first")
    log.add_argument("--kind", help="only this kind: dataset, validation, run, model, …")
    log.add_argument("--stream", help="only this stream: dataset:NAME, model:NAME, pipeline:NAME, …")
    log.add_argument("--limit", type=int, default=20, help="how many (default: 20)")
    log.add_argument("--before", type=int, metavar="LEAF", help="go on where the page before ended")
    show = adder.command("show", _show, "one record with its history, proof and lineage")
    show.add_argument(
        "id", metavar="ID", help="a record, a dataset or model, an MLflow run, or a unique prefix"
    )
    show.add_argument(
        "--docs", type=Path, metavar="FILE", help="write a validation's Data Docs to this file (.html)"
    )


def _log(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.reports.summary import count, short_id, summary

    if not 0 < arguments.limit <= _MOST:
        raise InvalidInput("--limit is out of range", hint=f"Choose from 1 to {_MOST:,}.")
    if arguments.before is not None and not 0 <= arguments.before <= _LAST_LEAF:
        raise InvalidInput("--before is no leaf", hint="Take the one that `tally log` names at its end.")
    with open_records(settings, screen) as (_, index):
        kinds = index.kinds()
        if arguments.kind is not None and arguments.kind not in kinds:
            raise InvalidInput(
                f'no record is of the kind "{arguments.kind}"', hint="Kinds here: " + ", ".join(kinds)
            )
        found = index.latest(
            kind=arguments.kind, stream=arguments.stream, before=arguments.before, limit=arguments.limit + 1
        )
    page, more = found[: arguments.limit], found[arguments.limit :]
    screen.table(
        [
            (utc(record.time_ms), f"block {record.block:,}", short_id(record.id), summary(record))
            for record in page
        ]
    )
    if not page:
        screen.line("No records" + (" there." if arguments.stream or arguments.before else " yet."))
    else:
        total = count(sum(kinds.values()), "record") if not arguments.kind else ""
        screen.line(f"{len(page):,} shown" + (f" of {total}." if total else "."))
    shown = short_id(page[0].id) if page else "ID"
    nexts = [(f"tally show {shown}", "one of them: its history, proof and lineage")]
    if more:
        options = "".join(
            f" --{name} {value}"
            for name, value in (("kind", arguments.kind), ("stream", arguments.stream))
            if value
        )
        nexts.append((f"tally log{options} --before {page[-1].leaf}", "older ones"))
    screen.next(*nexts)
    screen.result({"records": [record_value(record) for record in page], "more": bool(more)})
    return 0


def _show(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.cli.validations import write_docs
    from tallystick.reports.shown import MOST_HISTORY, read_shown
    from tallystick.reports.summary import flat, short_id, title

    with open_records(settings, screen) as (ledger, index):
        shown = read_shown(ledger, index, arguments.id)
        record, proof, retirement, history = shown.record, shown.proof, shown.retirement, shown.history
        failed = _failed(settings, index, record)
        if arguments.docs is not None:
            write_docs(settings, index, record, arguments.docs)
    head = proof.head
    screen.line(f"{record.kind}  {title(record.id)}")
    facts = [
        ("id", short_id(record.id)),
        ("recorded", f"{utc(record.time_ms)}, block {record.block:,}, by {record.member} of {record.msp_id}"),
        ("digest", record.digest[:12]),
        (
            "proof",
            f"leaf {record.leaf:,} of {head.size:,}, checked against the head that {head.origin} signed",
        ),
    ]
    if retirement is not None:
        state = str(retirement.body["state"]).upper()
        facts.append((state, f"{utc(retirement.time_ms)}: {retirement.body['reason']}"))
    screen.table(facts, indent="  ")
    _section(screen, "says", flat(record.body))
    _section(screen, "failed", failed)
    _section(screen, "history", _history_rows(history[:MOST_HISTORY], record))
    if len(history) > MOST_HISTORY:
        screen.line(f"  … more: {typed('tally log')} --stream {next(iter(record.streams))}")
    _tree(screen, "came from", record.id, shown.came_from, down=False)
    _tree(screen, "led to", record.id, shown.led_to, down=True)
    if arguments.docs is not None:
        screen.line(f"Wrote its Data Docs to {arguments.docs}: counts for people, not what is recorded.")
    docs = ((f"tally show {arguments.id} --docs page.html", "writes Great Expectations' own page of it"),)
    screen.next(
        (f"tally verify {arguments.id}", "checks it and what it names"),
        (f"tally prove {arguments.id}", "writes a proof that verifies without this ledger"),
        *(docs if record.kind == "validation" and arguments.docs is None else ()),
    )
    screen.result(
        {
            "record": record_value(record),
            "retirement": record_value(retirement) if retirement else None,
            "history": [record_value(each) for each in history],
            "came_from": [_edge_value(edge) for edge in shown.came_from],
            "led_to": [_edge_value(edge) for edge in shown.led_to],
            "proof": {
                "leaf": record.leaf,
                "size": head.size,
                "hashes": [base64.b64encode(item).decode() for item in proof.hashes],
                "checkpoint": proof.note,
            },
        }
    )
    return 0


def record_value(record: Record) -> dict[str, Any]:
    """A record in JSON answers: docs/formats/cli-json.md#record."""
    return {
        "id": record.id,
        "kind": record.kind,
        "digest": {"sha256": record.digest},
        "block": record.block,
        "leaf": record.leaf,
        "transaction": record.transaction_id,
        "time": record.time_ms,
        "msp": record.msp_id,
        "member": record.member,
        "record": record.value,
    }


def _failed(settings: Settings, index: Index, record: Record) -> list[tuple[str, str]]:
    """What failed in a validation, with counts where they are at hand."""
    from tallystick.cli.validations import failed_rows

    if record.kind != "validation" or record.body["passed"]:
        return []
    try:
        return failed_rows(settings, index, record)
    except TallystickError as error:
        return [("counts", error.message)]


def _history_rows(history: Sequence[Record], record: Record) -> list[tuple[str, ...]]:
    from tallystick.reports.summary import summary

    return [
        (utc(each.time_ms), each.kind, summary(each), "(this one)" if each.id == record.id else "")
        for each in history
    ]


def _section(screen: Screen, name: str, rows: Sequence[Sequence[str]]) -> None:
    if rows:
        screen.line(name)
        screen.table(rows, indent="  ")


def _tree(screen: Screen, name: str, root: str, edges: Sequence[Edge], *, down: bool) -> None:
    """The lineage as a tree; what stands in it twice is drawn once and named after that."""
    from tallystick.reports.queries import reduced
    from tallystick.reports.summary import title

    nexts: dict[str, dict[str, None]] = {}
    for edge in reduced(edges):
        here, there = (edge.target, edge.source) if down else (edge.source, edge.target)
        nexts.setdefault(here, {})[there] = None
    if root not in nexts:
        return
    screen.line(name)
    drawn: set[str] = set()
    lines: list[str] = []

    def draw(record_id: str, prefix: str) -> None:
        children = list(nexts.get(record_id, ()))
        for place, child in enumerate(children):
            last = place == len(children) - 1
            again = child in drawn and child in nexts
            kind = child.partition("/")[0]
            called = title(child)
            label = called if called.startswith(kind + "/") else f"{kind} {called}"
            lines.append(f"  {prefix}{'└─ ' if last else '├─ '}{label}{'  (see above)' if again else ''}")
            if not again:
                drawn.add(child)
                draw(child, prefix + ("   " if last else "│  "))

    draw(root, "")
    for line in lines[:_MOST_LINES]:
        screen.line(line)
    if len(lines) > _MOST_LINES:
        screen.line(f"  … {len(lines) - _MOST_LINES:,} more with --json")


def _edge_value(edge: Edge) -> dict[str, str]:
    return {"from": edge.source, "field": edge.role, "to": edge.target}
