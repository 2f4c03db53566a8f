"""Audited step: ingest, fingerprint and validate a file, against Great Expectations alone on that file.

    python benchmarks/audited_step.py [--rows 1000000] [--quick]

Both sides read the same CSV and evaluate the same expectations, compiled from the same policy. The peer is
what a pipeline without Tallystick does: pandas reads the file, Great Expectations validates the frame.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import common
import pandas
from report import section

from tallystick.clients.provenance import Requests, Task
from tallystick.policy import DatasetPolicy, load_policy
from tallystick.steps import demo_data
from tallystick.steps.expectations import compile_policy
from tallystick.steps.ingest import ingest
from tallystick.steps.validate import _evaluate as evaluate_frame
from tallystick.steps.validation import run_validation
from tallystick.wiring import open_workspace

POLICY = Path(__file__).parents[1] / "policies" / "datasets" / "rand_hie.yaml"


def make_file(folder: Path, rows: int, number: int) -> Path:
    """The demonstration's rows, repeated, so that there are ``rows``; each ``number`` has other bytes."""
    frame = pandas.read_csv(demo_data.write_rand_hie(folder))
    repeated = pandas.concat([frame] * (rows // len(frame) + 1), ignore_index=True).head(rows)
    path = folder / f"rand-{number}.csv"
    repeated.iloc[number % 97 :].to_csv(path, index=False, lineterminator="\n")
    return path


def audited(folder: Path, path: Path, number: int) -> None:
    requests = Requests(Task("benchmark", f"run-{number}", "ingest", -1, 1))
    with open_workspace(common.settings_of(folder)) as workspace:
        run_validation(workspace, requests, ingest(workspace, requests, path, POLICY))


def alone(path: Path, policy: DatasetPolicy) -> None:
    kinds = {column.name: {"int": "int64", "float": "float64"}[column.type] for column in policy.columns}
    result = evaluate_frame(pandas.read_csv(path, dtype=kinds), compile_policy(policy))
    assert all(each.success for each in result.results)


def measured(action: Callable[[], None]) -> tuple[float, float]:
    start, before = time.perf_counter(), common.cpu()
    action()
    return time.perf_counter() - start, common.cpu() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    sizes = [2000] if arguments.quick else [20_190, arguments.rows]
    policy, rows = load_policy(POLICY), []
    with common.scratch("audited") as folder:
        common.Client.create(folder)
        number = 0
        warm = make_file(folder, 200, number)
        audited(folder, warm, number)
        alone(warm, policy)
        for size in sizes:
            ours, peer = [], []
            for _ in range(1 if arguments.quick else 3):
                number += 1
                path = make_file(folder, size, number)
                peer.append(measured(lambda: alone(path, policy)))  # noqa: B023
                ours.append(measured(lambda: audited(folder, path, number)))  # noqa: B023
                path.unlink()
            rows.append(row(size, ours, peer))
    section(
        "Audited step",
        rows,
        packages=("great-expectations", "pandas", "polars", "pyarrow"),
        notes="Ours: copy and digest of the CSV, strict parsing and table root as a stream, dataset on the "
        "ledger, digest and parsing again at opening, validation, canonical result, Data Docs, validation on "
        "the ledger. "
        f"Peer: pandas reads the CSV, Great Expectations evaluates the same {len(compile_policy(policy))} "
        "expectations. Medians, after one small run of each that loads libraries and compiled code. "
        "The machine's cores were shared with other work.",
    )


def row(size: int, ours: list[tuple[float, float]], peer: list[tuple[float, float]]) -> dict[str, str]:
    wall, cpu = (statistics.median(column) for column in zip(*ours, strict=True))
    peer_wall, peer_cpu = (statistics.median(column) for column in zip(*peer, strict=True))
    return {
        "what": f"{size:,} rows",
        "Tallystick": f"{wall:.2f} s ({cpu:.2f} s CPU)",
        "Great Expectations alone": f"{peer_wall:.2f} s ({peer_cpu:.2f} s CPU)",
        "ratio": f"{wall / peer_wall:.2f}",
        "CPU ratio": f"{cpu / peer_cpu:.2f}",
    }


if __name__ == "__main__":
    main()
