"""File digests, folder manifests and table roots against openssl, pymerkle and sha256sum.

    python benchmarks/fingerprint.py [--rows 10000000]

Every figure is the best of three runs, files being in the page cache, peers in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from peers import CACHE, peer_python
from report import section

from tallystick.fingerprint.files import file_digest
from tallystick.folders import make_manifest
from tallystick.store import Store

ROOT = Path(__file__).parents[1]
SCHEMA = {
    "date": "date",
    "open": "float",
    "high": "float",
    "low": "float",
    "close": "float",
    "volume": "int",
    "adj_close": "float",
}
RUNS = 3

# Only what says how to read the file; the rest must be there.
POLICY = """\
name: prices
title: Prices
source: made here
licence: none
purpose: a benchmark
retention: {days: 1, reason: a benchmark}
task: {kind: regression, target: adj_close}
model: {algorithm: lightgbm, seed: 1}
split: {kind: random, test_fraction: 0.2}
privacy: {regime: none, reason: made here}
columns:
"""

# What ingest does to a file's rows, in a process of its own, so that CPU and memory are the fingerprint's and
# nothing else's. The first, small call loads the compiled code, paid once a process and reported apart.
OURS = """
import json, os, sys, time
from pathlib import Path
import pyarrow as pa
from tallystick.fingerprint import tables
from tallystick.fingerprint.keys import DatasetKey
from tallystick.policy import load_policy
from tallystick.steps.tables import Rows
key = DatasetKey("0" * 16, "bench", bytes(32)).table_key(bytes(32))
policy = load_policy(sys.argv[2])
from_rows, tables.COMPILED_FROM = tables.COMPILED_FROM, 0
tables.fingerprint_table(pa.table({"a": [1.5], "b": ["x"]}), key)
tables.COMPILED_FROM = from_rows
before, start = os.times(), time.perf_counter()
found = tables.fingerprint_table(Rows(Path(sys.argv[1]), policy).source(), key)
after = os.times()
print(json.dumps({"wall": time.perf_counter() - start, "root": found.root,
    "cpu": after.user + after.system - before.user - before.system, "loading": before.user + before.system,
    "peak": int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024}))
"""

PYMERKLE = """
import sys, time
from pymerkle import InmemoryTree
count = int(sys.argv[1])
rows = [number.to_bytes(8, "big") * 10 for number in range(count)]
start = time.perf_counter()
tree = InmemoryTree(algorithm="sha256")
for row in rows:
    tree.append_entry(row)
tree.get_state()
print(count / (time.perf_counter() - start))
"""


@dataclass(frozen=True)
class Cost:
    wall: float
    cpu: float
    output: str


def child(command: list[str]) -> Cost:
    """Wall and CPU seconds of a child process, and what it printed."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"}
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.perf_counter() - start, cpu, done.stdout)


def best(measure: Callable[[], float]) -> float:
    return min(measure() for _ in range(RUNS))


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def make_table(folder: Path, rows: int) -> tuple[Path, Path]:
    """Daily prices like those of the finance demonstration, as CSV and as Parquet."""
    csv, parquet = folder / f"prices-{rows}.csv", folder / f"prices-{rows}.parquet"
    if csv.exists() and parquet.exists():
        return csv, parquet
    rng = np.random.default_rng(7)
    close = 2000 + np.cumsum(rng.normal(0, 1, rows)) / 10
    table = pa.table(
        {
            "date": pa.array((np.arange(rows) // 400).astype(np.int32)).cast(pa.date32()),
            "open": np.round(close + rng.normal(0, 1, rows), 2),
            "high": np.round(close + 3, 2),
            "low": np.round(close - 3, 2),
            "close": np.round(close, 2),
            "volume": rng.integers(10**6, 10**9, rows),
            "adj_close": close / 3,
        }
    )
    pyarrow.csv.write_csv(table, csv)
    pyarrow.parquet.write_table(table, parquet)
    return csv, parquet


def measure_files(folder: Path) -> list[dict[str, str]]:
    one, many, cores = folder / "one.bin", folder / "many", os.cpu_count() or 1
    one.write_bytes(os.urandom(512 << 20))
    many.mkdir(exist_ok=True)
    names = [str(many / f"{number:03}") for number in range(64)]
    for name in names:
        Path(name).write_bytes(os.urandom(16 << 20))

    def openssl_on_all_cores() -> None:
        shares = [names[core::cores] for core in range(cores)]
        running = [
            subprocess.Popen(["openssl", "dgst", "-sha256", *share], stdout=subprocess.DEVNULL)
            for share in shares
        ]
        assert all(process.wait() == 0 for process in running)

    rows = []
    openssl = best(lambda: child(["openssl", "dgst", "-sha256", str(one)]).wall)
    ours = best(lambda: timed(lambda: file_digest(one)))
    rows.append(
        row(
            "digest of a file, 512 MiB",
            mib(512, ours),
            f"openssl, one core: {mib(512, openssl)}",
            openssl / ours,
            ">= 0.9",
        )
    )
    openssl = best(lambda: timed(openssl_on_all_cores))
    ours = best(lambda: timed(lambda: make_manifest(many, digest_and_size)))
    rows.append(
        row(
            "manifest of a folder, 64 x 16 MiB",
            mib(1024, ours),
            f"openssl, {cores} cores: {mib(1024, openssl)}",
            openssl / ours,
            ">= 0.9",
        )
    )
    # What a step does: each file is copied, and on the disk before it is named.
    ours = timed(lambda: Store(folder / "objects").add_folder(many))
    rows.append(
        row(
            "the same folder into the store",
            mib(1024, ours),
            f"openssl, {cores} cores, which copies nothing: {mib(1024, openssl)}",
            openssl / ours,
            "",
        )
    )
    return rows


def digest_and_size(path: Path) -> tuple[str, int]:
    return file_digest(path), path.stat().st_size


def column(name: str, kind: str) -> str:
    role = ", class: excluded" if kind == "date" else ""
    return f"  - {{name: {name}, type: {kind}, nullable: true{role}}}\n"


def measure_tables(folder: Path, count: int) -> tuple[list[dict[str, str]], str]:
    csv, parquet = make_table(folder, count)
    policy = folder / "prices.yaml"
    policy.write_text(POLICY + "".join(column(name, kind) for name, kind in SCHEMA.items()))
    leaves = max(float(child([str(peer_python()), "-c", PYMERKLE, "300000"]).output) for _ in range(RUNS))
    sums = best(lambda: child(["sha256sum", str(csv)]).cpu)
    rows, peaks, roots, loading = [], [], set(), []
    for name, path, goal in (("Parquet", parquet, 2.2), ("CSV", csv, 3.5)):
        runs = [child([sys.executable, "-c", OURS, str(path), str(policy)]) for _ in range(RUNS)]
        costs = [json.loads(run.output) for run in runs]
        wall, cpu = min(cost["wall"] for cost in costs), min(cost["cpu"] for cost in costs)
        peaks.append(f"{name} {max(cost['peak'] for cost in costs):.0f} MiB")
        roots |= {cost["root"] for cost in costs}
        loading += [cost["loading"] for cost in costs]
        rate = count / wall
        rows.append(
            row(
                f"root of a table, {count:,} rows, {name}: rate",
                f"{rate:,.0f} rows/s",
                f"pymerkle: {leaves:,.0f} leaves/s",
                rate / leaves,
                ">= 15",
            )
        )
        rows.append(
            row(
                f"root of a table, {count:,} rows, {name}: CPU",
                f"{cpu:.2f} s",
                f"sha256sum of the CSV: {sums:.2f} s",
                cpu / sums,
                f"<= {goal}",
            )
        )
    assert len(roots) == 1, "the formats disagree"
    notes = (
        "Roots as ingest makes them: strict reading under a policy, as a stream. "
        f"The CSV has {csv.stat().st_size / 1e6:,.0f} MB, {len(SCHEMA)} columns. Peak memory of the process: "
        f"{', '.join(peaks)}. Starting Python and loading libraries and compiled code took "
        f"{min(loading):.1f} s of CPU, not counted above. pymerkle was given 300,000 rows of 80 bytes, "
        "in memory."
    )
    return rows, notes


def row(what: str, ours: str, peer: str, ratio: float, goal: str) -> dict[str, str]:
    return {"what": what, "Tallystick": ours, "peer": peer, "ratio": f"{ratio:.2f}", "goal": goal}


def mib(size: int, seconds: float) -> str:
    return f"{size / seconds:,.0f} MiB/s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    count = parser.parse_args().rows
    folder = CACHE / "benchmark-fingerprint"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        files = measure_files(folder)
        tables, notes = measure_tables(folder, count)
    finally:
        shutil.rmtree(folder)
    section("Fingerprints", files + tables, packages=("numba", "numpy", "pyarrow"), notes=notes)


if __name__ == "__main__":
    main()
