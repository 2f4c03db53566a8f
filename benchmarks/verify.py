"""Verify: records a second of a whole verification (chain, signatures, tree, execution, derived tables).

    python benchmarks/verify.py [--records 10000,100000] [--quick]

The peer is one core's rate of P-256 verifications, measured before and after in the same run: a log of
single transactions needs one for each record.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import common
from common import Client
from report import section

from tallystick.evidence.chain import Chain
from tallystick.evidence.verify import verify
from tallystick.ledger.embedded.stored import StoredFile
from tallystick.wiring import embedded_path

BATCH = 500


def fill(folder: Path, count: int, *, batched: bool) -> None:
    folder.mkdir()
    client = Client.create(folder)
    dataset = client.register("d")
    record = client.record_batch if batched else client.record_many
    for number in range(count // BATCH):
        record(common.names(f"use-{number}", BATCH), dataset)
    client.ledger.close()


def measure(folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds of one verification."""
    settings = common.settings_of(folder)
    start, before = time.perf_counter(), time.process_time()
    with StoredFile(embedded_path(settings)) as stored:
        report = verify(stored, Chain(stored.blocks()), packages=settings.packages)
    assert report.verified, "the ledger is not as it was written"
    return time.perf_counter() - start, time.process_time() - before


def rows_of(sizes: Sequence[int], runs: int) -> tuple[list[dict[str, str]], list[float]]:
    rows, peers = [], []
    with common.scratch("verify") as folder:
        for size in sizes:
            for batched in (False, True):
                what = f"{BATCH} records a transaction" if batched else "one record a transaction"
                place = folder / f"{size}-{batched}"
                fill(place, size, batched=batched)
                walls, cpus = [], []
                for _ in range(runs):
                    peers.append(common.verification_rate())
                    wall, cpu = measure(place)
                    walls.append(wall)
                    cpus.append(cpu)
                peers.append(common.verification_rate())
                rate = size / statistics.median(walls)
                rows.append(
                    {
                        "what": f"{size:,} records, {what}",
                        "records/s": f"{rate:,.0f}",
                        "CPU a record": f"{statistics.median(cpus) / size * 1e6:,.0f} µs",
                        "against P-256 verifications": f"{rate / statistics.median(peers):.2f}",
                    }
                )
    return rows, peers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", default="10000,100000", help=f"sizes, in multiples of {BATCH}")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    sizes = [1000] if arguments.quick else [int(size) for size in arguments.records.split(",")]
    rows, peers = rows_of(sizes, 1 if arguments.quick else 3)
    section(
        "Verify",
        rows,
        packages=("cryptography",),
        notes=f"One core verified {statistics.median(peers):,.0f} P-256 signatures a second in the same run. "
        "A verification reads every block, judges each signature, derives leaves, tree and heads, runs every "
        "transaction again and compares all derived tables row by row; no file outside the ledger is read. "
        "The machine's cores were shared with other work.",
    )


if __name__ == "__main__":
    main()
