"""What holds in every file of this house, whoever wrote it."""

from __future__ import annotations

import ast
import contextlib
import functools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.deadline import within

ROOT = Path(__file__).resolve().parents[2]
CODE = ("chaincode/", "plugins/", "dags/", "dashboards/")
LOCKS = sorted([*ROOT.glob("*.lock"), *ROOT.glob("benchmarks/*.lock"), *ROOT.glob("tests/**/*.lock")])
MOST_LINES = 400


@functools.cache
def files() -> tuple[str, ...]:
    """Every file under version control that is still there, relative to the checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


def python_files(*folders: str) -> list[str]:
    return [name for name in files() if name.endswith(".py") and name.startswith(folders)]


def contract_files() -> list[str]:
    """The contracts and what they stand on, without the service that is their host on Fabric."""
    return [name for name in python_files("chaincode/") if not name.startswith("chaincode/fabric/")]


@functools.cache
def tree(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text())


def text_of(name: str) -> str:
    """The file's text; nothing for one that is not text."""
    try:
        return (ROOT / name).read_text()
    except UnicodeDecodeError:
        return ""


def imported(name: str) -> set[str]:
    """The top-level packages that a file imports, at any depth of it."""
    found = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_a_lock_pins_by_hash_and_carries_no_address(lock: Path) -> None:
    text = lock.read_text()
    pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert pins
    assert all(re.match(r"[a-z0-9._-]+==\S+ .*\\$", pin) for pin in pins)
    assert text.count("--hash=sha256:") >= len(pins)
    assert "://" not in text


def test_the_tests_lock_only_adds_to_the_one_that_runs() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^(\S+==\S+)", (ROOT / name).read_text(), flags=re.MULTILINE))

    assert pins("requirements.lock") < pins("requirements-dev.lock")


def test_no_file_names_a_place_of_one_machine() -> None:
    places = re.compile(r"/(?:home|Users)/[a-z]|/root/|" + re.escape(f"{ROOT}/"))
    named = [name for name in files() if name != "tests/unit/test_house.py" and places.search(text_of(name))]
    assert named == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [name for name in python_files(*CODE, "tests/") if not ast.get_docstring(tree(name))]
    assert silent == []


def test_every_public_function_of_the_law_and_of_proof_says_what_it_does() -> None:
    silent = [
        f"{name}: {node.name}"
        for name in python_files("chaincode/", "plugins/tallystick/proof/")
        for node in tree(name).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert silent == []


def test_every_relative_link_of_a_page_leads_to_a_file() -> None:
    links = [
        (name, target)
        for name in files()
        if name.endswith(".md")
        for target in re.findall(r"\]\(<?([^)#\s>]+)", text_of(name))
        if not re.match(r"[a-z]+:", target)
    ]
    assert len(links) > 50
    assert [(name, target) for name, target in links if not ((ROOT / name).parent / target).exists()] == []


def test_no_file_is_too_long() -> None:
    long = {name: count for name in python_files("") if (count := text_of(name).count("\n")) > MOST_LINES}
    assert long == {}


def test_no_float_in_a_contract() -> None:
    floats = [
        f"{name}:{node.lineno}"
        for name in contract_files()
        for node in ast.walk(tree(name))
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div))
    ]
    assert floats == []


def is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in ("set", "frozenset")
    return isinstance(node, ast.Set | ast.SetComp)


def gone_through(node: ast.AST) -> list[ast.expr]:
    """What this node goes through in order: a loop, or a call that makes a sequence of it."""
    if isinstance(node, ast.For | ast.comprehension):
        return [node.iter]
    ordered = ("list", "tuple", "enumerate", "zip", "map", "join", "fromkeys")
    if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in ordered:
        return node.args
    return [node.value] if isinstance(node, ast.Starred) else []


def sets_gone_through(source: ast.Module) -> list[int]:
    """The lines that go through a set, or a name that the file gives to one: its order is by chance."""
    named = {
        ast.unparse(target)
        for node in ast.walk(source)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and is_set(node.value)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    }
    through = [each for node in ast.walk(source) for each in gone_through(node)]
    return [each.lineno for each in through if is_set(each) or ast.unparse(each) in named]


def test_no_contract_goes_through_a_set() -> None:
    law = [name for name in python_files("chaincode/") if not name.startswith("chaincode/fabric/")]
    reached = {name: sets_gone_through(tree(name)) for name in law}
    assert {name: lines for name, lines in reached.items() if lines} == {}


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("names = frozenset(x for x in y)\nfor name in names: pass", [2]),
        ("tuple({1, 2})", [1]),
        ("self.names: set[str] = set()\n[name for name in self.names]", [2]),
        ("names = {1, 2}\nfor name in sorted(names): pass\n1 in names", []),
        ("names = {1: 2}\nfor name in names: pass", []),
    ],
)
def test_a_set_gone_through_is_found(source: str, lines: list[int]) -> None:
    assert sets_gone_through(ast.parse(source)) == lines


def test_a_contract_reaches_no_clock_no_chance_and_no_environment() -> None:
    allowed = {
        "__future__",
        "chaincode",
        "collections",
        "dataclasses",
        "functools",
        "hashlib",
        "json",
        "re",
        "typing",
    }
    reached = {name: extra for name in contract_files() if (extra := imported(name) - allowed)}
    assert reached == {}


def test_proof_imports_the_standard_library_cryptography_and_itself() -> None:
    allowed = set(sys.stdlib_module_names) | {"cryptography", "tallystick"}
    reached = {
        name: extra
        for name in python_files("plugins/tallystick/proof/")
        if (extra := imported(name) - allowed)
    }
    assert reached == {}


@pytest.mark.parametrize(("ci", "outcome"), [("true", "1 failed, 1 error"), ("", "2 skipped")])
def test_a_skipped_test_fails_and_a_file_skipped_whole_is_an_error_under_ci_only(
    tmp_path: Path, ci: str, outcome: str
) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    (tmp_path / "test_one.py").write_text("import pytest\ndef test_it():\n    pytest.skip('no tool')\n")
    (tmp_path / "test_file.py").write_text("import pytest\npytest.importorskip('no_such_tool')\n")
    assert outcome in run_pytest(tmp_path, ci)


def pytest_command(folder: Path, *options: str) -> list[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(folder), str(folder)]
    return [*command, *options]


def run_pytest(folder: Path, ci: str) -> str:
    command = pytest_command(folder, "--continue-on-collection-errors")
    env = {**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False).stdout


STARTS_ANOTHER = """
import os, subprocess, time
import pytest

@pytest.fixture(scope="session")
def other():
    process = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()

def test_it(other):
    if not os.fork():  # says so itself: Python forgets a signal that comes before a fork is set up
        print("started", other.pid, os.getpid(), flush=True)
    time.sleep(60)
    os._exit(0)
"""


def test_who_is_asked_to_end_takes_down_what_tests_have_started(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    (tmp_path / "test_one.py").write_text(STARTS_ANOTHER)
    command = pytest_command(tmp_path, "-s")
    with within(60), subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        started = next(line for line in run.stdout if "started" in line).split()
        other, fork = int(started[-2]), int(started[-1])
        try:
            os.kill(fork, signal.SIGTERM)
            while Path(f"/proc/{fork}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.02)
            run.terminate()
            assert run.wait(30) == 128 + signal.SIGTERM
            assert not Path(f"/proc/{other}").exists()
        finally:
            run.kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(other, signal.SIGKILL)
