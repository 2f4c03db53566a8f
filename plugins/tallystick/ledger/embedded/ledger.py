"""The embedded ledger behind the port: verify, run, commit in groups, acknowledge when durable."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chaincode import canonical, catalogue
from chaincode.errors import Refusal
from chaincode.parties import CHARTER_KEY, DEFAULT_SKEW_MS, Parties
from tallystick.errors import CouldNotCheck, InvalidInput, OutcomeUnknown, Refused, TallystickError
from tallystick.execution import packages, simulate
from tallystick.execution.state_table import StateSnapshot
from tallystick.identity import Identity
from tallystick.ledger.embedded import appender
from tallystick.ledger.embedded.appender import Executed, Head
from tallystick.ledger.embedded.database import Database
from tallystick.ledger.embedded.groups import GroupCommit
from tallystick.ledger.embedded.pending import PendingState, RecentState
from tallystick.ledger.embedded.proposals import SignedProposal, propose
from tallystick.ledger.embedded.reader import Reader, Rules
from tallystick.ledger.embedded.refusals import RefusalLog, certified_as, refusal_of
from tallystick.ledger.port import Call, Receipt
from tallystick.ledger.requests import HINTS
from tallystick.proof.block import Config
from tallystick.proof.errors import ProofError
from tallystick.proof.membership import Member

MAX_BLOCK: Final = 1000

Clock = Callable[[], int]
#: What came of a transaction, before a refusal is noted.
_Outcome = Receipt | TallystickError | Refusal


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
    #: The signer, as the rules of block ``judged_by`` judge it, or why they refuse.
    judged: Member | Refusal | None = None
    judged_by: int = -1
    endorsed: simulate.Simulation | None = None
    #: None until it is known.
    outcome: Receipt | TallystickError | None = None

    def judge(self, rules: Rules) -> Member:
        """The signer under ``rules``. Raises `Refusal` where they refuse."""
        if self.judged is None or self.judged_by != rules.block:
            self.judged, self.judged_by = _judge(self.proposal, rules), rules.block
        if isinstance(self.judged, Refusal):
            raise self.judged
        return self.judged

    def receipt(self) -> Receipt:
        if isinstance(self.outcome, TallystickError):
            raise self.outcome
        if self.outcome is None:  # whoever wrote it along with others was interrupted
            raise OutcomeUnknown(
                "the ledger was interrupted before it could tell whether the transaction is recorded",
                hint="Submit the same request again: what is recorded is returned, not recorded twice.",
            )
        return self.outcome


class EmbeddedLedger(Reader):
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
        super().__init__(Database(path))
        self._log_key = log_key
        self._refusals = RefusalLog(refusals or path.with_name("refusals.jsonl"))
        self._clock = clock
        self._invoke = invoke
        self._groups = GroupCommit(self._commit, MAX_BLOCK)
        self._recent = RecentState()
        if log_key is not None and log_key.public_key().public_bytes_raw() != self._rules.config.log_key:
            self.close()
            raise InvalidInput(
                f"the key that signs heads does not belong to the ledger {path}",
                hint="Use the log key that `tally init` made with this ledger.",
            )

    def submit(self, identity: Identity, call: Call, *, time_ms: int | None = None) -> Receipt:
        """As the port says."""
        job = self._job(self._propose(identity, call, time_ms))
        self._groups.run([job])
        return job.receipt()

    def submit_many(self, identity: Identity, calls: Sequence[Call]) -> list[Receipt | TallystickError]:
        """`submit` for many transactions at once: in their order what it would return or raise for each.

        They are committed in groups, so that some may stand where others could not be written.
        """
        jobs = [self._job(self._propose(identity, call, None)) for call in calls]
        self._groups.run(jobs)
        return [_receipt_or_error(job) for job in jobs]

    def endorse(self, identity: Identity, call: Call) -> Endorsed:
        """Run ``call`` on the committed state without committing it. Raises as `submit` does."""
        proposal = self._propose(identity, call)
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
        self._groups.run([job])
        return job.receipt()

    def evaluate(self, identity: Identity, call: Call) -> Any:
        """As the port says."""
        return canonical.decode(self.endorse(identity, call).simulation.response)

    def configure(self, config: Config, creator: bytes, signature: bytes) -> int:
        """Append a signed configuration, already judged (`genesis.reconfigure`); returns its block's number.

        Raises `CouldNotCheck` where another one came between: it was judged under one that is out of force.
        """
        log_key = self._writable()
        with self._database.writing() as connection:
            head = self._head(connection)
            if config.number != self._current_rules(connection).config.number + 1:
                raise CouldNotCheck(
                    "the configuration was changed meanwhile by somebody else",
                    hint="Nothing was recorded. Do it again.",
                )
            appender.append_config(connection, head, config, creator, signature, self._origin, log_key)
            return head.number

    def _propose(self, identity: Identity, call: Call, time_ms: int | None = None) -> SignedProposal:
        return propose(identity, self._origin, call, self._clock() if time_ms is None else time_ms)

    def _job(self, proposal: SignedProposal, endorsed: simulate.Simulation | None = None) -> _Job:
        # The signature costs most: it is judged here, before anybody waits for the ledger.
        job = _Job(proposal, endorsed=endorsed)
        with contextlib.suppress(Refusal):
            job.judge(self._rules)
        return job

    def _commit(self, batch: list[_Job]) -> None:
        try:
            outcomes: Sequence[_Outcome] = self._written(batch)
        except TallystickError as error:
            outcomes = [error] * len(batch)
        # Only now is it durable, and only now may anybody be told.
        for job, outcome in zip(batch, outcomes, strict=True):
            job.outcome = self._refused(job.proposal, outcome) if isinstance(outcome, Refusal) else outcome

    def _written(self, batch: list[_Job]) -> list[_Outcome]:
        try:
            with self._database.writing() as connection:
                head = self._head(connection)
                state = self._recent.pending(connection, head.number + 1)
                outcomes = self._append(connection, batch, head, state)
        except BaseException:
            self._recent.forget()
            raise
        self._recent.committed(state)
        return outcomes

    def _append(self, connection: Any, batch: list[_Job], head: Head, state: PendingState) -> list[_Outcome]:
        log_key = self._writable()
        rules = self._rules_under(connection, head)
        if rules.config.package != packages.current_digest():
            raise Refused(
                f"the contracts here ({packages.current_digest()[:12]}) are not those that the ledger"
                f" has activated ({rules.config.package[:12]})",
                code="PACKAGE_NOT_ACTIVE",
                hint=HINTS["PACKAGE_NOT_ACTIVE"],
            )
        outcomes: list[Refusal | Executed] = []
        seen = self._recorded(connection, batch, rules)
        executed: list[Executed] = []
        for job in batch:
            try:
                done = self._execute(job, state, rules, seen)
            except Refusal as refusal:
                outcomes.append(refusal)
                continue
            seen.add(job.proposal.transaction_id)
            if done.verdict == "VALID":
                state.apply(done.simulation.writes, len(executed))
            executed.append(done)
            outcomes.append(done)
        if executed:
            appender.append_transactions(
                connection, head, executed, state, rules.config.package, self._origin, log_key
            )
        return [
            self._receipt(outcome, head.number) if isinstance(outcome, Executed) else outcome
            for outcome in outcomes
        ]

    def _recorded(self, connection: Any, batch: list[_Job], rules: Rules) -> set[str]:
        """The transactions of the batch that are in the ledger already; those refused are not asked for."""
        asked = []
        for job in batch:
            with contextlib.suppress(Refusal):
                job.judge(rules)
                asked.append(job.proposal.transaction_id)
        return appender.recorded(connection, asked)

    def _execute(self, job: _Job, state: PendingState, rules: Rules, seen: set[str]) -> Executed:
        proposal = job.proposal
        member = self._admit(job, state, rules)
        if proposal.transaction_id in seen:
            raise Refusal("DUPLICATE_TRANSACTION")
        if job.endorsed is None:
            return Executed(
                proposal, member, simulate.simulate(self._invoke, state, proposal.call(member)), "VALID"
            )
        if conflict := simulate.conflict(state, job.endorsed.reads, job.endorsed.scans):
            return Executed(proposal, member, job.endorsed, conflict)
        # All it read still holds, so running it again gives the same, or it was not made here.
        if simulate.simulate(self._invoke, state, proposal.call(member)) != job.endorsed:
            raise Refusal("ENDORSEMENT_DIFFERS")
        return Executed(proposal, member, job.endorsed, "VALID")

    def _admit(self, job: _Job, state: simulate.Snapshot, rules: Rules) -> Member:
        """The signer, if the signature is good, the ledger is meant and the clock agrees."""
        proposal = job.proposal
        member = job.judge(rules)
        if proposal.origin != self._origin:
            raise Refusal("OTHER_LEDGER")
        charter = state.get(CHARTER_KEY)
        skew = Parties.of(charter[0]).skew_ms if charter else DEFAULT_SKEW_MS
        if abs(self._clock() - proposal.time) > skew:
            raise Refusal("CLOCK_SKEW", limit_ms=skew)
        return member

    def _refused(self, proposal: SignedProposal, refusal: Refusal) -> Refused:
        hint = HINTS.get(refusal.code, "")
        try:
            self._refusals.append(proposal, *certified_as(self._rules.membership, proposal.creator), refusal)
        except CouldNotCheck as error:
            # The host's own memory of it fails: whoever is refused is told why all the same.
            hint = f"{hint}\nThis refusal is not in the log of refusals: {error}".lstrip()
        return Refused(
            f"{proposal.contract}.{proposal.transaction} was refused: {refusal}",
            code=refusal.code,
            facts=refusal.facts,
            hint=hint,
        )

    def _receipt(self, done: Executed, block: int) -> Receipt | Refused:
        proposal = done.proposal
        if done.verdict != "VALID":
            return Refused(
                f"{proposal.contract}.{proposal.transaction} was not applied: {done.verdict}",
                code=done.verdict,
                hint=HINTS[done.verdict],
            )
        return Receipt(proposal.transaction_id, block, canonical.decode(done.simulation.response))

    def _writable(self) -> Ed25519PrivateKey:
        if self._log_key is None:
            raise CouldNotCheck(
                "the ledger is open for reading only: the key that signs its heads is not here",
                hint="Write where the key is: the home in which `tally init` was run.",
            )
        return self._log_key


def _judge(proposal: SignedProposal, rules: Rules) -> Member | Refusal:
    if not proposal.is_what_was_signed():
        return Refusal("NOT_A_MEMBER", reason="the signed bytes say something else")
    try:
        return rules.membership.verify(proposal.creator, proposal.signature, proposal.data, proposal.time)
    except ProofError as error:
        return refusal_of(error)


def _receipt_or_error(job: _Job) -> Receipt | TallystickError:
    try:
        return job.receipt()
    except TallystickError as error:
        return error
