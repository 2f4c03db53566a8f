"""Fabric: what a network of three organisations on this machine gets committed a second, and how soon.

    python benchmarks/fabric.py [--quick]

A fresh network as `tally fabric up` makes it: one Raft orderer, blocks of 100 ms, mutual TLS on every hop,
AND(Regulator, OR(Operator, Auditor)). Its own contracts, and a chaincode that only writes, on our server
(fabric_put.py) and on Fabric's library for Go (fabric_go/), which take turns.
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import common
from fabric_network import PYTHON, Fabric, Use, go_program
from report import reached, section

from chaincode import canonical
from tallystick.ledger.fabric import Gateway, GatewayError, load_profile
from tallystick.ledger.fabric.identity import Member
from tallystick.network import configuration
from tallystick.network.binaries import VERSION

RECORDS, RECORD_BYTES = 500, 300
PAIRED = 64
VALUE = b"x" * RECORD_BYTES

#: A transaction's arguments: of the worker's number and a name that no other transaction has.
Arguments = Callable[[int, str], list[bytes]]


@dataclass(frozen=True)
class Load:
    """``in_flight`` workers that submit transactions of ``records`` each, one after another."""

    what: str
    arguments: Arguments
    in_flight: int
    records: int = 1
    goal: str = ""


class Round(NamedTuple):
    """What came of a load: transactions and latencies in seconds, and what each process used meanwhile."""

    transactions: int
    wall: float
    latencies: list[float]
    used: dict[str, Use]

    @property
    def rate(self) -> float:
        return self.transactions / self.wall


def put(worker: int, name: str) -> list[bytes]:
    return [b"put", name.encode(), VALUE]


def put_many(worker: int, name: str) -> list[bytes]:
    return [b"put_many", name.encode(), b"%d" % RECORDS, VALUE]


class Bench:
    """Runs loads on a network through the operator's gateway."""

    def __init__(self, fabric: Fabric, seconds: float) -> None:
        self._fabric = fabric
        self._seconds = seconds
        layout = fabric.network.layout
        self._profile = load_profile(layout.profiles / "operator.yaml")
        self._connections = self._profile.connect()
        self._gateway = self._profile.gateway(self._connections)
        admin = Member.from_msp(layout.user("OperatorMSP", "admin"), "OperatorMSP")
        self._admin = self._profile.gateway(self._connections, admin)

    def submit(self, arguments: Sequence[bytes], gateway: Gateway | None = None) -> bytes:
        gateway = gateway or self._gateway
        chaincode = self._profile.chaincode

        def propose() -> Any:
            return gateway.propose(chaincode, arguments, time_ms=time.time_ns() // 1_000_000)

        return gateway.submit(propose).payload

    def use_contracts(self, datasets: int) -> tuple[Arguments, Arguments]:
        """One record and many of the contracts', each worker's on a dataset of its own."""
        charter = {
            "origin": "benchmark.example/0123456789abcdef",
            "parties": {"operator": "OperatorMSP", "regulator": "RegulatorMSP", "auditor": "AuditorMSP"},
            "independent": "regulator",
            "grants": {"pipeline": [{"party": "operator", "role": "pipeline"}]},
            "skew_ms": 300_000,
            "log_format": "tallystick-log-v1",
        }
        self.submit([b"charter:adopt", canonical.encode(charter)], self._admin)
        items = [
            {"transaction": "register_dataset", "request": common.dataset(f"d{number}")}
            for number in range(datasets)
        ]
        made = canonical.decode(self.submit([b"provenance:batch", canonical.encode({"items": items})]))
        references = [{"id": each["id"], "digest": each["digest"]} for each in made]

        def one(worker: int, name: str) -> list[bytes]:
            return [b"provenance:record_use", canonical.encode(common.use(name, references[worker]))]

        def many(worker: int, name: str) -> list[bytes]:
            uses = [common.use(each, references[worker]) for each in common.names(name, RECORDS)]
            items = [{"transaction": "record_use", "request": each} for each in uses]
            return [b"provenance:batch", canonical.encode({"items": items})]

        return one, many

    def serve(self, command: Sequence[str], first: Sequence[bytes]) -> None:
        """Exchange the chaincode servers, and wait until ``first`` goes through."""
        self._fabric.serve(command)
        ends = time.monotonic() + 30
        while True:
            try:
                self.submit(first)
                return
            except GatewayError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.2)

    def run(self, load: Load) -> Round:
        run_name, latencies, failures = secrets.token_hex(4), list[float](), list[Exception]()
        ends = time.perf_counter() + self._seconds

        def work(worker: int) -> None:
            count = 0
            try:
                while (start := time.perf_counter()) < ends:
                    self.submit(load.arguments(worker, f"{run_name}-{worker}-{count}"))
                    latencies.append(time.perf_counter() - start)
                    count += 1
            except Exception as error:
                failures.append(error)

        before, start = self._fabric.used(), time.perf_counter()
        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(load.in_flight)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall, after = time.perf_counter() - start, self._fabric.used()
        if failures:
            raise failures[0]
        used = {name: Use(use.cpu - before[name].cpu, use.memory) for name, use in after.items()}
        return Round(len(latencies), wall, latencies, used)

    def close(self) -> None:
        self._connections.close()


def measured(bench: Bench, pairs: int, rounds: int) -> tuple[list[Load], dict[Load, list[Round]]]:
    one, many = bench.use_contracts(PAIRED)
    contracts = [
        Load("our contracts", one, PAIRED),
        Load("our contracts", many, 4, RECORDS),
        Load("our contracts", many, 6, RECORDS),
    ]
    ours = Load("put, Python", put, PAIRED, goal=">= 0.8 x Go")
    theirs = Load("put, Go", put, PAIRED)
    puts = [Load("put, Python", put, in_flight) for in_flight in (1, 16, 256)]
    batches = [
        Load("put, Python", put_many, in_flight, RECORDS, ">= 10,000 records/s, p50 <= 250 ms")
        for in_flight in (4, 6)
    ]
    results = defaultdict[Load, list[Round]](list)
    bench.serve(PYTHON, put(0, "first"))
    for _ in range(rounds):
        for load in (*batches, *puts):
            results[load].append(bench.run(load))
    go = go_program()
    for pair in range(pairs):
        for load, server in ((ours, PYTHON), (theirs, go)) if pair % 2 else ((theirs, go), (ours, PYTHON)):
            bench.serve(server, put(0, f"first-{pair}-{load.what}"))
            results[load].append(bench.run(load))
    bench.serve(configuration.server_command(), one(0, "first"))
    for _ in range(rounds):
        for load in contracts:
            results[load].append(bench.run(load))
    return [*puts[:2], ours, theirs, puts[2], *batches, *contracts], results


def row(load: Load, rounds: Sequence[Round], met: bool | None) -> dict[str, str]:
    rate = statistics.median(each.rate for each in rounds)
    cpu = statistics.median(map(_cpu, rounds))
    latencies = sorted(latency for each in rounds for latency in each.latencies)
    return {
        "what": load.what,
        "records a transaction": f"{load.records}",
        "in flight": f"{load.in_flight}",
        "transactions/s": f"{rate:,.0f}",
        "records/s": f"{rate * load.records:,.0f}",
        "p50": f"{_p50(rounds) * 1000:,.0f} ms",
        "p95": f"{latencies[int(len(latencies) * 0.95)] * 1000:,.0f} ms",
        "CPU a transaction": f"{cpu * 1000:,.1f} ms",
        "CPU a record": f"{cpu / load.records * 1000:,.2f} ms",
        "goal": load.goal,
        "reached": "" if met is None else reached(met),
    }


def processes(shown: Mapping[str, Sequence[Round]]) -> list[dict[str, str]]:
    """CPU a transaction and the most memory held, of each process."""
    rows = []
    for name in next(iter(shown.values()))[0].used:
        told = {"process": name}
        for title, rounds in shown.items():
            cpu = statistics.median(each.used[name].cpu / each.transactions for each in rounds)
            told[title] = f"{cpu * 1000:,.2f} ms, {rounds[-1].used[name].memory:,.0f} MiB"
        rows.append(told)
    return rows


def _cpu(measured: Round) -> float:
    """Seconds of CPU a transaction, of all processes."""
    return sum(use.cpu for use in measured.used.values()) / measured.transactions


def _p50(rounds: Sequence[Round]) -> float:
    return statistics.median(latency for each in rounds for latency in each.latencies)


def report(loads: Sequence[Load], results: dict[Load, list[Round]]) -> None:
    """Keep both tables."""
    by = {(load.what, load.in_flight, load.records): load for load in loads}
    python, go = by["put, Python", PAIRED, 1], by["put, Go", PAIRED, 1]
    alone = by["put, Python", 1, 1]
    pairs = list(zip(results[python], results[go], strict=True))
    ratio = statistics.median(ours.rate / theirs.rate for ours, theirs in pairs)
    cpu_ratio = statistics.median(_cpu(ours) / _cpu(theirs) for ours, theirs in pairs)
    met: dict[Load, bool | None] = {load: _many_met(results[load]) for load in loads if load.goal}
    met[python] = ratio >= 0.8
    section(
        "Fabric",
        [row(load, results[load], met.get(load)) for load in loads],
        packages=("grpcio", "protobuf", "cryptography"),
        notes=f"Fabric {VERSION} natively on this one machine: three peers, a Raft orderer, three chaincode "
        "servers and the client share its cores. A new network as `tally fabric up` makes it: mutual TLS on "
        "every hop, blocks of 100 ms, AND(Regulator, OR(Operator, Auditor)). A put writes one key of "
        f"{RECORD_BYTES} bytes, or {RECORDS} that the chaincode makes of one argument. Our contracts' record "
        "is a `record_use`, each worker's on a dataset of its own; its transaction carries the requests and "
        "the records, and for each reads one key and writes two. One submit took "
        f"{_p50(results[alone]) * 1000:,.0f} ms from proposal to commit. At {PAIRED} in flight Python has "
        f"{ratio:.2f} of Go's rate and takes {cpu_ratio:.2f} of its CPU, all processes together (medians of "
        f"{len(pairs)} pairs that took turns); other figures are medians of {len(results[alone])} rounds. "
        "CPU is of all processes, the client's included. Fabric's own figure is 2,544 transactions/s on "
        "dedicated hardware (hyperledger.org, Benchmarking Hyperledger Fabric 2.5 Performance, 2023), each "
        f"of one record: it compares with transactions/s. Records/s count {RECORDS} that share a "
        f"transaction's signatures and checks. The load average was {os.getloadavg()[1]:.1f} when this "
        f"ended: other work ran on the same {os.cpu_count()} cores. Above their number rates are of what was "
        "left, and a ratio of rates swings with it; CPU is the steadier measure then.",
    )
    shown = [python, go, by["put, Python", 6, RECORDS], by["our contracts", 6, RECORDS]]
    section(
        "Fabric, by process",
        processes({_title(load): results[load] for load in shown}),
        notes="CPU a transaction, and the most memory that the process had held by then (resident).",
    )


def _many_met(rounds: Sequence[Round]) -> bool:
    rate = statistics.median(each.rate for each in rounds) * RECORDS
    return rate >= 10_000 and _p50(rounds) <= 0.25


def _title(load: Load) -> str:
    return f"{load.what}, {load.records:,} a transaction, {load.in_flight} in flight"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    pairs, rounds, seconds = (1, 1, 2.0) if quick else (6, 3, 6.0)
    with common.scratch("fabric") as folder, Fabric.up(folder / "fabric") as fabric:
        bench = Bench(fabric, seconds)
        loads, results = measured(bench, pairs, rounds)
        bench.close()
    report(loads, results)


if __name__ == "__main__":
    main()
