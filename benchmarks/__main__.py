"""`python -m benchmarks [NAME ...] [--quick | --full]`: each benchmark, or those named, in its own process.

Results go to benchmarks/RESULTS.md; with --quick (a smoke run) they are only printed. With --full those that
have a longer run take it: growth to 5 M records, a quarter of an hour or more and about 13 GB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
QUICK = {
    "startup": ["--quick"],
    "append": ["--quick"],
    "verify": ["--quick"],
    "growth": ["--quick"],
    "audited_step": ["--quick"],
    "fabric": ["--quick"],
    "fingerprint": ["--rows", "200000"],
}
FULL = {"growth": ["--full"]}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *QUICK], metavar="NAME", help=", ".join(QUICK))
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="seconds each, nothing is kept")
    length.add_argument(
        "--full", action="store_true", help="growth to 5 M records: 15 minutes or more, 13 GB"
    )
    arguments = parser.parse_args()
    options = QUICK if arguments.quick else FULL if arguments.full else {}
    kept = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else None
    failed = []
    try:
        for name in arguments.names or QUICK:
            command = [sys.executable, HERE / f"{name}.py", *options.get(name, [])]
            if subprocess.run(command, check=False).returncode:
                failed.append(name)
    finally:
        if arguments.quick and kept is not None:
            RESULTS.write_text(kept, encoding="utf-8")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
