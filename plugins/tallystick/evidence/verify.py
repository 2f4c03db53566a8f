"""The verdict on a ledger and on all that its records speak of: inputs in, report out.

Reaches no ledger, client or wiring, so that an auditor's tool can be made of it: what it works on is
handed in. docs/verification.md says step by step what is checked, and what each answer means.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded
from tallystick.evidence import subjects, tables, witness
from tallystick.evidence.chain import BadBlock, Chain
from tallystick.evidence.derived import Derived
from tallystick.evidence.reexecution import Replay, replay
from tallystick.evidence.report import CHANGED, UNCHECKED, VERIFIED, Report, Subject
from tallystick.evidence.subjects import OffChain
from tallystick.evidence.tables import StoredLedger
from tallystick.evidence.witness import Kept
from tallystick.proof.checkpoint import Checkpoint

Progress = Callable[[str, int, int], None]
"""Told what is being checked, how many are done, and of how many (0 where that is not known)."""


def verify(
    stored: StoredLedger,
    kept: Kept | None = None,
    *,
    packages: Path | None = None,
    off_chain: OffChain | None = None,
    only: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judge the whole ledger ``stored``, then what its records speak of, or only the record ``only``.

    ``packages`` holds contract packages that are no longer the running one. Without ``off_chain`` only
    the ledger is judged. Raises `InvalidInput` for a pin that is no checkpoint and for an unknown id.
    """
    kept = kept or Kept()
    tell = progress or (lambda what, done, total: None)
    with closing(Derived()) as derived:
        chain = Chain(kept.sizes)
        running = Replay(
            derived, packages, lambda kind, record_id: kind in subjects.KEPT or record_id == only
        )
        broken = _broken(stored, chain, running, tell)
        if broken:
            left = Subject("records", "all", UNCHECKED, "not looked at: the ledger itself is not as recorded")
            return Report.of([broken, left], witnessed=False)
        found, witnessed = witness.judge(chain, kept)
        found += [_unknown(digest, block) for digest, block in running.unknown.items()]
        found += _derived(stored, derived)
        found.insert(0, _ledger(chain, running, witnessed=witnessed))
        if only is not None and derived.record(only) is None:
            raise InvalidInput(f"no record {only} stands on this ledger", hint="See the ids with: tally log")
        found += subjects.examine(derived, off_chain, chain.origin, only, tell)
        head = Checkpoint(chain.origin, chain.frontier.size, chain.frontier.root())
        return Report.of(found, witnessed=witnessed, head=head)


def _broken(stored: StoredLedger, chain: Chain, running: Replay, tell: Progress) -> Subject | None:
    """Why the log cannot be walked to its end, if it cannot."""
    try:
        height = stored.height
        for _ in replay(stored.blocks(), chain, running):
            tell("blocks", chain.height, height)
    except BadBlock as bad:
        return Subject("block", str(bad.number), CHANGED, bad.problem)
    except NotAsRecorded as error:
        return Subject("ledger", chain.origin, CHANGED, error.message)
    except CouldNotCheck as error:
        return Subject("ledger", chain.origin, UNCHECKED, error.message)
    return None


def _derived(stored: StoredLedger, derived: Derived) -> list[Subject]:
    try:
        return list(tables.differences(stored, derived))
    except NotAsRecorded as error:
        return [Subject("table", "all", CHANGED, error.message)]
    except CouldNotCheck as error:
        return [Subject("table", "all", UNCHECKED, error.message)]


def _ledger(chain: Chain, running: Replay, *, witnessed: bool) -> Subject:
    counts = (
        f"blocks 0-{chain.height - 1}, {_count(running.transactions, 'transaction')},"
        f" {_count(running.records, 'record')}"
    )
    signed = "witnessed as far as the heads below say" if witnessed else "NOT witnessed"
    detail = f"{counts}: consistent, signed by the operator, {signed}"
    return Subject("ledger", chain.origin, VERIFIED, detail)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _unknown(digest: str, block: int) -> Subject:
    detail = (
        f"from block {block} on its transactions were not run again: it is not at hand, or not trusted"
        " (tally verify --packages DIR)"
    )
    return Subject("contracts", digest, UNCHECKED, detail)
