"""Growth: append rate, `tally show`, proof time and memory when the ledger is small and when it is not.

    python benchmarks/growth.py [--records 10000,1000000] [--full] [--quick]

The peer is the ledger itself at its smallest size. At each size a process of its own opens the ledger,
appends, reads what `tally show` shows of a record and of a dataset that every second batch uses, and proves
a record, so that the memory is that of this work at this size.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
from common import Client
from report import reached, section

from tallystick.reports.index import open_index
from tallystick.reports.shown import read_shown

BATCH = 500
DATASETS = 1000
GOAL = 1.5


def fill(folder: Path, count: int, start: int) -> None:
    """Append until there are ``count`` records of use; ``start`` are there."""
    client = Client.open(folder)
    datasets = json.loads((folder / "datasets.json").read_text())
    for number in range(start // BATCH, count // BATCH):
        dataset = datasets[0 if number % 2 == 0 else number % len(datasets)]
        client.record_batch(common.names(f"use-{number}", BATCH), dataset)


def follow(folder: Path) -> float:
    """Bring the read index up to the ledger; returns the seconds."""
    client = Client.open(folder)

    def open_and_close() -> None:
        with open_index(common.settings_of(folder).index, client.ledger):
            pass

    return common.timed(open_and_close)


def measure(folder: Path, size: int, repeats: int) -> dict[str, Any]:
    """What one process sees at this size."""
    client = Client.open(folder)
    settings = common.settings_of(folder)
    chosen = random.Random(size)
    ids = [f"use/use-{chosen.randrange(size // BATCH)}-{chosen.randrange(BATCH)}" for _ in range(repeats)]
    datasets = json.loads((folder / "datasets.json").read_text())
    shows, dataset_shows, proofs = [], [], []
    with open_index(settings.index, client.ledger) as index:
        for record_id in ids:
            leaf = index.find(record_id).leaf
            shows.append(common.timed(lambda: read_shown(client.ledger, index, record_id)))  # noqa: B023
            proofs.append(common.timed(lambda: client.ledger.inclusion_proof(leaf)))  # noqa: B023
            dataset_shows.append(common.timed(lambda: read_shown(client.ledger, index, datasets[0]["id"])))
    run_name, appends, cpus = f"measured-{size}", [], []
    for number in range(repeats):
        before = time.process_time()
        batch = common.names(f"{run_name}-{number}", BATCH)
        appends.append(common.timed(lambda: client.record_batch(batch, datasets[number % len(datasets)])))  # noqa: B023
        cpus.append(time.process_time() - before)
    return {
        "append": statistics.median(appends) / BATCH,
        "cpu": statistics.median(cpus) / BATCH,
        "show": statistics.median(shows),
        "show dataset": statistics.median(dataset_shows),
        "proof": statistics.median(proofs),
        "memory": int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024,
    }


def child(step: str, *arguments: Any) -> Any:
    command = [sys.executable, __file__, "--step", step, *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


STEPS: dict[str, Callable[..., Any]] = {
    "fill": lambda folder, *counts: fill(Path(folder), *map(int, counts)),
    "follow": lambda folder: follow(Path(folder)),
    "measure": lambda folder, *numbers: measure(Path(folder), *map(int, numbers)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", default="10000,1000000", help="sizes, in multiples of 500")
    parser.add_argument("--full", action="store_true", help="10 k, 1 M and 5 M records")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(STEPS[arguments.step[0]](*arguments.step[1:])))
        return
    listed = "10000,1000000,5000000" if arguments.full else arguments.records
    sizes = [1000, 3000] if arguments.quick else [int(size) for size in listed.split(",")]
    repeats = 10 if arguments.quick else 40
    found, filled, followed = [], 0, []
    with common.scratch("growth") as folder:
        client = Client.create(folder)
        datasets = [client.register(f"d{number}") for number in range(100 if arguments.quick else DATASETS)]
        (folder / "datasets.json").write_text(json.dumps(datasets))
        for size in sizes:
            child("fill", folder, size, filled)
            followed.append((size - filled) / child("follow", folder))
            filled = size
            found.append(child("measure", folder, size, repeats))
        written = filled + repeats * BATCH * len(sizes)
        disk = (folder / "home" / "ledger.db").stat().st_size / written
    rows = [row(size, result, found[0]) for size, result in zip(sizes, found, strict=True)]
    rates = ", ".join(f"{rate:,.0f}" for rate in followed)
    section(
        "Growth",
        rows,
        notes=f"Ratios are to the first line, goal <= {GOAL}. Batches of {BATCH} records of 300 bytes; show "
        f"is all that `tally show` reads of one record, from an index that is up to date: found and held "
        f"against its block and the signed head, with history and lineage; show dataset the same of the "
        f"dataset that half of all records use; proof is one inclusion proof with its signed head; memory is "
        f"the peak of a process that does all of this. "
        f"Medians. The index was brought up to each size at {rates} records/s. The ledger file takes "
        f"{disk:,.0f} bytes a record. The machine's cores were shared with other work.",
    )


def row(size: int, result: dict[str, float], first: dict[str, float]) -> dict[str, str]:
    def ratio(name: str) -> str:
        return f"{ratios[name]:.2f}"

    ratios = {name: value / first[name] for name, value in result.items()}
    missed = [name for name, value in ratios.items() if value > GOAL]

    return {
        "records": f"{size:,}",
        "append": f"{1 / result['append']:,.0f}/s",
        "time ratio": ratio("append"),
        "CPU a record": f"{result['cpu'] * 1e6:,.0f} µs",
        "CPU ratio": ratio("cpu"),
        "show": f"{result['show'] * 1e3:.2f} ms",
        "show ratio": ratio("show"),
        "show dataset": f"{result['show dataset'] * 1e3:.2f} ms",
        "show dataset ratio": ratio("show dataset"),
        "proof": f"{result['proof'] * 1e3:.2f} ms",
        "proof ratio": ratio("proof"),
        "memory": f"{result['memory']:,.0f} MiB",
        "memory ratio": ratio("memory"),
        "goal": "" if result is first else " ".join([*missed, reached(not missed)]),
    }


if __name__ == "__main__":
    main()
