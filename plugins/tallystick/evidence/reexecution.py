"""Every transaction run again under the contracts that were active, and its verdict judged anew.

The result is what the derived tables must hold, so that one generator serves `tally verify`, which
compares, and `tally rebuild`, which writes. docs/verification.md numbers the checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from chaincode import canonical
from chaincode.context import Caller
from chaincode.errors import Refusal
from tallystick.errors import CouldNotCheck
from tallystick.evidence.chain import BadBlock, Chain, Judged, StoredBlock
from tallystick.evidence.derived import Derived
from tallystick.execution import packages
from tallystick.execution.simulate import Call, Invoke, Scan, Simulation, Version, conflict, simulate
from tallystick.proof.block import Envelope
from tallystick.proof.block import canonical as canonical_bytes
from tallystick.proof.membership import Member

Keep = Callable[[str, str], bool]
"""Whether the record of this kind and id is kept in `Derived` for later checks."""


class Replay:
    """Runs judged blocks on ``derived``, under packages kept in ``directory`` where not the running one.

    ``unknown`` are the digests of packages that are not at hand, each with the first block under it.
    """

    def __init__(self, derived: Derived, directory: Path | None, keep: Keep) -> None:
        self.transactions = 0
        self.records = 0
        self.unknown: dict[str, int] = {}
        self.derived = derived
        self._directory = directory
        self._keep = keep
        self._packages: dict[str, Invoke | None] = {}

    def apply(self, judged: Judged) -> None:
        """Run a block's transactions. Raises `BadBlock` where one does not give what the block says."""
        number = judged.block.header.number
        package = judged.config.package
        for position, (envelope, member) in enumerate(
            zip(judged.block.envelopes, judged.members, strict=True)
        ):
            version = (number, position)
            if not self.derived.add_transaction(envelope.transaction_id, version):
                raise BadBlock(number, f"transaction {position} stands in the log a second time")
            try:
                writes = self._run(envelope, member, package, number)
            except _Differs as difference:
                raise BadBlock(number, f"transaction {position} {difference}") from None
            if envelope.verdict == "VALID":
                self.derived.write_state(writes, version)
                self._note_records(envelope, number, judged.transaction_leaves[position])
        self.transactions += len(judged.block.envelopes)
        self.derived.add_hashes(judged.first_hash, judged.hashes)

    def _run(self, envelope: Envelope, member: Member, package: str, number: int) -> dict[str, bytes | None]:
        """The writes that count. An invalid transaction has none: its verdict is all that can be judged."""
        recorded = _parse(envelope.content)
        if envelope.verdict != "VALID":
            found = conflict(self.derived, recorded.reads, recorded.scans) or "VALID"
            if found != envelope.verdict:
                raise _Differs(f"is marked {envelope.verdict}, and by what it read it is {found}")
            return {}
        invoke = self._package(package, number)
        if invoke is None:
            return recorded.writes
        proposal = envelope.proposal
        caller = Caller(member.msp_id, member.enrolment_id, member.roles)
        call = Call(
            proposal["contract"],
            proposal["transaction"],
            canonical_bytes(proposal["request"]),
            caller,
            envelope.transaction_id,
            proposal["time"],
        )
        try:
            again = simulate(invoke, self.derived, call)
        except Refusal as refusal:
            raise _Differs(f"is marked VALID, but the contract refuses it: {refusal.code}") from None
        for part in ("reads", "scans", "writes", "records", "response"):
            if getattr(again, part) != getattr(recorded, part):
                raise _Differs(f"run again has other {part} than the block says")
        # Equal mappings may differ in order, and a block has one spelling.
        if list(again.reads) != list(recorded.reads) or list(again.writes) != list(recorded.writes):
            raise _Differs("run again reads or writes in another order than the block says")
        return again.writes

    def _package(self, digest: str, number: int) -> Invoke | None:
        if digest not in self._packages:
            try:
                self._packages[digest] = packages.load(digest, self._directory)
            except CouldNotCheck:
                self._packages[digest] = None
                self.unknown[digest] = number
        return self._packages[digest]

    def _note_records(self, envelope: Envelope, number: int, leaf: int) -> None:
        for index, data in enumerate(envelope.records, 1):
            try:
                record = canonical.decode(data)
                kind, record_id = str(record["kind"]), str(record["id"])
                origin = record["body"]["origin"] if kind == "charter" else envelope.proposal["origin"]
            except (canonical.NotCanonical, KeyError, TypeError):
                raise BadBlock(number, "holds a record that is none") from None
            if origin != envelope.proposal["origin"]:
                raise BadBlock(number, "the charter is that of another ledger")
            self.records += 1
            if self._keep(kind, record_id):
                self.derived.add_record(record_id, kind, number, leaf + index, data)


class _Differs(Exception):
    """How a transaction differs from what it must be."""


def _parse(content: Any) -> Simulation:
    """Reads, scans, writes, records and response of an envelope. Raises `_Differs` out of their form."""
    try:
        reads = {key: _version(rest) for key, *rest in content["reads"]}
        scans = tuple(Scan(*scan) for scan in content["scans"])
        writes = {key: None if text is None else text.encode() for key, text in content["writes"]}
        if len(reads) != len(content["reads"]) or len(writes) != len(content["writes"]):
            raise ValueError
        if not all(type(key) is str for key in [*reads, *writes]):
            raise ValueError
        for scan in scans:
            if [type(part) for part in (scan.start, scan.end, scan.limit, scan.digest)] != [
                str,
                str,
                int,
                str,
            ]:
                raise ValueError
    except (TypeError, ValueError, AttributeError):
        raise _Differs("has reads, scans or writes out of their form") from None
    records = tuple(record.encode() for record in content["records"])
    return Simulation(reads, scans, writes, records, content["response"].encode())


def _version(rest: list[Any]) -> Version | None:
    if not rest:
        return None
    block, position = rest
    if type(block) is not int or type(position) is not int:
        raise ValueError
    return block, position


def replay(blocks: Iterable[StoredBlock], chain: Chain, running: Replay) -> Iterator[Judged]:
    """Walk ``blocks``, run them, and yield each once all it derives stands in ``running.derived``.

    Raises `BadBlock` at the first that is not as recorded; what stood before it is derived.
    """
    for judged in chain.walk(blocks):
        running.apply(judged)
        header = judged.block.header
        running.derived.set_head(header.number, header.digest, judged.config_block, chain.frontier.to_bytes())
        yield judged
