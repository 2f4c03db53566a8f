"""`python -m benchmarks [NAME ...] [--quick]`: every benchmark in a process of its own, or those named.

Results go to benchmarks/RESULTS.md; with --quick (a smoke run) they are only printed.
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
    "fingerprint": ["--rows", "200000"],
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *QUICK], metavar="NAME", help=", ".join(QUICK))
    parser.add_argument("--quick", action="store_true", help="seconds each, nothing is kept")
    arguments = parser.parse_args()
    kept = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else None
    failed = []
    try:
        for name in arguments.names or QUICK:
            command = [sys.executable, HERE / f"{name}.py", *(QUICK[name] if arguments.quick else [])]
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
