"""The embedded ledger behind the port: verify, run, commit in groups, acknowledge when durable."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chaincode import canonical, catalogue
from chaincode.errors import Refusal
from chaincode.parties import CHARTER_KEY, Parties
from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded, Refused, TallystickError
from tallystick.execution import packages, simulate
from tallystick.identity import Identity
from tallystick.ledger.embedded import appender
from tallystick.ledger.embedded.appender import Executed, Head, PendingState
from tallystick.ledger.embedded.database import Database, StateSnapshot
from tallystick.ledger.embedded.proposals import SignedProposal, propose
from tallystick.ledger.embedded.refusals import RefusalLog
from tallystick.ledger.port import BlockBytes, Call, Receipt
from tallystick.proof import merkle
from tallystick.proof.block import Config, origin_of, parse_block
from tallystick.proof.errors import ProofError
from tallystick.proof.membership import Member, Membership
from tallystick.proof.note import ED25519, Verifier

MAX_BLOCK: Final = 1000
DEFAULT_SKEW_MS: Final = 300_000

Clock = Callable[[], int]


def system_clock() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Endorsed:
    """A proposal that was run on a snapshot but not committed: its reads may no longer hold."""

    proposal: SignedProposal
    simulation: simulate.Simulation


@dataclass(slots=True)
class _Job:
    proposal: SignedProposal
    #: The signer, as the rules of block ``judged_by`` judge it; None where they refuse.
    member: Member | None = None
    judged_by: int = -1
    endorsed: simulate.Simulation | None = None
    outcome: Receipt | TallystickError | None = None

    def receipt(self) -> Receipt:
        if isinstance(self.outcome, Receipt):
            return self.outcome
        if self.outcome is None:
            raise CouldNotCheck("the ledger gave no outcome for a transaction")
        raise self.outcome


@dataclass(frozen=True, slots=True)
class _Rules:
    """What is in force: read from the configuration block, kept until another one is written."""

    block: int
    config: Config
    membership: Membership


class EmbeddedLedger:
    """`tallystick.ledger.port.Ledger` over one SQLite file."""

    def __init__(
        self,
        path: Path,
        *,
        log_key: Ed25519PrivateKey | None = None,
        refusals: Path | None = None,
        clock: Clock = system_clock,
        invoke: simulate.Invoke = catalogue.invoke,
    ) -> None:
        """Open the ledger at ``path``. Without ``log_key`` it is open for reading only; ``invoke`` is
        the way into the contracts."""
        self._database = Database(path)
        self._log_key = log_key
        self._refusals = RefusalLog(refusals or path.with_name("refusals.jsonl"))
        self._clock = clock
        self._invoke = invoke
        self._queue: list[_Job] = []
        self._queue_lock = threading.Lock()
        self._commit_lock = threading.Lock()
        genesis = self._block(0)
        rules = self._rules_of(genesis)
        self._origin = origin_of(rules.config.name, parse_block(genesis.header, genesis.data).header.digest)
        self._rules = rules
        if log_key is not None and log_key.public_key().public_bytes_raw() != rules.config.log_key:
            raise InvalidInput(
                f"the key that signs heads does not belong to the ledger {path}",
                hint="Use the log key that `tally init` made with this ledger.",
            )

    @property
    def origin(self) -> str:
        return self._origin

    @property
    def vkey(self) -> str:
        return Verifier(self._origin, ED25519, self._rules.config.log_key).vkey

    # Writing

    def submit(self, identity: Identity, call: Call, *, time_ms: int | None = None) -> Receipt:
        job = self._job(self._propose(identity, call, time_ms))
        self._run([job])
        return job.receipt()

    def submit_many(self, identity: Identity, calls: Sequence[Call]) -> list[Receipt | Refused]:
        jobs = [self._job(self._propose(identity, call, None)) for call in calls]
        self._run(jobs)
        return [_receipt_or_refusal(job) for job in jobs]

    def endorse(self, identity: Identity, call: Call, *, time_ms: int | None = None) -> Endorsed:
        """Run ``call`` on the committed state without committing it. Raises as `submit` does."""
        proposal = self._propose(identity, call, time_ms)
        with self._database.reading() as connection:
            state = StateSnapshot(connection)
            try:
                member = self._admit(_Job(proposal), state, self._current_rules(connection))
                return Endorsed(proposal, simulate.simulate(self._invoke, state, proposal.call(member)))
            except Refusal as refusal:
                raise self._refused(proposal, refusal) from refusal

    def commit(self, endorsed: Endorsed) -> Receipt:
        """Order and commit what was endorsed; a read that no longer holds makes it invalid, on record."""
        job = self._job(endorsed.proposal, endorsed.simulation)
        self._run([job])
        return job.receipt()

    def evaluate(self, identity: Identity, call: Call) -> Any:
        return canonical.decode(self.endorse(identity, call).simulation.response)

    def configure(self, config: Config, creator: bytes, signature: bytes) -> None:
        """Append a signed configuration, already judged (`genesis.reconfigure`)."""
        log_key = self._writable()
        with self._database.writing() as connection:
            head = Head.load(connection)
            appender.append_config(connection, head, config, creator, signature, self._origin, log_key)

    def _propose(self, identity: Identity, call: Call, time_ms: int | None) -> SignedProposal:
        return propose(identity, self._origin, call, self._clock() if time_ms is None else time_ms)

    def _job(self, proposal: SignedProposal, endorsed: simulate.Simulation | None = None) -> _Job:
        # The signature costs most: it is judged here, before anybody waits for the ledger.
        job, rules = _Job(proposal, endorsed=endorsed), self._rules
        with contextlib.suppress(Refusal):
            job.member, job.judged_by = _judge(proposal, rules), rules.block
        return job

    def _run(self, jobs: list[_Job]) -> None:
        """Group commit: whoever gets the lock takes all that waits into one durable transaction."""
        with self._queue_lock:
            self._queue.extend(jobs)
        with self._commit_lock:
            while any(job.outcome is None for job in jobs):
                with self._queue_lock:
                    batch, self._queue = self._queue[:MAX_BLOCK], self._queue[MAX_BLOCK:]
                self._commit(batch)

    def _commit(self, batch: list[_Job]) -> None:
        outcomes: list[Receipt | TallystickError] = []
        try:
            with self._database.writing() as connection:
                outcomes = self._append(connection, batch)
        except TallystickError as error:
            outcomes = [error] * len(batch)
        except Exception as error:
            outcomes = [TallystickError(f"the ledger failed: {type(error).__name__}")] * len(batch)
            raise
        finally:
            # Only now is it durable, and only now may anybody be told.
            for job, outcome in zip(batch, outcomes, strict=True):
                job.outcome = outcome

    def _append(self, connection: Any, batch: list[_Job]) -> list[Receipt | TallystickError]:
        log_key = self._writable()
        head, rules = Head.load(connection), self._current_rules(connection)
        if rules.config.package != packages.current_digest():
            raise Refused(
                f"the contracts here ({packages.current_digest()[:12]}) are not those that the ledger"
                f" has activated ({rules.config.package[:12]})",
                code="PACKAGE_NOT_ACTIVE",
                hint="An administrator records the change with: tally activate",
            )
        state = PendingState(StateSnapshot(connection), head.number + 1)
        outcomes: list[Receipt | TallystickError | Executed] = []
        seen: set[str] = set()
        executed: list[Executed] = []
        for job in batch:
            try:
                done = self._execute(connection, job, state, rules, seen)
            except Refusal as refusal:
                outcomes.append(self._refused(job.proposal, refusal))
                continue
            seen.add(job.proposal.transaction_id)
            if done.verdict == "VALID":
                state.apply(done.simulation.writes, len(executed))
            executed.append(done)
            outcomes.append(done)
        if not executed:
            return [outcome for outcome in outcomes if not isinstance(outcome, Executed)]
        indices = appender.append_transactions(
            connection, head, executed, state, rules.config.package, self._origin, log_key
        )
        positions = iter(enumerate(indices))
        return [
            self._receipt(outcome, head.number, *next(positions))
            if isinstance(outcome, Executed)
            else outcome
            for outcome in outcomes
        ]

    def _execute(
        self, connection: Any, job: _Job, state: PendingState, rules: _Rules, seen: set[str]
    ) -> Executed:
        proposal = job.proposal
        known = connection.execute(
            "SELECT 1 FROM transactions WHERE id = ?", (bytes.fromhex(proposal.transaction_id),)
        ).fetchone()
        if known or proposal.transaction_id in seen:
            raise Refusal("DUPLICATE_TRANSACTION")
        member = self._admit(job, state, rules)
        if job.endorsed is None:
            return Executed(
                proposal, member, simulate.simulate(self._invoke, state, proposal.call(member)), "VALID"
            )
        conflict = simulate.conflict(state, job.endorsed.reads, job.endorsed.scans)
        return Executed(proposal, member, job.endorsed, conflict or "VALID")

    def _admit(self, job: _Job, state: simulate.Snapshot, rules: _Rules) -> Member:
        """The signer, if the signature is good, the ledger is meant and the clock agrees."""
        proposal = job.proposal
        if job.member is None or job.judged_by != rules.block:
            job.member, job.judged_by = _judge(proposal, rules), rules.block
        if proposal.origin != self._origin:
            raise Refusal("OTHER_LEDGER")
        charter = state.get(CHARTER_KEY)
        skew = Parties.of(charter[0]).skew_ms if charter else DEFAULT_SKEW_MS
        if abs(self._clock() - proposal.time) > skew:
            raise Refusal("CLOCK_SKEW", limit_ms=skew)
        return job.member

    def _refused(self, proposal: SignedProposal, refusal: Refusal) -> Refused:
        try:
            member = self._rules.membership.judge(proposal.creator, proposal.time)
            caller = (member.msp_id, member.enrolment_id)
        except ProofError:
            caller = ("", "")
        self._refusals.append(proposal, *caller, refusal)
        return Refused(
            f"{proposal.contract}.{proposal.transaction} was refused: {refusal}",
            code=refusal.code,
            facts=refusal.facts,
        )

    def _receipt(self, done: Executed, block: int, position: int, leaf: int) -> Receipt | Refused:
        proposal = done.proposal
        if done.verdict != "VALID":
            return Refused(
                f"{proposal.contract}.{proposal.transaction} was not applied: {done.verdict}",
                code=done.verdict,
                hint="What it had read was changed meanwhile. Read again and submit anew.",
            )
        response = canonical.decode(done.simulation.response)
        return Receipt(proposal.transaction_id, block, position, leaf, response)

    def _writable(self) -> Ed25519PrivateKey:
        if self._log_key is None:
            raise CouldNotCheck(
                "the ledger is open for reading only: the key that signs its heads is not here",
                hint="Write where the key is: the home in which `tally init` was run.",
            )
        return self._log_key

    # Reading

    @property
    def height(self) -> int:
        with self._database.reading() as connection:
            return Head.load(connection).number + 1

    @property
    def config(self) -> Config:
        """The configuration in force."""
        with self._database.reading() as connection:
            return self._current_rules(connection).config

    def blocks(self, first: int = 0) -> Iterator[BlockBytes]:
        end = self.height
        while first < end:
            with self._database.reading() as connection:
                page = connection.execute(
                    "SELECT number, header, data, checkpoint, first_leaf FROM blocks"
                    " WHERE number >= ? AND number < ? ORDER BY number LIMIT 64",
                    (first, end),
                ).fetchall()
            if not page:
                raise NotAsRecorded(f"block {first} is missing from {self._database.path}")
            for row in page:
                yield BlockBytes(*row)
            first = page[-1][0] + 1

    def checkpoint(self) -> str:
        with self._database.reading() as connection:
            return self._checkpoint(connection, Head.load(connection))

    def inclusion_proof(self, leaf: int) -> tuple[list[bytes], str]:
        with self._database.reading() as connection:
            head = Head.load(connection)
            proof = merkle.inclusion_proof(leaf, head.frontier.size, _hash_reader(connection))
            return proof, self._checkpoint(connection, head)

    def consistency_proof(self, old_size: int) -> tuple[list[bytes], str]:
        with self._database.reading() as connection:
            head = Head.load(connection)
            proof = merkle.consistency_proof(old_size, head.frontier.size, _hash_reader(connection))
            return proof, self._checkpoint(connection, head)

    def close(self) -> None:
        self._database.close()

    def _checkpoint(self, connection: Any, head: Head) -> str:
        row = connection.execute("SELECT checkpoint FROM blocks WHERE number = ?", (head.number,)).fetchone()
        if row is None:
            raise NotAsRecorded(f"block {head.number} is missing from {self._database.path}")
        checkpoint: str = row[0]
        return checkpoint

    def _block(self, number: int) -> BlockBytes:
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT number, header, data, checkpoint, first_leaf FROM blocks WHERE number = ?", (number,)
            ).fetchone()
        if row is None:
            raise NotAsRecorded(f"block {number} is missing from {self._database.path}")
        return BlockBytes(*row)

    def _current_rules(self, connection: Any) -> _Rules:
        (number,) = connection.execute("SELECT config FROM head WHERE id = 1").fetchone()
        if number != self._rules.block:
            row = connection.execute(
                "SELECT number, header, data, checkpoint, first_leaf FROM blocks WHERE number = ?", (number,)
            ).fetchone()
            self._rules = self._rules_of(BlockBytes(*row))
        return self._rules

    def _rules_of(self, block: BlockBytes) -> _Rules:
        try:
            config = parse_block(block.header, block.data).config
            if config is None:
                raise NotAsRecorded(f"block {block.number} holds no configuration")
            return _Rules(block.number, config, Membership(config.msps))
        except ProofError as error:
            raise NotAsRecorded(f"block {block.number} cannot be read: {error}") from error


def _judge(proposal: SignedProposal, rules: _Rules) -> Member:
    try:
        return rules.membership.verify(proposal.creator, proposal.signature, proposal.data, proposal.time)
    except ProofError as error:
        raise Refusal("NOT_A_MEMBER", reason=str(error)) from error


def _receipt_or_refusal(job: _Job) -> Receipt | Refused:
    return job.outcome if isinstance(job.outcome, Refused) else job.receipt()


def _hash_reader(connection: Any) -> merkle.Read:
    def read(indices: Sequence[int]) -> list[bytes]:
        found = []
        for index in indices:
            start, data = connection.execute(
                "SELECT start, data FROM hashes WHERE start <= ? ORDER BY start DESC LIMIT 1", (index,)
            ).fetchone()
            offset = (index - start) * merkle.HASH_SIZE
            found.append(data[offset : offset + merkle.HASH_SIZE])
        return found

    return read
