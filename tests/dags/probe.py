"""What Airflow sees of the checkout, printed as JSON: run by test_integrity.py in a process of its own."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def _parsed(folder: Path) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder", collect_dags=False)
    seconds = {}
    for file in sorted(folder.glob("*.py")):
        if file.stem != "audited_dags":
            started = time.perf_counter()
            bag.process_file(str(file), only_if_updated=False)
            seconds[file.name] = time.perf_counter() - started
    dags = {
        dag.dag_id: {
            "tasks": {
                task.task_id: {"rule": task.trigger_rule.value, "upstream": sorted(task.upstream_task_ids)}
                for task in dag.tasks
            },
            "timetable": type(dag.timetable).__name__,
            "paused": dag.is_paused_upon_creation,
        }
        for dag in bag.dags.values()
    }
    heavy = sorted({"pandas", "polars", "numba", "mlflow", "great_expectations"} & set(sys.modules))
    return {"dags": dags, "errors": bag.import_errors, "seconds": seconds, "heavy": heavy}


def _found(folder: Path) -> list[str]:
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")
    return sorted(bag.dags)


def _plugin_files(folder: Path) -> dict[str, list[str]]:
    from airflow.sdk._shared.module_loading import find_path_from_directory

    return {
        syntax: sorted(Path(path).name for path in find_path_from_directory(folder, ".airflowignore", syntax))
        for syntax in ("glob", "regexp")
    }


def _provided() -> dict[str, Any]:
    from airflow.plugins_manager import get_plugin_info
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    hook = manager.hooks["tallystick"]
    return {
        "hook": hook.hook_class_name if hook else None,
        "fields": sorted(name for name in manager.connection_form_widgets if "tallystick" in name),
        "plugins": [info["name"] for info in get_plugin_info()],
    }


if __name__ == "__main__":
    root = Path(sys.argv[1])
    parsed = _parsed(root / "dags")
    found = {"found": _found(root / "dags"), "plugin_files": _plugin_files(root / "plugins")}
    print("\n" + json.dumps({**parsed, **found, **_provided()}))
