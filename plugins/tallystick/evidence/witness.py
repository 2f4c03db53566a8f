"""Today's log against heads that were kept elsewhere. What each of them shows: docs/verification.md.

A log that was walked gives its root at every size, so a kept head is compared with that root: no
consistency proof is needed where all blocks are at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from tallystick.errors import InvalidInput
from tallystick.evidence.judged import HostChain
from tallystick.evidence.report import CHANGED, UNCHECKED, VERIFIED, Subject
from tallystick.proof.checkpoint import Checkpoint, head_of, parse_checkpoint
from tallystick.proof.errors import Malformed, NotTrusted, ProofError
from tallystick.proof.trust import TrustPolicy


@dataclass(frozen=True, slots=True)
class Kept:
    """Heads (signed notes) kept outside the ledger, and whose signatures count.

    ``pin`` is what somebody else kept (`--since`), ``last_seen`` what this machine saw last.
    """

    pin: str | None = None
    trust: TrustPolicy | None = None
    last_seen: str | None = None

    @property
    def sizes(self) -> set[int]:
        """The sizes whose roots a walk must note. Raises `InvalidInput` for a pin that is no head."""
        return {head.size for head in (self.pin_head, self.last_head) if head}

    @property
    def pin_head(self) -> Checkpoint | None:
        """The pinned head, its signatures not judged. Raises `InvalidInput`."""
        return None if self.pin is None else read_head(self.pin)

    @property
    def last_head(self) -> Checkpoint | None:
        """The last head seen, or None also where what was kept is damaged."""
        try:
            return None if self.last_seen is None else read_head(self.last_seen)
        except InvalidInput:
            return None


def read_head(text: str) -> Checkpoint:
    """The head of a signed note, or of the one line that people keep: ORIGIN SIZE ROOT, which nobody signed.

    No signature is judged. Raises `InvalidInput` for what is neither.
    """
    try:
        if len(line := text.split()) == 3 and "\n" not in text.strip():
            return parse_checkpoint("".join(f"{part}\n" for part in line))
        return head_of(text)
    except Malformed as error:
        raise InvalidInput(
            f"the checkpoint to verify since cannot be read: {error}",
            hint="Give the file that holds what `tally checkpoint` printed.",
        ) from None


def judge(chain: HostChain, kept: Kept) -> tuple[list[Subject], int]:
    """What the kept heads and the trusted keys say of a log that was walked, and how many of its blocks
    the pin covers where it counts and nothing contradicts."""
    subjects, witnessed = [], 0
    if kept.trust is not None and (subject := _trusted(chain, kept.trust, pinned=kept.pin is not None)):
        subjects.append(subject)
    if kept.pin is not None and (pin := kept.pin_head):
        subject = _signed(kept.pin, kept.trust) or _extends(chain, pin, "checkpoint")
        subjects.append(subject)
        if subject.status == VERIFIED:
            witnessed = chain.whole_blocks[pin.size]
    if last := kept.last_head:
        subjects.append(_extends(chain, last, "last head seen"))
    elif kept.last_seen is not None:
        subjects.append(Subject("last head seen", chain.origin, UNCHECKED, "what was kept of it is damaged"))
    return subjects, 0 if any(subject.status == CHANGED for subject in subjects) else witnessed


def _trusted(chain: HostChain, trust: TrustPolicy, *, pinned: bool) -> Subject | None:
    """Today's own head under the trusted keys. A ledger's file holds no cosignatures: a quorum is asked
    of the pin, which somebody else keeps. Where each member derives and signs today's head for itself,
    another's keys say nothing of it: they judge the pin alone, and nothing is said here."""
    try:
        judgement = trust.judge(chain.checkpoint)
    except ProofError as error:
        if chain.derived_here and isinstance(error, NotTrusted):
            detail = (
                "today's head is this member's own: give one that they signed (tally verify --since FILE)"
            )
            return None if pinned else Subject("trust", chain.origin, UNCHECKED, detail)
        return Subject("trust", chain.origin, CHANGED, f"today's head: {error}")
    if not judgement.quorum_met and not pinned:
        detail = "it asks for witnesses: give the head that they cosigned (tally verify --since FILE)"
        return Subject("trust", chain.origin, UNCHECKED, detail)
    return Subject("trust", chain.origin, VERIFIED, "today's head is signed by a key that you trust")


def _signed(pin: str, trust: TrustPolicy | None) -> Subject | None:
    """Why a pinned head does not count under ``trust``, if it does not."""
    if trust is None:
        return None
    try:
        trust.require_quorum(pin)
    except ProofError as error:
        return Subject("checkpoint", "since", UNCHECKED, f"your own checkpoint does not count: {error}")
    return None


def _extends(chain: HostChain, head: Checkpoint, kind: str) -> Subject:
    """Whether the log, walked to its end, has the leaves under ``head`` as its first ones."""
    name, size = f"{head.origin} {head.size}", chain.frontier.size
    if head.origin != chain.origin:
        return Subject(kind, name, CHANGED, f"today's ledger is another one: {chain.origin}")
    if head.size > size:
        detail = f"the ledger was longer: {head.size:,} leaves then, {size:,} now. Records were taken away"
        return Subject(kind, name, CHANGED, detail)
    if chain.roots[head.size] != head.root:
        return Subject(kind, name, CHANGED, "the ledger was rewritten: its beginning is not what it was then")
    blocks = chain.whole_blocks[head.size]
    detail = f"extends it: blocks 0-{blocks - 1} are those of that head" if blocks else "covers no block"
    return Subject(kind, name, VERIFIED, detail)
