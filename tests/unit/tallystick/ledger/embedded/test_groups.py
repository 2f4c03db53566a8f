"""Group commit: all are committed once, in order, one group at a time, and nobody waits for ever."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tallystick.ledger.embedded.groups import GroupCommit


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT interrupts, also where the tests were started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Recorder:
    """A commit that notes its groups, and holds the first one until it is let go."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.running = 0

    def __call__(self, items: list[int]) -> None:
        self.running += 1
        assert self.running == 1, "two groups at a time"
        self.groups.append(items)
        self.entered.set()
        self.go_on.wait(10)
        self.running -= 1


def start(commits: GroupCommit[int], items: list[int]) -> threading.Thread:
    thread = threading.Thread(target=commits.run, args=(items,), daemon=True)
    thread.start()
    return thread


def gathered(commits: GroupCommit[int], count: int) -> None:
    """Wait until ``count`` threads stand in the queue."""
    deadline = time.monotonic() + 10
    while len(commits._waiting) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def run_interrupted(commits: GroupCommit[int], items: list[int], when: Callable[[], None]) -> None:
    """Hand in ``items`` and be interrupted once ``when``, called in a thread of its own, returns."""

    def interrupt() -> None:
        when()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        commits.run(items)
    interrupting.join(10)


def all_end(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_what_gathers_during_a_commit_goes_into_the_next_one():
    recorder = Recorder()
    commits = GroupCommit(recorder, 100)
    first = start(commits, [0])
    assert recorder.entered.wait(10)
    others = []
    for number in range(1, 9):
        others.append(start(commits, [number]))
        gathered(commits, number)
    recorder.go_on.set()
    for thread in [first, *others]:
        thread.join(10)
    assert recorder.groups == [[0], [1, 2, 3, 4, 5, 6, 7, 8]]


def test_a_group_has_at_most_so_many_and_long_lists_are_cut():
    recorder = Recorder()
    recorder.go_on.set()
    commits = GroupCommit(recorder, 3)
    commits.run([1, 2, 3, 4, 5, 6, 7])
    commits.run([])
    assert recorder.groups == [[1, 2, 3], [4, 5, 6], [7]]


def test_many_threads_lose_nothing():
    recorder = Recorder()
    recorder.go_on.set()
    commits = GroupCommit(recorder, 5)

    def work(worker: int) -> None:
        for number in range(50):
            commits.run([worker * 50 + number])

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    committed = [item for group in recorder.groups for item in group]
    assert sorted(committed) == list(range(800))
    assert max(map(len, recorder.groups)) <= 5


def test_an_error_reaches_the_leader_and_the_next_group_goes_on():
    done = []

    def commit(items: list[int]) -> None:
        if items == [1]:
            raise KeyboardInterrupt
        done.extend(items)

    commits = GroupCommit(commit, 10)
    with pytest.raises(KeyboardInterrupt):
        commits.run([1])
    commits.run([2])
    assert done == [2]


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("ahead", [0, 1])
def test_whoever_is_interrupted_while_waiting_stops_nobody(ahead):
    """``ahead`` others wait before the one that is interrupted; with none, it would lead next."""
    recorder = Recorder()
    commits = GroupCommit(recorder, 100)
    threads = [start(commits, [0])]
    assert recorder.entered.wait(10)
    for place in range(ahead):
        threads.append(start(commits, [1 + place]))
        gathered(commits, 1 + place)
    run_interrupted(commits, [99], lambda: gathered(commits, ahead + 1))
    threads.append(start(commits, [2]))
    gathered(commits, ahead + 1)
    recorder.go_on.set()
    all_end(threads)
    assert recorder.groups == [[0], [1, 2] if ahead else [2]]


@pytest.mark.usefixtures("interruptible")
def test_whoever_is_interrupted_while_its_group_is_committed_does_not_stop_those_behind_it():
    first, second = Recorder(), Recorder()
    commits = GroupCommit(lambda items: (second if first.groups else first)(items), 100)
    threads = [start(commits, [0])]
    assert first.entered.wait(10)
    threads.append(start(commits, [1]))
    gathered(commits, 1)

    def committing() -> None:
        gathered(commits, 2)
        threads.append(start(commits, [2]))
        gathered(commits, 3)
        first.go_on.set()
        assert second.entered.wait(10)

    run_interrupted(commits, [99], committing)
    second.go_on.set()
    all_end(threads)
    assert second.groups == [[1, 99, 2]]
