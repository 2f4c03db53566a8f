"""What a reader of a verdict would otherwise miss: how often the rules changed, and times that run back.

Remarks on a log that is sound, not faults of it (docs/verification.md).
"""

from __future__ import annotations

from chaincode.canonical import NotCanonical
from chaincode.parties import CHARTER_KEY, DEFAULT_SKEW_MS, Parties
from tallystick.evidence.judged import JudgedBlock
from tallystick.execution.simulate import Snapshot


class Remarks:
    """Takes note of each block once its transactions stand in ``state``."""

    def __init__(self, state: Snapshot) -> None:
        self._state = state
        self._changes = 0
        self._changed: dict[str, None] = {}
        self._last_change = 0
        self._latest = 0
        #: The first block whose claimed time lies too far before an earlier one's; empty without one.
        self.times = ""

    def note(self, judged: JudgedBlock) -> None:
        """Take note of the next block."""
        times = [transaction.call.claimed_time for transaction in judged.transactions]
        if judged.configured is not None:
            times.append(judged.configured.time)
            if judged.number:
                self._changes, self._last_change = self._changes + 1, judged.number
                self._changed.update(dict.fromkeys(judged.configured.changed))
        behind = self._latest - min(times, default=self._latest)
        # Two honest claims, each within the skew of the host's clock, are no further apart than this.
        if behind > 0 and not self.times and behind > 2 * self._skew():
            self.times = f"block {judged.number} claims a time {behind // 1000:,} s before an earlier block's"
        self._latest = max(self._latest, *times, 0)

    @property
    def configuration(self) -> str:
        """How often members, contracts or keys were changed, and where last."""
        if not self._changes:
            return "rules never changed"
        times = "once" if self._changes == 1 else f"{self._changes:,} times"
        what = f" ({', '.join(self._changed)}; by whom: tally members)" if self._changed else ""
        return f"rules changed {times}{what}, last in block {self._last_change}"

    def _skew(self) -> int:
        """The skew that hosts allow, in milliseconds, by the charter."""
        found = self._state.get(CHARTER_KEY)
        try:
            skew = Parties.of(found[0]).skew_ms if found else DEFAULT_SKEW_MS
        except (NotCanonical, KeyError, TypeError):  # what stands there is the judged party's
            return DEFAULT_SKEW_MS
        return skew if type(skew) is int else DEFAULT_SKEW_MS
