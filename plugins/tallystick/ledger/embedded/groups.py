"""Group commit: of the threads that wait, one leads and takes what all of them wait for along."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")


def _held() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Ticket(Generic[Item]):
    """What one thread waits for. ``turn`` is let go when it is done, or when it is to lead."""

    items: Sequence[Item]
    turn: threading.Lock = field(default_factory=_held)
    done: bool = False


class GroupCommit(Generic[Item]):
    """Calls ``commit`` with the items of many threads at once, never twice at a time.

    While one group is being committed the next one gathers. Its first thread is woken to lead it, and
    nobody else before it is done: a lock that all of them queue for would wake each only to find that
    its items were taken along, and leave those that come back no time to gather.
    """

    def __init__(self, commit: Callable[[list[Item]], None], most: int) -> None:
        """``most`` items go into one group."""
        self._commit = commit
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[_Ticket[Item]] = deque()
        self._leader: _Ticket[Item] | None = None

    def run(self, items: Sequence[Item]) -> None:
        """Return when ``commit`` was called with these items, in their order. Raises what it raised, where
        this thread led the group; the others learn of it from what it left in their items."""
        for start in range(0, len(items), self._most):
            self._run(_Ticket(items[start : start + self._most]))

    def _run(self, ticket: _Ticket[Item]) -> None:
        try:
            with self._lock:
                self._waiting.append(ticket)
                leads = self._leader is None
                if leads:
                    self._leader = ticket
            if not leads:
                ticket.turn.acquire()
            if not ticket.done:
                self._lead()
        finally:
            self._leave(ticket)

    def _lead(self) -> None:
        group: list[_Ticket[Item]] = []
        items: list[Item] = []
        try:
            with self._lock:
                while self._waiting and len(items) + len(self._waiting[0].items) <= self._most:
                    group.append(self._waiting[0])
                    self._waiting.popleft()
                    items += group[-1].items
            self._commit(items)
        finally:
            for ticket in group:
                ticket.done = True
                ticket.turn.release()

    def _leave(self, ticket: _Ticket[Item]) -> None:
        """Hand on the lead; also where an interrupt ended the wait, so that nobody waits for ever."""
        with self._lock:
            if not ticket.done and ticket in self._waiting:
                self._waiting.remove(ticket)
            if self._leader is ticket:
                self._leader = self._waiting[0] if self._waiting else None
                if self._leader is not None:
                    self._leader.turn.release()
