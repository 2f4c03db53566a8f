"""`verify`: everything read again and judged; and the words for what came of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tallystick.cli.command import Adder, open_records, read_text
from tallystick.cli.screen import Screen
from tallystick.reports.words import typed
from tallystick.settings import Settings

if TYPE_CHECKING:
    from tallystick.evidence.report import Report

NOT_WITNESSED: Final = "NOT witnessed: no checkpoint that somebody else keeps was there to confirm it."
_COPIED: Final = (
    "Is this a copy of a home? MLflow keeps absolute places, and what they name is still there: verify the",
    "original, or the copy where the original is out of reach. If it is no copy, somebody changed them.",
)
_RECORDS: Final = frozenset({"dataset", "screening", "validation", "intent", "run", "model"})
#: First words of the subjects that are made of the blocks.
_DERIVED: Final = frozenset({"index", "table", "row"})


def add(adder: Adder) -> None:
    """Add this file's commands."""
    verify = adder.command("verify", _verify, "read everything again and say what is as recorded")
    verify.add_argument("id", nargs="?", metavar="ID", help="only this record and what it names")
    verify.add_argument("--since", type=Path, metavar="FILE", help="a checkpoint that was kept elsewhere")
    verify.add_argument(
        "--trust", type=Path, metavar="FILE", help="whose signatures count: a C2SP tlog-policy"
    )
    verify.add_argument(
        "--packages", type=Path, metavar="DIR", help="older contract packages that you trust to be run here"
    )


def _verify(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    only = None
    if arguments.id is not None:
        with open_records(settings, screen) as (_, index):
            only = index.find(arguments.id).id
    report = run_verification(
        settings,
        screen,
        since=None if arguments.since is None else read_text(arguments.since, "checkpoint"),
        trust=None if arguments.trust is None else read_text(arguments.trust, "trust policy"),
        packages=arguments.packages,
        only=only,
    )
    show_report(screen, report)
    _show_next(screen, report, since=arguments.since)
    screen.result(report.value())
    return report.exit_code


def run_verification(
    settings: Settings,
    screen: Screen,
    *,
    since: str | None = None,
    trust: str | None = None,
    packages: Path | None = None,
    only: str | None = None,
) -> Report:
    """Verify, saying meanwhile what is being checked."""
    from tallystick.home.verification import verify_home

    with screen.busy("opening the ledger") as tell:
        return verify_home(
            settings,
            since=since,
            trust=trust,
            packages=packages,
            only=only,
            progress=lambda *step: tell(_step(*step)),
        )


def show_report(screen: Screen, report: Report) -> None:
    """One line a subject, then what follows from all of them."""
    from tallystick.evidence.report import EXIT_CODES, UNCHECKED
    from tallystick.evidence.training import HANDED_OUT
    from tallystick.reports.summary import count, short_id, title

    screen.table(
        [
            (
                subject.kind,
                title(subject.id).removeprefix(f"{subject.kind}/"),
                subject.status,
                typed(short_id(subject.detail)),
            )
            for subject in report.subjects
        ],
        status=2,
    )
    total = len(report.subjects)
    wrong = sum(EXIT_CODES[subject.status] == 1 for subject in report.subjects)
    open_ = sum(EXIT_CODES[subject.status] not in (0, 1) for subject in report.subjects)
    if report.verified:
        screen.line(f"Verified: {total:,} of {count(total, 'subject')}.")
    if wrong:
        screen.line(
            f"{wrong:,} of {count(total, 'subject')} {'is' if wrong == 1 else 'are'} not as recorded."
        )
    if open_:
        screen.line(f"{open_:,} of {count(total, 'subject')} could not be settled.")
    if any(each.status == UNCHECKED and HANDED_OUT in each.detail for each in report.subjects):
        for line in _COPIED:
            screen.line(line)
    if any(each.kind == "checkpoint" and EXIT_CODES[each.status] == 1 for each in report.subjects):
        screen.line("NOT witnessed: the checkpoint that was kept contradicts this ledger.")
    elif not report.witnessed:
        screen.line(NOT_WITNESSED)


def _show_next(screen: Screen, report: Report, *, since: Path | None) -> None:
    from tallystick.evidence.report import EXIT_CODES, UNRECORDED
    from tallystick.reports.summary import short_id

    bad = next((each for each in report.subjects if EXIT_CODES[each.status] == report.exit_code), None)
    if report.verified and since is None:
        screen.next(("tally checkpoint", "prints the head; kept elsewhere, it is what --since takes"))
    elif report.verified:
        screen.next(("tally status", ""))
    elif bad is not None and bad.status == UNRECORDED:
        screen.next(("tally log", "what is recorded"))
    elif bad is not None and bad.kind in _RECORDS:
        screen.next((f"tally show {short_id(bad.id)}", "what was recorded"))
    elif report.exit_code == 1 and bad is not None and bad.kind.split()[0] in _DERIVED:
        screen.next(("tally rebuild", "makes it again from the blocks"))
    elif report.exit_code == 1:
        screen.line("Keep this home as it is for the auditor, and restore a copy of it elsewhere; there:")
        screen.next(("tally verify --since FILE", "holds the copy against a checkpoint that was kept"))


def _step(what: str, done: int, total: int) -> str:
    return f"checking {what}: {done:,}" + (f" of {total:,}" if total else "")
