"""`tally run` and `tally demo` as far as this process goes: what the child tells becomes lines and a code."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.records import RUN_ID

from chaincode.canonical import encode
from tallystick import wiring
from tallystick.cli import main, pipelines
from tallystick.clients.provenance import Reference, Request, Task
from tallystick.errors import TallystickError
from tallystick.settings import Settings
from tallystick.store import Store

POLICY = Path(__file__).parents[4] / "policies/datasets/rand_hie.yaml"


def task(name: str, state: str, detail: Any = None) -> dict[str, Any]:
    event = {"event": "task", "dag": "healthcare_risk", "run": "manual__1", "task": name}
    return {**event, "state": state, "detail": detail}


def ended(state: str) -> dict[str, Any]:
    return {"event": "dag", "dag": "healthcare_risk", "run": "manual__1", "state": state}


def run_with(
    monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Any]], directory: Path, *more: str
) -> int:
    monkeypatch.setattr(pipelines, "_events", lambda *_: iter(events))
    monkeypatch.setattr("tallystick.policy.check_columns", lambda *_: None)
    (directory / "data.csv").write_text("x\n1\n")
    return main(["run", "--data", "data.csv", "--policy", str(POLICY), *more])


def test_a_task_is_told_by_the_records_it_made(
    home: Settings, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = {"baseline_mae": 9.0, "mae": 2.5, "mae/group_1": 1.0}
    events = [
        task("ingest", "running"),
        task("ingest", "success", {}),
        task("track", "success", {"metrics": metrics}),
        task("anchor", "success", {"block": 8}),
        ended("success"),
    ]
    assert run_with(monkeypatch, events, directory) == 0
    out = capsys.readouterr().out
    assert "people v1, 20,190 rows" in out
    assert "mae 2.5 (held out)" in out
    assert "head after block 8" in out
    assert "tally show people" in out
    assert RUN_ID not in out


@pytest.mark.parametrize(
    ("error", "code"),
    [("CheckFailed", 1), ("PolicyError", 2), ("TallystickError", 4), ("SomeNewError", 3), ("KeyError", None)],
)
def test_a_failure_is_told_with_its_hint_and_code(
    error: str,
    code: int | None,
    home: Settings,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    detail = {"error": error, "message": "1 of 24 expectations failed", "hint": "Correct the data."}
    if code is not None:
        detail["exit_code"] = code
    events = [
        task("validate", "failed", detail),
        task("train", "upstream_failed"),
        task("record", "failed", {"error": "PipelineFailed"}),
        ended("failed"),
    ]
    assert run_with(monkeypatch, events, directory) == (code or 1)
    out = capsys.readouterr().out
    assert "1 of 24 expectations failed" in out
    assert "Correct the data." in out
    assert "upstream_failed" in out
    assert "PipelineFailed" not in out


def test_a_failed_validation_names_each_expectation_with_its_count_and_its_page(
    home: Settings, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = [
        {"expectation": "expect_column_values_to_be_between(age)", "success": False}
        | {"element_count": 20_190, "unexpected_count": 3},
        {"expectation": "expect_column_values_to_be_in_set(site)", "success": False, "error": True},
        {"expectation": "expect_column_to_exist(age)", "success": True},
    ]
    store = Store(home.objects)
    kept = store.add_bytes(encode({"v": 1, "passed": False, "rows": 20_190, "results": results}))
    page = store.add_bytes(b"<html>counts</html>")
    (home.objects / "data-docs").mkdir()
    (home.objects / "data-docs" / kept).write_text(page)
    with wiring.open_workspace(home) as w:
        dataset = w.provenance.read("dataset/people/1")
        recorded = w.provenance.record_validation(
            Request("second", Task("healthcare_risk", "manual__2", "validate", -1, 1)),
            dataset=Reference("dataset/people/1", dataset["facts"]["digest"]),
            policy={"sha256": "a" * 64},
            suite={"sha256": "a" * 64},
            result={"sha256": kept},
            evaluated=3,
            failed=[each["expectation"] for each in results[:2]],
        ).reference
    detail = {"error": "CheckFailed", "message": "people/1: 2 of 3 expectations failed: a, b", "exit_code": 1}
    failed = {**task("validate", "failed", detail), "run": "manual__2"}
    assert run_with(monkeypatch, [failed, ended("failed")], directory) == 1
    out = capsys.readouterr().out
    assert "expect_column_values_to_be_between(age)  3 of 20,190 rows" in out
    assert "expect_column_values_to_be_in_set(site)  could not be evaluated" in out
    assert "2 of 3 expectations failed\n" in out
    assert "expect_column_to_exist" not in out
    assert f"tally show {recorded.id} --docs page.html" in out
    assert main(["show", recorded.id, "--docs", "page.html"]) == 0
    assert "3 of 20,190 rows" in capsys.readouterr().out
    assert (directory / "page.html").read_bytes() == b"<html>counts</html>"
    assert main(["show", recorded.id, "--docs", "page.html"]) == 2
    assert main(["show", "people", "--docs", "other.html"]) == 2
    assert main(["show", "validation/request-validate", "--docs", "other.html"]) == 3
    assert not (directory / "other.html").exists()


@pytest.mark.parametrize(("codes", "code"), [((3, 1), 1), ((3, 2), 3), ((2, 3), 2)])
def test_of_several_failures_refused_wins_and_else_the_first(
    codes: tuple[int, int],
    code: int,
    home: Settings,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed = [task("ingest", "failed", {"error": "E", "exit_code": each}) for each in codes]
    assert run_with(monkeypatch, [*failed, ended("failed")], directory) == code


def test_the_json_has_pipelines_records_and_failures(
    home: Settings, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [task("ingest", "success", {}), ended("success")]
    assert run_with(monkeypatch, events, directory, "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["pipelines"] == {"healthcare_risk": "success"}
    assert [record["id"] for record in value["records"]] == ["dataset/people/1"]
    assert value["failures"] == []


def test_a_child_that_comes_to_no_end_is_a_fault_of_ours(
    home: Settings, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(monkeypatch, [task("ingest", "running")], directory) == 4
    assert "no pipeline ran" in capsys.readouterr().err


def test_the_childs_own_error_names_its_log(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    line = json.dumps({"event": "error", "message": "no DAG is named x", "log": "runner.log"})
    monkeypatch.setattr(pipelines, "_command", lambda *_: ["/bin/echo", line])
    with pytest.raises(TallystickError, match="no DAG is named x") as caught:
        list(pipelines._events(home, ("x",), {}))
    assert "runner.log" in caught.value.hint
    monkeypatch.setattr(pipelines, "_command", lambda *_: ["/bin/false"])
    with pytest.raises(TallystickError, match="code 1"):
        list(pipelines._events(home, ("x",), {}))


def test_a_child_that_complains_a_lot_does_not_stop_both(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More than a pipe holds, before the first event.
    code = "import sys; sys.stderr.write('x' * 300_000 + '\\nlast words\\n'); sys.stderr.flush(); "
    event = f"print({json.dumps(ended('success'))!r})"
    monkeypatch.setattr(pipelines, "_command", lambda *_: [sys.executable, "-c", code + event])
    assert [each["event"] for each in pipelines._events(home, ("x",), {})] == ["dag"]
    monkeypatch.setattr(pipelines, "_command", lambda *_: [sys.executable, "-c", code])
    with pytest.raises(TallystickError, match="code 0: last words"):
        list(pipelines._events(home, ("x",), {}))


def test_a_revoked_user_is_told_by_name_before_airflow_starts(
    home: Settings, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["revoke", "pipeline"]) == 0
    capsys.readouterr()
    before = wiring.open_for_reading(home).height
    assert run_with(monkeypatch, [task("ingest", "running")], directory) == 1
    told = capsys.readouterr()
    assert "pipeline of OperatorMSP cannot write on this ledger now: REVOKED" in told.err
    assert "tally renew pipeline --msp OperatorMSP" in told.err
    assert "Nothing was recorded." in told.err
    assert told.out == ""
    assert wiring.open_for_reading(home).height == before
    assert main(["renew", "pipeline"]) == 0
    assert run_with(monkeypatch, [task("ingest", "success", {}), ended("success")], directory) == 0


def test_where_nothing_was_recorded_no_lines_with_a_block_are_spoken_of(
    home: Settings, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unrecorded = [task("validate", "failed", {"error": "E"}), ended("failed")]
    assert (
        run_with(
            monkeypatch,
            unrecorded,
            directory,
        )
        == 1
    )
    assert "with a block" in capsys.readouterr().out
    other = [{**event, "run": "manual__9"} for event in unrecorded]
    assert run_with(monkeypatch, other, directory) == 1
    out = capsys.readouterr().out
    assert "The pipeline failed, and nothing was recorded." in out
    assert "with a block" not in out


def test_what_the_demo_says_to_try_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file, seen = tmp_path / "a model", tmp_path / "seen"
    file.write_bytes(b"model: 1")
    tally = f"tally() {{ cat {shlex.quote(str(file))} > {shlex.quote(str(seen))}; }}; "
    subprocess.run(["/bin/sh", "-c", tally + pipelines.trial(shlex.quote(str(file)))], check=True)
    assert seen.read_bytes() == b"model: 1\n"
    assert file.read_bytes() == b"model: 1"


def test_the_child_holds_a_pipe_that_ends_when_this_process_does(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--with-parent" in pipelines._command(("x",), {})
    code = "import os, select, stat; assert stat.S_ISFIFO(os.fstat(0).st_mode)"
    code += f"; assert not select.select([0], [], [], 0)[0]; print({json.dumps(ended('success'))!r})"
    monkeypatch.setattr(pipelines, "_command", lambda *_: [sys.executable, "-c", code])
    assert [each["event"] for each in pipelines._events(home, ("x",), {})] == ["dag"]
