"""Append: what one client, 64 threads, 8 processes and batches get recorded a second.

    python benchmarks/append.py [--quick]

Peers, measured in the same run and alternately: SQLite's single-row commits (WAL, synchronous=FULL) and
one core's rate of P-256 verifications. Every figure is the median of the rounds; all that was
acknowledged is counted again in the blocks after the ledger was closed and opened.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import common
from common import Client
from report import reached, section

THREADS, PROCESSES = 64, 8


@dataclass(frozen=True)
class Load:
    """``records`` in one round of a way to append; ``goal`` in words, and ``met`` tells of (rate, P-256
    verifications, SQLite commits) a second whether it is reached."""

    what: str
    records: int
    run: Callable[[Client, str, Path], None]
    goal: str = ""
    met: Callable[[float, float, float], bool] | None = None


def single(count: int) -> Callable[[Client, str, Path], None]:
    def run(client: Client, run_name: str, folder: Path) -> None:
        for name in common.names(run_name, count):
            client.record(name, DATASETS[0])

    return run


def threads(count: int) -> Callable[[Client, str, Path], None]:
    def run(client: Client, run_name: str, folder: Path) -> None:
        def work(thread: int) -> None:
            for name in common.names(f"{run_name}-{thread}", count):
                client.record(name, DATASETS[thread])

        working = [threading.Thread(target=work, args=(thread,)) for thread in range(THREADS)]
        for thread in working:
            thread.start()
        for thread in working:
            thread.join()

    return run


def processes(count: int) -> Callable[[Client, str, Path], None]:
    def run(client: Client, run_name: str, folder: Path) -> None:
        for writer in WRITERS:
            writer.tell(f"{run_name} {count}")
        for writer in WRITERS:
            writer.answer()

    return run


def batches(size: int, count: int) -> Callable[[Client, str, Path], None]:
    def run(client: Client, run_name: str, folder: Path) -> None:
        for batch in range(count):
            client.record_batch(common.names(f"{run_name}-{batch}", size), DATASETS[batch % THREADS])

    return run


class Writer:
    """A process that has the ledger open and writes when it is told to."""

    def __init__(self, folder: Path, number: int) -> None:
        self._number = number
        command = [sys.executable, __file__, "--writer", str(folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def tell(self, line: str) -> None:
        self._process.stdin.write(f"{self._number} {line}\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0


def write_as_told(folder: Path) -> None:
    client = Client.open(folder)
    print("ready", flush=True)
    for line in sys.stdin:
        number, run_name, count = line.split()
        dataset = client.ledger.evaluate(
            client.identity,
            common.Call("provenance", "read", {"id": f"dataset/d{number}/1"}),
        )["facts"]
        reference = {"id": f"dataset/d{number}/1", "digest": {"sha256": dataset["digest"]}}
        for name in common.names(f"{run_name}-{number}", int(count)):
            client.record(name, reference)
        print("done", flush=True)


DATASETS: list[dict[str, object]] = []
WRITERS: list[Writer] = []


@dataclass
class Measured:
    """What the rounds took, by the load's name: seconds, this process's CPU seconds, blocks; the peers'
    rates a second beside them; and how many records were found in the end, of how many bytes."""

    walls: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpus: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    blocks: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    verifications: list[float] = field(default_factory=list)
    commits: list[float] = field(default_factory=list)
    found: int = 0
    size: int = 0

    def peers(self) -> tuple[float, float]:
        """The median rates of P-256 verifications and of SQLite commits."""
        return statistics.median(self.verifications), statistics.median(self.commits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--writer", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.writer:
        write_as_told(arguments.writer)
        return
    scale, rounds = (1, 1) if arguments.quick else (5, 5)
    ways = loads(scale)
    measured = measure(ways, rounds)
    rows = [row(load, measured) for load in ways]
    section("Append", rows, packages=("cryptography",), notes=notes(measured, rounds))


def loads(scale: int) -> list[Load]:
    return [
        Load("single client", 100 * scale, single(100 * scale)),
        Load(
            f"{THREADS} threads in one process",
            THREADS * 20 * scale,
            threads(20 * scale),
            ">= 0.45 verifications, above SQLite",
            lambda rate, verifications, commits: rate >= 0.45 * verifications and rate > commits,
        ),
        Load(f"{PROCESSES} processes", PROCESSES * 20 * scale, processes(20 * scale)),
        *(
            Load(
                f"{size:,} records a transaction",
                4 * size * scale,
                batches(size, 4 * scale),
                ">= 30,000 records/s",
                lambda rate, verifications, commits: rate >= 30_000,
            )
            for size in (500, 1000)
        ),
    ]


def measure(ways: Sequence[Load], rounds: int) -> Measured:
    """Peers and loads in turn, ``rounds`` times; then all that was acknowledged is counted again."""
    measured = Measured()
    with common.scratch("append") as folder:
        client = Client.create(folder)
        DATASETS.extend(client.register(f"d{number}") for number in range(THREADS))
        WRITERS.extend(Writer(folder, number) for number in range(PROCESSES))
        for number in range(rounds):
            for place, load in enumerate(ways):
                measured.verifications.append(common.verification_rate())
                measured.commits.append(common.sqlite_rate(folder))
                run_once(load, client, f"r{number}-{place}", folder, measured)
        for writer in WRITERS:
            writer.close()
        client.ledger.close()
        measured.found, measured.size = Client.open(folder).count()
    # The charter is a record too.
    acknowledged = 1 + THREADS + rounds * sum(load.records for load in ways)
    found = measured.found
    assert found == acknowledged, f"{acknowledged} records were acknowledged, {found} are there"
    return measured


def run_once(load: Load, client: Client, run_name: str, folder: Path, measured: Measured) -> None:
    height, cpu, start = client.ledger.height, time.process_time(), time.perf_counter()
    load.run(client, run_name, folder)
    measured.walls[load.what].append(time.perf_counter() - start)
    measured.cpus[load.what].append(time.process_time() - cpu)
    measured.blocks[load.what].append(client.ledger.height - height)


def row(load: Load, measured: Measured) -> dict[str, str]:
    """The load's line of the table, each column by its name."""
    verification, commit = measured.peers()
    rate = load.records / statistics.median(measured.walls[load.what])
    apiece = statistics.median(measured.cpus[load.what]) / load.records * 1e6
    transactions = 1 if "transaction" in load.what else load.records
    per_block = load.records / statistics.median(measured.blocks[load.what]) if transactions > 1 else 1
    return {
        "what": load.what,
        "records/s": f"{rate:,.0f}",
        "CPU a record": "" if "processes" in load.what else f"{apiece:,.0f} µs",
        "transactions a block": f"{per_block:,.0f}",
        "against P-256 verifications": f"{rate / verification:.2f}",
        "against SQLite commits": f"{rate / commit:.2f}",
        "goal": load.goal,
        "reached": reached(load.met(rate, verification, commit)) if load.met else "",
    }


def notes(measured: Measured, rounds: int) -> str:
    """What stands below the table: the peers' rates, and what was measured how."""
    verification, commit = measured.peers()
    return (
        f"One core verified {verification:,.0f} P-256 signatures a second, SQLite committed "
        f"{commit:,.0f} single rows of 300 bytes (WAL, synchronous=FULL, same disk). Medians of {rounds} "
        f"rounds in which peers and loads alternated. A record has {measured.size} bytes on average; each "
        "transaction is signed, verified, run by its contract and answered when durable. All "
        f"{measured.found:,} acknowledged records were found in the blocks after closing and opening the "
        "ledger. CPU is of the one process, its clients' threads included. The machine's cores were shared "
        "with other work."
    )


if __name__ == "__main__":
    main()
