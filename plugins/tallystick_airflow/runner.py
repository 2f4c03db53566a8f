"""Runs DAGs in this one process, without a scheduler: `python -m tallystick_airflow.runner DAG_ID …`.

What waits for an asset that a DAG made is run after it, with the dataset in its configuration. One line of
JSON for each event goes to standard output, everything that Airflow prints into a log in the home:

    {"event": "task", "dag": …, "run": …, "task": …, "state": "running", "detail": null}
    {"event": "task", …, "state": "success", "detail": {what the step returned}}
    {"event": "task", …, "state": "failed", "detail": {"error": …, "message": …, "hint": …, "exit_code": …}}
    {"event": "dag", "dag": …, "run": …, "state": "success"}

Where the error is none of ours the detail has only ``error``, its class.

Exits 0 if every DAG succeeded, 1 if one failed, 2 for a DAG that is not there and 4 for a fault of ours; then
the last line is ``{"event": "error", "message": …, "log": PATH}``.

With ``--with-parent`` it ends when standard input does, which is when whoever started it is gone.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tallystick.files import write_all
from tallystick.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import DAG

Emit = Callable[[Mapping[str, Any]], None]

DAGS = Path(__file__).resolve().parents[2] / "dags"
#: For a task that is told to stop to record that it did.
_GRACE_SECONDS: Final = 20.0


def main(argv: list[str] | None = None) -> int:
    """Run the DAGs that ``argv`` names, and those that they trigger; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tallystick_airflow.runner", description=__doc__)
    parser.add_argument("dag_ids", nargs="+", metavar="DAG_ID")
    parser.add_argument("--conf", type=json.loads, default={}, metavar="JSON", help="the runs' configuration")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    options = parser.parse_args(argv)
    settings = Settings.from_environment()
    for variable, value in airflow_environment(settings).items():
        os.environ.setdefault(variable, value)
    log = settings.airflow / "logs" / f"runner-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.log"
    with _only_events_on_stdout(log) as emit:
        orphaned = _watch_parent() if options.with_parent else threading.Event()
        try:
            return _run_all(options.dag_ids, options.conf, emit, orphaned)
        except LookupError as error:
            emit({"event": "error", "message": str(error), "log": str(log)})
            return 2
        except Exception as error:
            traceback.print_exc()
            emit({"event": "error", "message": type(error).__name__, "log": str(log)})
            return 4


def airflow_environment(settings: Settings) -> dict[str, str]:
    """The variables under which Airflow keeps everything below ``settings.airflow`` and sees our DAGs."""
    return {
        "TALLYSTICK_HOME": str(settings.home),
        "AIRFLOW_HOME": str(settings.airflow),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }


def _run_all(dag_ids: list[str], conf: dict[str, Any], emit: Emit, orphaned: threading.Event) -> int:
    from airflow.sdk.listener import get_listener_manager
    from airflow.utils import db

    from tallystick_airflow.reporter import Reporter

    db.initdb()
    known = _dags(Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]))
    missing = [dag_id for dag_id in dag_ids if dag_id not in known]
    if missing:
        raise LookupError(f"no DAG is named {', '.join(missing)}; there are {', '.join(sorted(known))}")
    reporter = Reporter(emit)
    listeners: Any = get_listener_manager()
    listeners.add_listener(reporter)
    waiting = [(known[dag_id], conf) for dag_id in dag_ids]
    succeeded = True
    while waiting and not orphaned.is_set():
        dag, run_conf = waiting.pop(0)
        run = dag.test(run_conf=run_conf)
        reporter.finish(run)
        succeeded = succeeded and run.state == "success"
        for task in dag.tasks:
            if task.outlets and (checked := reporter.results.get((run.run_id, task.task_id))):
                waiting[:0] = [(reader, {"checked": checked}) for reader in _readers(task.outlets, known)]
    return 0 if succeeded and not waiting else 1


def _dags(folder: Path) -> dict[str, DAG]:
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")
    if bag.import_errors:
        raise LookupError(f"these DAG files cannot be imported: {', '.join(sorted(bag.import_errors))}")
    return dict(bag.dags)


def _readers(assets: Collection[Any], known: Mapping[str, DAG]) -> list[DAG]:
    """The DAGs that read one of ``assets``."""
    return [
        dag for dag in known.values() if any(inlet in assets for task in dag.tasks for inlet in task.inlets)
    ]


@contextmanager
def _only_events_on_stdout(log: Path) -> Iterator[Emit]:
    """Whatever is printed, by any library or child, goes into ``log``; only events go to standard output."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    events = os.dup(1)
    with log.open("ab") as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)

    def emit(event: Mapping[str, Any]) -> None:
        with suppress(BrokenPipeError):  # nobody is left to be told; the ledger is
            write_all(events, f"{json.dumps(event, ensure_ascii=False)}\n".encode())

    try:
        yield emit
    finally:
        os.close(events)


def _watch_parent() -> threading.Event:
    """End with whoever holds the other end of standard input, however it ends; the event is set then.

    The task that runs is told to stop, as Airflow tells it: it records that as its failure, the last task
    of its DAG records that of the run, and no other DAG is begun. Code that does not let itself be
    interrupted is cut off after a while: what it left open on the ledger, `tally verify` names.
    """
    lifeline, orphaned, main_thread = os.dup(0), threading.Event(), threading.get_ident()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    # Ctrl-C reaches both processes: one word to stop is enough, a second would stop the recording of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.read(lifeline, 1):
            pass
        orphaned.set()
        signal.pthread_kill(main_thread, signal.SIGTERM)
        time.sleep(_GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
    return orphaned


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # all is written; the interpreter would take seconds to take apart what it has imported
