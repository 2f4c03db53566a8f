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
from tallystick.evidence.derived import Derived
from tallystick.evidence.judged import BadBlock, HostChain
from tallystick.evidence.reexecution import Keep, Replay
from tallystick.evidence.remarks import Remarks
from tallystick.evidence.report import CHANGED, UNCHECKED, VERIFIED, Report, Subject
from tallystick.evidence.subjects import OffChain
from tallystick.evidence.tables import StoredLedger
from tallystick.evidence.witness import Kept
from tallystick.proof.checkpoint import Checkpoint

Progress = Callable[[str, int, int], None]
"""Told what is being checked, how many are done, and of how many (0 where that is not known)."""


def verify(
    stored: StoredLedger,
    chain: HostChain,
    kept: Kept | None = None,
    *,
    packages: Path | None = None,
    off_chain: OffChain | None = None,
    only: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judge the whole ledger, then what its records speak of, or only the record ``only``.

    ``chain`` reads its blocks, as its host writes them, and ``stored`` is what is kept beside them.

    ``packages`` holds contract packages that are no longer the running one. Without ``off_chain`` only
    the ledger is judged. Raises `InvalidInput` for a pin that is no checkpoint and for an unknown id.
    """
    kept = kept or Kept()
    tell = progress or (lambda what, done, total: None)
    keep: Keep = lambda kind, record_id: kind in subjects.KEPT or record_id == only  # noqa: E731
    with closing(Derived()) as derived, closing(Replay(derived, packages, keep)) as running:
        remarks = Remarks(derived)
        broken = _broken(stored, chain, kept.sizes, running, remarks, tell)
        if broken:
            left = Subject("records", "all", UNCHECKED, "not looked at: the ledger itself is not as recorded")
            return Report.of([broken, left], witnessed=False, blocks=chain.height)
        found, witnessed = witness.judge(chain, kept)
        found += [_unknown(digest, *why) for digest, why in running.unknown.items()]
        found += _derived(stored, derived)
        found.insert(0, _ledger(chain, running, remarks, witnessed))
        if only is not None and derived.record(only) is None:
            raise InvalidInput(f"no record {only} stands on this ledger", hint="See the ids with: tally log")
        found += subjects.examine(derived, off_chain, chain.origin, only, tell)
        head = Checkpoint(chain.origin, chain.frontier.size, chain.frontier.root())
        return Report.of(
            found, witnessed=witnessed > 0, head=head, witnessed_blocks=witnessed, blocks=chain.height
        )


def _broken(
    stored: StoredLedger,
    chain: HostChain,
    sizes: set[int],
    running: Replay,
    remarks: Remarks,
    tell: Progress,
) -> Subject | None:
    """Walk and run the log. Why it cannot be walked to its end, if it cannot."""
    try:
        height = stored.height
        for judged in chain.walk(sizes):
            running.apply(judged, chain.origin)
            remarks.note(judged)
            tell("blocks", chain.height, height)
        head = (chain.height - 1, chain.header, chain.config_block, chain.frontier.to_bytes())
        running.derived.set_head(*head)
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


def _ledger(chain: HostChain, running: Replay, remarks: Remarks, witnessed: int) -> Subject:
    last = chain.height - 1
    said = [
        f"blocks 0-{last}",
        _count(running.transactions, "transaction"),
        _count(running.records, "record"),
        remarks.configuration,
        *([remarks.times] if remarks.times else []),
    ]
    signed = f"witnessed up to block {witnessed - 1} of {last}" if witnessed else "NOT witnessed"
    detail = f"{', '.join(said)}: consistent, signed by {chain.signers}, {signed}"
    return Subject("ledger", chain.origin, VERIFIED, detail)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _unknown(digest: str, block: int, reason: str) -> Subject:
    detail = f"from block {block} on its transactions were not run again: {reason}"
    return Subject("contracts", digest, UNCHECKED, detail)
