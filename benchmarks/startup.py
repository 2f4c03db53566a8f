"""Startup: how soon `tally --help` answers, and how long Airflow needs to parse each DAG file.

    python benchmarks/startup.py [--quick]

Peers of the same run: `python -c pass` for the command, an empty DAG file of one plain task for the files.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import common
from report import section

ROOT = Path(__file__).parents[1]
TALLY = Path(sys.executable).with_name("tally")
#: Run in a process of its own for each file. Importing Airflow and what its parser needs is not counted;
#: all that the file itself imports is, the provider and its operators included.
PARSE = """
import json, sys, time
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
import airflow.sdk
from airflow.providers.standard.operators.python import PythonOperator
path = Path(sys.argv[1])
sys.path.insert(0, str(path.parent))
start = time.perf_counter()
bag = DagBag(dag_folder=path, **json.loads(sys.argv[2]))
seconds = time.perf_counter() - start
assert bag.dags and not bag.import_errors, bag.import_errors
print(json.dumps({"seconds": seconds, "dags": len(bag.dags)}))
"""
EMPTY = """
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG
with DAG("empty", schedule=None):
    PythonOperator(task_id="one", python_callable=print)
"""


def started(commands: list[list[str]], runs: int) -> list[float]:
    """Seconds of each command, taken in turns."""

    def run(command: list[str]) -> float:
        return common.timed(lambda: subprocess.run(command, check=True, capture_output=True))

    rounds = [[run(command) for command in commands] for _ in range(runs)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def parsed(path: Path, home: Path, runs: int) -> tuple[float, int]:
    environment = os.environ | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(path.parent),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "TALLYSTICK_HOME": str(home / "tallystick"),
        "TALLYSTICK_STATE": str(home / "state"),
    }
    results = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-c", PARSE, str(path), "{}"],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout.splitlines()[-1]))
    return statistics.median(result["seconds"] for result in results), results[0]["dags"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    runs = 1 if quick else 7
    bare, help_time = started([[sys.executable, "-c", "pass"], [str(TALLY), "--help"]], runs)
    rows = [row("`tally --help`", help_time, f"python -c pass: {bare * 1e3:.0f} ms", bare, "<= 0.5 s")]
    with common.scratch("startup") as folder:
        empty = folder / "dags" / "empty.py"
        empty.parent.mkdir()
        empty.write_text(EMPTY)
        files = [path for path in sorted((ROOT / "dags").glob("*.py")) if "Airflow DAGs" in path.read_text()]
        peer, _ = parsed(empty, folder, runs)
        for path in files[:1] if quick else files:
            seconds, count = parsed(path, folder, runs)
            what = f"parsing dags/{path.name}, {count} DAGs"
            rows.append(row(what, seconds, f"a DAG of one plain task: {peer * 1e3:.0f} ms", peer, "<= 0.3 s"))
    section(
        "Startup",
        rows,
        packages=("apache-airflow",),
        notes=f"Medians of {runs} new processes. Parsing is the DagBag's, from an interpreter that has "
        "imported Airflow, its SDK and PythonOperator and nothing of ours: reading and running the file with "
        "all that it imports, and building its DAGs. The machine's cores were shared with other work.",
    )


def row(what: str, seconds: float, peer: str, peer_seconds: float, goal: str) -> dict[str, str]:
    return {
        "what": what,
        "Tallystick": f"{seconds * 1e3:.0f} ms",
        "peer": peer,
        "ratio": f"{seconds / peer_seconds:.1f}",
        "goal": goal,
    }


if __name__ == "__main__":
    main()
