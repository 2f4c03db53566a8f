"""Every transaction run again under the contracts that were active, and its verdict judged anew.

Works on judged blocks of any host. What comes of them is what the derived tables must hold.
docs/verification.md numbers the checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from chaincode import canonical, catalogue
from chaincode.errors import Refusal
from tallystick.errors import CouldNotCheck
from tallystick.evidence.derived import Derived
from tallystick.evidence.judged import BadBlock, JudgedBlock, JudgedTransaction
from tallystick.execution import packages
from tallystick.execution.isolated import IsolatedContracts, Patience
from tallystick.execution.simulate import Call, Simulation, Snapshot, Version, conflict, simulate

Keep = Callable[[str, str], bool]
"""Whether the record of this kind and id is kept in `Derived` for later checks."""
Run = Callable[[Snapshot, Call, Iterable[str]], Simulation]
"""Runs a call on a snapshot, given the keys that it will probably read."""

_PARTS: Final = ("reads", "scans", "writes", "records", "response")
_FIELDS: Final = {"body": dict, "id": str, "kind": str, "streams": dict, "v": int}


class Replay:
    """Runs judged blocks on ``derived``, under packages kept in ``directory`` where not the running one.

    ``unknown`` are the digests of packages under which transactions could not be run again, each with
    the first such block and the reason. Close it after use.
    """

    def __init__(self, derived: Derived, directory: Path | None, keep: Keep) -> None:
        self.transactions = 0
        self.records = 0
        self.unknown: dict[str, tuple[int, str]] = {}
        self.derived = derived
        self._directory = directory
        self._keep = keep
        self._packages: dict[str, Run | None] = {}
        self._patience = Patience()
        self._open = ExitStack()

    def close(self) -> None:
        """End the processes that ran kept packages."""
        self._open.close()

    def apply(self, judged: JudgedBlock, origin: str) -> None:
        """Run a block's transactions. Raises `BadBlock` where one does not give what the block says."""
        number = judged.number
        for transaction in judged.transactions:
            position = transaction.position
            version = (number, position)
            if not self.derived.add_transaction(transaction.call.transaction_id, version):
                raise BadBlock(number, f"transaction {position} stands in the log a second time")
            try:
                self._judge(transaction, judged.package, version)
            except _Differs as difference:
                raise BadBlock(number, f"transaction {position} {difference}") from None
            if transaction.verdict == "VALID":
                self.derived.write_state(transaction.recorded.writes, version)
                self._note_records(transaction, number, origin)
        self.transactions += len(judged.transactions)
        self.derived.add_hashes(judged.first_hash, judged.hashes)

    def _judge(self, transaction: JudgedTransaction, package: str, version: Version) -> None:
        recorded, verdict = transaction.recorded, transaction.verdict
        again = self._again(transaction, package, version[0]) if verdict == "VALID" else None
        if again is not None:
            _compare(self._as_noted(again, transaction.host_reads), recorded)
            return
        # Without the contracts, and for what did not count, this is all that follows from the block.
        if any(read is not None and read >= version for read in recorded.reads.values()):
            raise _Differs("says that it read what had not been written yet")
        found = conflict(self.derived, recorded.reads, recorded.scans) or "VALID"
        if found != verdict:
            raise _Differs(f"is marked {verdict}, and by what it read it is {found}")

    def _as_noted(self, again: Simulation, host_reads: tuple[str, ...] | None) -> Simulation:
        """What was run again as the host writes it down."""
        if host_reads is None:
            return again
        reads = dict(again.reads)
        for key in host_reads:
            found = self.derived.get(key)
            reads[key] = found[1] if found else None
        return again._replace(
            reads=dict(sorted(reads.items())), scans=(), writes=dict(sorted(again.writes.items()))
        )

    def _again(self, transaction: JudgedTransaction, package: str, number: int) -> Simulation | None:
        """What running it again gives; None where it cannot be run."""
        try:
            run = self._package(package)
            return run and run(self.derived, transaction.call, transaction.recorded.reads)
        except Refusal as refusal:
            raise _Differs(f"is marked VALID, but the contract refuses it: {refusal.code}") from None
        except CouldNotCheck as error:
            self._packages[package] = None
            self.unknown[package] = (number, error.message)
            return None

    def _package(self, digest: str) -> Run | None:
        if digest not in self._packages:
            self._packages[digest] = self._load(digest)
        return self._packages[digest]

    def _load(self, digest: str) -> Run:
        if digest == packages.current_digest():
            return _run_here
        # One process at a time: each may hold a gigabyte, and a log may name any number of packages.
        self._open.close()
        self._packages = {each: run for each, run in self._packages.items() if run in (None, _run_here)}
        contracts = IsolatedContracts(packages.kept(digest, self._directory), self._patience)
        self._open.callback(contracts.close)
        return contracts.run

    def _note_records(self, transaction: JudgedTransaction, number: int, origin: str) -> None:
        for index, data in enumerate(transaction.recorded.records, 1):
            kind, record_id, body = _read_record(data, number)
            if kind == "charter" and body.get("origin") != origin:
                raise BadBlock(number, "the charter is that of another ledger")
            self.records += 1
            if self._keep(kind, record_id):
                self.derived.add_record(record_id, kind, number, transaction.leaf + index, data)


class _Differs(Exception):
    """How a transaction differs from what it must be."""


def _run_here(snapshot: Snapshot, call: Call, likely: Iterable[str]) -> Simulation:
    return simulate(catalogue.invoke, snapshot, call)


def _compare(again: Simulation, recorded: Simulation) -> None:
    for part in _PARTS:
        if getattr(again, part) != getattr(recorded, part):
            raise _Differs(f"run again has other {part} than the block says")
    # Equal mappings may differ in order, and a block has one spelling.
    if list(again.reads) != list(recorded.reads) or list(again.writes) != list(recorded.writes):
        raise _Differs("run again reads or writes in another order than the block says")


def _read_record(data: bytes, number: int) -> tuple[str, str, dict[str, Any]]:
    """Kind, id and body. Raises `BadBlock` for what has not the form of every record, of any package."""
    try:
        record = canonical.decode(data)
    except canonical.NotCanonical:
        raise BadBlock(number, "holds a record that is none") from None
    if type(record) is not dict or any(type(record.get(name)) is not kind for name, kind in _FIELDS.items()):
        raise BadBlock(number, "holds a record that is none")
    if not record["id"].startswith(record["kind"] + "/"):
        raise BadBlock(number, "holds a record whose id is not of its kind")
    return record["kind"], record["id"], record["body"]
