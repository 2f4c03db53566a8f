"""Running audited pipelines: `demo` and `run`. One child process has Airflow in it; this one has not."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tallystick.cli.command import Adder, open_records
from tallystick.cli.screen import Screen
from tallystick.errors import CouldNotCheck, InvalidInput, TallystickError
from tallystick.reports.words import typed
from tallystick.settings import Settings

if TYPE_CHECKING:
    from tallystick.reports.record import Record

DEMO_DAGS: Final = ("healthcare_risk", "finance_signal")
_OWN_DAG: Final = "own_data"
_DEMO_NAME: Final = "tallystick.example/demo"
_LABEL: Final = "The keys of all three organisations were made here by `tally demo`, for development only.\n"
#: Tasks whose success says nothing that another task's line does not.
_SILENT: Final = frozenset({"publish", "receive"})


def add(adder: Adder) -> None:
    """Add this file's commands."""
    adder.command("demo", _demo, "run two audited pipelines on real data, then verify all of it")
    run = adder.command("run", _run, "run the audited pipeline on a file of yours")
    run.add_argument("--data", type=Path, required=True, help="a CSV or Parquet file")
    run.add_argument("--policy", type=Path, required=True, help="its policy (`tally policy new` writes one)")
    run.add_argument(
        "--parent",
        action="append",
        default=[],
        metavar="ID",
        help="a dataset it was made of, such as dataset/NAME/1 (may be given again)",
    )
    run.add_argument(
        "--transformation",
        type=Path,
        metavar="FILE",
        help="what made it of its parents, such as a script: its name and SHA-256 are recorded",
    )


@dataclass
class _Pipelines:
    """What the child told."""

    states: dict[str, str] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 where every pipeline succeeded, else what its first failure stands for; 1 wins over others."""
        if self.failures:
            codes = [int((failure["detail"] or {}).get("exit_code", 1)) for failure in self.failures]
            return 1 if 1 in codes else codes[0]
        return 0 if all(state == "success" for state in self.states.values()) else 1

    def value(self) -> dict[str, Any]:
        """As it stands in JSON answers."""
        from tallystick.cli.records import record_value

        return {
            "pipelines": self.states,
            "records": [record_value(record) for record in self.records],
            "failures": self.failures,
        }


def _demo(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.cli.verification import run_verification, show_report

    _prepare_demo(settings, screen)
    ran = _run_pipelines(settings, screen, DEMO_DAGS, {})
    if ran.exit_code:
        _show_failed(screen, ran, "A pipeline failed", "tally log")
        screen.result(ran.value())
        return ran.exit_code
    screen.line()
    report = run_verification(settings, screen)
    show_report(screen, report)
    head = _head(settings)
    screen.table(
        [
            ("  keep this line elsewhere:", f"{head['origin']} {head['size']} {head['root']}"),
            ("  later, with that in FILE:", typed("tally verify --since FILE")),
            ("  look:", typed("tally dashboard")),
            ("  MLflow:", typed(f"mlflow ui --backend-store-uri {shlex.quote(settings.mlflow_shown)}")),
            ("  one record:", typed("tally show rand-hie")),
            ("  a head to give away:", typed("tally checkpoint")),
            ("  try it, and undo it:", typed(trial(_a_model_file(settings)))),
        ]
    )
    screen.result(
        {**ran.value(), "verification": report.value(), "head": head, "mlflow": settings.mlflow_shown}
    )
    return report.exit_code


def trial(file: str) -> str:
    """What to type to see that a change of ``file`` is found, and to have it as it was again."""
    return f"echo >> {file}; tally verify; truncate -s -1 {file}"


def _a_model_file(settings: Settings) -> str:
    """A file of the newest model that MLflow keeps, as a shell takes it."""
    files = settings.mlflow_artifacts.rglob("MLmodel")
    newest = max(files, key=lambda path: path.stat().st_mtime, default=settings.mlflow_artifacts / "FILE")
    here = Path.cwd()
    return shlex.quote(str(newest.relative_to(here) if newest.is_relative_to(here) else newest))


def _run(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.policy import check_columns, load_policy
    from tallystick.steps.published import check_published

    try:
        if not arguments.data.is_file():
            raise InvalidInput(
                f"{arguments.data} is not a file", hint="Name a CSV or Parquet file with --data."
            )
        policy = load_policy(arguments.policy)
        check_published(policy)
        check_columns(policy, arguments.data)
        conf = _configuration(arguments)
    except InvalidInput as error:
        error.hint = f"{error.hint}\nNothing was recorded.".lstrip("\n")
        raise
    _check_ready(settings)
    ran = _run_pipelines(settings, screen, (_OWN_DAG,), conf)
    if ran.exit_code:
        _show_failed(screen, ran, "The pipeline failed", f"tally log --stream pipeline:{_OWN_DAG}")
    else:
        name = next((record.body["name"] for record in ran.records if record.kind == "dataset"), "ID")
        screen.next(
            (f"tally show {name}", "the record, its proof and its lineage"), ("tally verify", "checks all")
        )
    screen.result(ran.value())
    return ran.exit_code


def _show_failed(screen: Screen, ran: _Pipelines, failed: str, log: str) -> None:
    """The last lines where something failed: what of it is recorded, and where to see that."""
    if ran.records:
        screen.line(f"{failed}. What the lines above show with a block is on the ledger.")
        screen.next((log, "what was recorded"))
    else:
        screen.line(f"{failed}, and nothing was recorded.")
        screen.next(("tally status", "where everything lies, and which certificates end"))


def _configuration(arguments: argparse.Namespace) -> dict[str, Any]:
    """The parameters of a run of `own_data`."""
    made_by: Path | None = arguments.transformation
    if made_by is not None and not arguments.parent:
        raise InvalidInput(
            "--transformation says what made the data of its parents, and none is named",
            hint="Name them with --parent ID; see the ids: tally log",
        )
    if made_by is not None and not made_by.is_file():
        raise InvalidInput(f"{made_by} is not a file", hint="Name the script with --transformation.")
    return {
        "data": str(arguments.data.absolute()),
        "policy": str(arguments.policy.absolute()),
        "parents": " ".join(arguments.parent),
        "transformation": "" if made_by is None else str(made_by.absolute()),
    }


def _prepare_demo(settings: Settings, screen: Screen) -> None:
    """Make the demonstration's home unless there is one."""
    from tallystick import wiring
    from tallystick.files import write_atomic
    from tallystick.home.create import DEVELOPMENT_PARTIES, create_home, has_charter

    if not has_charter(settings):
        ledger = create_home(settings, name=_DEMO_NAME, parties=DEVELOPMENT_PARTIES)
        ledger.close()
        if wiring.on_channel(settings):
            screen.line(f"Made {settings.home} for one member, and the charter on the channel.")
        else:
            write_atomic(settings.msp / "DEVELOPMENT-KEYS.txt", _LABEL.encode())
            screen.line(f"Made {settings.home} with the keys of three organisations: for development only.")
    _check_ready(settings)


def _check_ready(settings: Settings) -> None:
    """Whether records can be written at all, before a minute is spent on finding out."""
    from tallystick.home.configure import package_status
    from tallystick.home.create import has_charter
    from tallystick.home.identities import require_signer
    from tallystick.home.memory import require_latest

    package = package_status(settings)
    if package["active"] != package["installed"]:
        raise CouldNotCheck(
            f"the contracts installed here ({package['installed'][:12]}) are not those in force on the ledger"
            f" ({package['active'][:12]})",
            hint="Put them in force with: tally activate",
        )
    if not has_charter(settings):
        raise CouldNotCheck(
            f"the ledger {settings.ledger_url} has no charter yet: making this home was interrupted",
            hint="Complete it with: tally init",
        )
    require_signer(settings)
    require_latest(settings)


def _run_pipelines(
    settings: Settings, screen: Screen, dags: tuple[str, ...], conf: dict[str, Any]
) -> _Pipelines:
    ran, shown = _Pipelines(), set[str]()
    with screen.busy("starting Airflow") as tell:
        for event in _events(settings, dags, conf):
            if event["event"] == "dag":
                ran.states[event["dag"]] = event["state"]
                continue
            tell(f"{event['dag']}: {event['task']}")
            if event["state"] == "running":
                continue
            if event["dag"] not in shown:
                shown.add(event["dag"])
                screen.line(event["dag"])
            if event["state"] == "failed" and not _is_summing_up(event):
                ran.failures.append(event)
            _show_task(settings, screen, event, ran)
    if not ran.states:
        raise TallystickError("no pipeline ran", hint=f"See why in {settings.airflow / 'logs'}")
    return ran


def _command(dags: tuple[str, ...], conf: dict[str, Any]) -> list[str]:
    runner = [sys.executable, "-P", "-m", "tallystick_airflow.runner", "--with-parent"]
    return [*runner, *dags, "--conf", json.dumps(conf)]


def _events(settings: Settings, dags: tuple[str, ...], conf: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the child tells, line by line. Raises `TallystickError` where it came to no end."""
    environment = {
        **os.environ,
        "TALLYSTICK_HOME": str(settings.home),
        "TALLYSTICK_STATE": str(settings.state_dir),
        "GX_ANALYTICS_ENABLED": "false",
    }
    # Complaints go into a file: a pipe that nobody empties meanwhile would stop the child when it is full.
    # Nothing is written to standard input: its end tells the child that this process is gone.
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints,
        subprocess.Popen(
            _command(dags, conf),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        ) as child,
    ):
        ended = False
        for line in child.stdout or ():
            event = json.loads(line)
            if event["event"] == "error":
                raise TallystickError(
                    f"the pipelines could not be run: {event['message']}",
                    hint=f"See why in {event['log']}",
                )
            ended = ended or event["event"] == "dag"
            yield event
        child.wait()
        complaints.seek(0)
        said = "".join(deque(complaints, maxlen=1)).strip()
    if not ended:
        raise TallystickError(
            f"the process that runs the pipelines ended with code {child.returncode}: {said}",
            hint=f"See why in {settings.airflow / 'logs'}",
        )


def _show_task(settings: Settings, screen: Screen, event: dict[str, Any], ran: _Pipelines) -> None:
    """A line for each record that the task made; one for a task that failed or never began."""
    from tallystick.reports.summary import count, summary

    records = _records_of(settings, screen, event)
    ran.records += records
    detail = event["detail"] if isinstance(event["detail"], dict) else {}
    metrics = _metrics(detail)
    attested = [record for record in records if record.kind == "attestation"]
    rows = [
        (
            record.kind,
            summary(record) + (f", {metrics}" if record.kind == "run" and metrics else ""),
            record.block,
        )
        for record in records
        if record.kind not in ("outcome", "attestation")
    ]
    if attested:
        rows.append(("attestation", count(len(attested), "stream") + " counted", attested[-1].block))
    name = event["task"]
    for index, (kind, text, block) in enumerate(rows):
        screen.line(f"  {name if index == 0 else '':<10} {kind:<11} {text:<72} block {block:,}".rstrip())
    if _is_summing_up(event):
        return
    if event["state"] == "failed":
        _show_failure(settings, screen, name, detail, records)
    elif event["state"] != "success":
        screen.line(f"  {name:<10} {event['state']}")
    elif not rows and name not in _SILENT:
        kept = f"        head after block {detail['block']:,} seen and kept" if "block" in detail else ""
        screen.line(f"  {name:<10} done{kept}")


def _show_failure(
    settings: Settings, screen: Screen, name: str, detail: dict[str, Any], records: list[Record]
) -> None:
    """Why a task failed; of a validation each expectation that did, and how many rows broke it."""
    from tallystick.cli.validations import failed_rows
    from tallystick.reports.summary import short_id

    validation = next((record for record in records if record.kind == "validation"), None)
    said = short_id(str(detail.get("message") or detail.get("error") or "failed"))
    hints = [short_id(line) for line in str(detail.get("hint") or "").splitlines()]
    rows = list[tuple[str, str]]()
    if validation is not None:
        with open_records(settings, screen) as (_, index), suppress(TallystickError):
            rows = failed_rows(settings, index, validation)
        said = said.partition(" failed: ")[0] + " failed" if rows else said
        hints.append(f"Data Docs: tally show {short_id(validation.id)} --docs page.html")
    screen.line(f"  {name:<10} {'FAILED':<11} {said}")
    screen.table([(expectation, broke) for expectation, broke in rows], indent=" " * 25)
    for line in hints:
        screen.line(f"  {'':<10} {'':<11} {typed(line)}")


def _records_of(settings: Settings, screen: Screen, event: dict[str, Any]) -> list[Record]:
    """The records that this task instance made, oldest first."""
    with open_records(settings, screen) as (_, index):
        latest = index.latest(stream=f"pipeline:{event['dag']}", limit=50)
    made = [
        record
        for record in latest
        if (record.body.get("task") or {}).get("run") == event["run"]
        and record.body["task"]["task"] == event["task"]
    ]
    return made[::-1]


def _metrics(detail: dict[str, Any]) -> str:
    """The first metrics of a task's result, those of the held-out part."""
    metrics = detail.get("metrics")
    if not isinstance(metrics, dict):
        return ""
    told = [
        f"{name} {value:.4g}"
        for name, value in metrics.items()
        if isinstance(value, int | float) and "/" not in name and not name.startswith("baseline")
    ]
    return ", ".join(told[:2]) + " (held out)" if told else ""


def _is_summing_up(event: dict[str, Any]) -> bool:
    """Whether this failure only repeats that others failed."""
    return isinstance(event["detail"], dict) and event["detail"].get("error") == "PipelineFailed"


def _head(settings: Settings) -> dict[str, Any]:
    from tallystick import wiring
    from tallystick.proof.checkpoint import head_of
    from tallystick.proof.text import to_base64

    ledger = wiring.open_for_reading(settings)
    try:
        head = head_of(ledger.checkpoint())
        return {
            "origin": head.origin,
            "size": head.size,
            "root": to_base64(head.root),
            "block": ledger.height - 1,
        }
    finally:
        ledger.close()
