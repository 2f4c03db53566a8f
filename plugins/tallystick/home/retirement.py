"""Takes a record out of use, and where asked erases the dataset it speaks of: which records fall, and when.

An erasure is decided by the read index, so only by one that is what the ledger gives. The record comes before
the deed: an erasure that nobody knows of looks like a loss.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from tallystick import wiring
from tallystick.clients.provenance import Reference, Request
from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.home.memory import require_latest
from tallystick.reports.checked import find_checked
from tallystick.reports.follower import Progress
from tallystick.reports.index import compare_index, open_index
from tallystick.reports.queries import Index
from tallystick.reports.record import Record
from tallystick.reports.summary import title
from tallystick.settings import Settings
from tallystick.steps import erasure
from tallystick.steps.erasure import Named
from tallystick.steps.workspace import Workspace


@dataclass(frozen=True)
class Plan:
    """``record`` is to be retired; with ``erase`` what it and the records that came from it name, ``own``, is
    destroyed, unless the ``others``, those of datasets that are not erased, name it too."""

    record: Record
    erase: bool
    own: Named = field(default_factory=Named)
    others: Named = field(default_factory=Named)


def plan_retirement(settings: Settings, text: str, *, erase: bool, progress: Progress | None = None) -> Plan:
    """What retiring the record that ``text`` means takes; nothing is changed.

    ``progress`` is told how many blocks were read: into the index, and to ``erase`` once more all of them.
    Raises as `find_checked` and `require_latest` do, and to ``erase`` `InvalidInput` for what is no dataset
    and `NotAsRecorded` where the read index was changed.
    """
    require_latest(settings)
    with (
        closing(wiring.open_for_reading(settings)) as ledger,
        open_index(settings.index, ledger, progress) as index,
    ):
        record, _ = find_checked(ledger, index, text)
        if not erase:
            return Plan(record, erase)
        if record.kind != "dataset":
            raise InvalidInput(
                f"{title(record.id)} is no dataset, so there is no key to destroy", hint="Leave out --erase."
            )
        if any((compare_index(settings.index, ledger, progress) or {}).values()):
            raise NotAsRecorded(
                "the read index is not what the ledger gives, so it cannot say which files to remove",
                hint="Nothing was changed. Make the index again: tally rebuild",
            )
        return Plan(record, erase, *_told_apart(index, record))


def retire(w: Workspace, plan: Plan, *, reason: str, recorded: Callable[[int | None], None]) -> int:
    """Record the retirement, then destroy what the plan says; how many objects.

    ``recorded`` is told in which block the record stands, before anything is destroyed; None where an erasure
    had been recorded before, and what is left of it goes now. Raises whatever the ledger says, and then
    nothing was destroyed; and as `erasure.erase` does, after which it can be done again.
    """
    state = "erased" if plan.erase else "retired"
    before = w.provenance.read(plan.record.id)["retirement"]
    if plan.erase and before is not None and before["state"] == state:
        recorded(None)
    else:
        done = w.provenance.retire(
            Request(f"retire-{secrets.token_hex(16)}"),
            subject=Reference(plan.record.id, plan.record.digest),
            state=state,
            reason=reason,
        )
        recorded(done.receipt.block)
    return erasure.erase(w, plan.record.body, plan.own, plan.others) if plan.erase else 0


def _told_apart(index: Index, record: Record) -> tuple[Named, Named]:
    """What ``record`` and the records that came from it name, and what all others that stand name: other
    datasets, whose keys are their own, and what came of those, without the erased ones."""
    kinds = index.kinds().keys() - erasure.NAMELESS
    own, others = Named(), Named()
    came = index.derived([record.id], kinds - {"dataset"})
    gone = index.derived(_erased(index), kinds - {"dataset"})
    for each in index.every(kinds):
        if each.id in came:
            own.add(each.body)
        elif each.id not in gone:
            others.add(each.body)
    return own, others


def _erased(index: Index) -> set[str]:
    """The ids of the datasets that were erased before."""
    retirements = (each.body for each in index.every(["retirement"]))
    erased = {str(body["subject"]["id"]) for body in retirements if body["state"] == "erased"}
    return {each for each in erased if each.startswith("dataset/")}
