"""Data and what was made of it: `policy new`, `policy check`, `retire`, `reproduce`."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tallystick.cli.command import Adder, open_records
from tallystick.cli.screen import Screen
from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.settings import Settings

if TYPE_CHECKING:
    from tallystick.policy import DatasetPolicy
    from tallystick.steps.trial import Broken


def add(adder: Adder) -> None:
    """Add this file's commands."""
    policy = adder.group("policy", "write and check dataset policies")
    new = policy.command("new", _new, "write a first policy from a data file, to be edited")
    new.add_argument("--data", type=Path, required=True, help="a CSV or Parquet file")
    new.add_argument("--out", type=Path, help="the policy file (default: beside the data, ending in .yaml)")
    check = policy.command("check", _check, "read a policy and say what is wrong with it")
    check.add_argument("policy", type=Path, metavar="POLICY")
    check.add_argument("--data", type=Path, help="also hold every row of this file against it")
    retire = adder.command("retire", _retire, "record that something is no longer to be used")
    retire.add_argument(
        "id", metavar="ID", help="a dataset, screening, validation, intent, run or model, as for `tally show`"
    )
    retire.add_argument("--reason", required=True, help="why; it stays on the ledger for ever")
    retire.add_argument(
        "--erase",
        action="store_true",
        help="also destroy the dataset's key and files; nothing brings them back",
    )
    reproduce = adder.command("reproduce", _reproduce, "train again from the record alone, and compare")
    reproduce.add_argument("id", metavar="ID", help="a model or a run, as for `tally show`")


def _new(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.policy import new_policy
    from tallystick.policy.marked import EDIT_ME

    path: Path = arguments.out or arguments.data.with_suffix(".yaml")
    if path.exists():
        raise InvalidInput(f"{path} is there already", hint="Nothing was changed. Name another with --out.")
    with screen.progress("reading the data"):
        text = new_policy(arguments.data)
    _write_new(path, text)
    left = sum(line.split("#")[0].count(EDIT_ME) for line in text.splitlines())
    screen.line(f"Wrote {path}. {left} lines say {EDIT_ME}: only a person knows what belongs there.")
    screen.line("A policy is recorded and handed on: read its ranges and lists as what you publish.")
    policy, data = shlex.quote(str(path)), shlex.quote(str(arguments.data))
    screen.next(
        (f"tally policy check {policy} --data {data}", "says what is still to be written"),
        (f"tally run --data {data} --policy {policy}", "runs the audited pipeline"),
    )
    screen.result({"policy": str(path), "to_edit": left})
    return 0


def _write_new(path: Path, text: str) -> None:
    try:
        file = path.open("x", encoding="utf-8")
    except FileNotFoundError:
        raise InvalidInput(f"{path.parent} is not a directory", hint="Make it first.") from None
    try:
        with file:
            file.write(text)
    except BaseException:  # the next try would keep half a policy, as somebody's own
        path.unlink(missing_ok=True)
        raise


def _check(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.policy import load_policy
    from tallystick.steps.errors import CheckFailed
    from tallystick.steps.published import check_published

    policy = load_policy(arguments.policy)
    check_published(policy)
    rows, broken = None, list["Broken"]()
    if arguments.data is not None:
        rows, broken = _tried(policy, arguments.data, screen)
    checked, data = shlex.quote(str(arguments.policy)), shlex.quote(str(arguments.data or "FILE"))
    again = f"tally policy check {checked} --data {data}"
    if broken:
        screen.table([(f"{arguments.policy}:{each.line}", each.rule, _broke(each)) for each in broken])
        screen.line(f"{arguments.data} breaks the policy. Correct the data, or a wrong policy.")
        screen.next((again, "then holds it against it again"))
    else:
        screen.line(f"{arguments.policy}: a good policy for {policy.name}, {len(policy.columns):,} columns.")
    if rows is None:
        screen.line("No row was looked at: no --data was named.")
        screen.next((again, "holds every row of a file against it"))
    elif not broken:
        screen.line(f"{arguments.data}: {rows:,} rows keep to it.")
        screen.next((f"tally run --data {data} --policy {checked}", ""))
    screen.result(
        {
            "policy": str(arguments.policy),
            "name": policy.name,
            "columns": len(policy.columns),
            "rows": rows,
            "broken": [asdict(each) for each in broken],
        }
    )
    return CheckFailed.exit_code if broken else 0


def _tried(policy: DatasetPolicy, data: Path, screen: Screen) -> tuple[int, list[Broken]]:
    """How many rows the file has, and what of the policy they break."""
    from tallystick.steps.tables import Rows
    from tallystick.steps.trial import try_table

    with screen.progress("reading the rows") as advance:
        table = Rows(data, policy).table(advance)
    with screen.busy("holding the rows against the policy"):
        return table.num_rows, try_table(table, policy)


def _broke(each: Broken) -> str:
    from tallystick.reports.summary import count

    if each.rows is None:
        return "does not hold for the table"
    return count(each.rows, "row") + (f", the first is data row {each.first:,}" if each.first else "")


def _retire(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick import wiring
    from tallystick.home.retirement import plan_retirement, retire
    from tallystick.reports.summary import count, title

    with screen.progress("reading blocks") as advance:
        plan = plan_retirement(settings, arguments.id, erase=arguments.erase, progress=advance)
    record, state = plan.record, "erased" if plan.erase else "retired"
    block: int | None = None

    def recorded(number: int | None) -> None:
        nonlocal block
        block = number
        if block is None:
            screen.line(f"{title(record.id)} was recorded as erased before; what is left of it goes now.")
        else:
            screen.line(f"Recorded in block {block:,}: {title(record.id)} is {state}.")

    with wiring.open_workspace(settings) as workspace:
        removed = retire(workspace, plan, reason=arguments.reason, recorded=recorded)
    if plan.erase:
        screen.line(f"Removed {count(removed, 'file')}, and its key is destroyed.")
        screen.line("Not reached: backups and copies elsewhere, models and metrics that MLflow keeps, and")
        screen.line("digests in Airflow's database. What to do: docs/verification.md, After an erasure.")
    screen.next((f"tally show {arguments.id}", "the record stays, with this after it"))
    screen.result(
        {
            "id": record.id,
            "state": state,
            "block": block,
            "objects_removed": removed,
            "key_destroyed": plan.erase,
        }
    )
    return 0


def _reproduce(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick import wiring
    from tallystick.reports.summary import title
    from tallystick.steps.reproduce import reproduce

    with open_records(settings, screen) as (_, index):
        record = index.find(arguments.id, ("model", "run"))
    opened = wiring.open_workspace(settings, writing=False)
    with opened as workspace, screen.busy("training again from the record"):
        again = reproduce(workspace, record.id)
    agrees = {True: "agrees", False: "DIFFERS"}
    screen.line(f"{title(record.id)}: {'reproduced' if again.reproduced else 'NOT reproduced'}")
    screen.table(
        [
            ("rows", agrees[again.rows], "the training and evaluation rows that were declared"),
            ("predictions", agrees[again.predictions["agrees"]], _predictions(again.predictions)),
            *(
                (
                    metric["name"],
                    agrees[metric["agrees"]],
                    f"recorded {metric['recorded']}, again {metric['again']}",
                )
                for metric in again.metrics
            ),
        ],
        indent="  ",
    )
    tolerance = again.tolerance
    screen.line(f"  tolerance: {tolerance['absolute']:g} + {tolerance['relative']:g} of the recorded value")
    if again.differs:
        screen.line(f"  not as it was then: {', '.join(again.differs)}")
    screen.next((f"tally verify {arguments.id}", "checks what was recorded of it"))
    screen.result(again.value())
    return 0 if again.reproduced else NotAsRecorded.exit_code


def _predictions(predictions: dict[str, Any]) -> str:
    if predictions["identical"]:
        return f"{predictions['rows']:,}, every one identical"
    largest = predictions["largest_difference"]
    return f"{predictions['rows']:,}, " + (
        "of another number" if largest is None else f"largest difference {largest:g}"
    )
