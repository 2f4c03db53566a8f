"""Keeps benchmarks/RESULTS.md: a section a benchmark, each with the machine and the versions it ran on.

A benchmark calls `section` once at its end; its older section is replaced and the others stay.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"

_TITLE = (
    "# What was measured\n\n"
    "Written by the scripts in benchmarks/, each figure next to its peer's from the same run.\n"
)


def section(
    title: str, rows: Sequence[Mapping[str, str]], *, packages: Sequence[str] = (), notes: str = ""
) -> None:
    """Print the table of ``rows`` (all with the same keys) and keep it under ``title``.

    ``packages`` are the distributions whose versions matter; ``notes`` is text below the table.
    """
    columns = list(rows[0])
    lines = [f"## {title}", "", _environment(packages), ""]
    lines += ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(row[column] for column in columns) + " |" for row in rows]
    if notes:
        lines += ["", notes]
    text = "\n".join(lines) + "\n"
    print(text)
    sections = _sections()
    sections[title] = text
    RESULTS.write_text("\n".join([_TITLE, *(sections[name] for name in sorted(sections))]), encoding="utf-8")


def reached(met: bool) -> str:
    """How a goal is marked in a table."""
    return "met" if met else "missed"


def _sections() -> dict[str, str]:
    if not RESULTS.exists():
        return {}
    parts = re.split(r"^(?=## )", RESULTS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {part.splitlines()[0].removeprefix("## "): part.rstrip("\n") + "\n" for part in parts}


def _environment(packages: Sequence[str]) -> str:
    parts = [
        f"{datetime.now(UTC):%Y-%m-%d}",
        f"{_processor()}, {os.cpu_count()} cores",
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        *(f"{name} {version(name)}" for name in packages),
    ]
    return "; ".join(parts) + "."


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
