"""Contracts in a process of their own: they run as here, reach nothing, and fail without taking us along."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import chaincode
from chaincode.catalogue import invoke
from chaincode.context import Caller
from chaincode.errors import Refusal
from tallystick.errors import CouldNotCheck
from tallystick.execution import isolated, packages
from tallystick.execution.isolated import IsolatedContracts, Patience
from tallystick.execution.simulate import Call, simulate

CURRENT = packages.manifest(Path(chaincode.__file__).parent)
CALLER = Caller("OperatorMSP", "member", frozenset({"pipeline", "admin"}))
SHUT_IN = sys.platform == "linux" and os.uname().machine == "x86_64"


class State:
    """A snapshot that notes what it was asked."""

    def __init__(self, **entries: str) -> None:
        self.entries = {f"probe/{name}": (text.encode(), (7, 1)) for name, text in entries.items()}
        self.asked: list[str] = []

    def get(self, key):
        self.asked.append(key)
        return self.entries.get(key)

    def scan(self, start, end, limit):
        found = [(key, *entry) for key, entry in sorted(self.entries.items()) if start <= key < end]
        return found[:limit]


def probe(body: str, top: str = "") -> dict[str, bytes]:
    """A package whose one way in runs ``body``."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    source = f"{top}\nasync def invoke(context, contract, transaction, request):\n{lines}"
    return {**CURRENT, "catalogue.py": source.encode()}


def call(request: bytes = b"{}") -> Call:
    return Call("probe", "x", request, CALLER, "a" * 64, 1_700_000_000_000)


def run(files, state=None, likely=(), seconds=20.0):
    contracts = IsolatedContracts(files, Patience(seconds))
    try:
        return contracts.run(state or State(), call(), likely)
    finally:
        contracts.close()


EVERYTHING = """
first = await context.get("probe/a")
await context.put("probe/b", first + " and ü".encode())
await context.put("probe/b", b"twice")
await context.delete("probe/c")
assert await context.get("probe/b") is None
many = await context.get_many(["probe/e", "probe/none", "probe/a", "probe/e"])
assert many == [b"three", None, b"one", b"three"]
page = await context.scan("probe/a", "probe/z", 2)
caller = context.caller
who = f"{caller.msp_id} {sorted(caller.roles)} {context.claimed_time} {context.transaction_id}"
context.emit(who.encode())
return str(page).encode() + request
"""


@pytest.mark.parametrize("likely", [(), ("probe/a",), ("probe/z", "probe/b", "probe/a")])
def test_it_gives_what_running_it_here_gives(likely):
    state = State(a="one", d="two", e="three")
    here = {}
    source = probe(EVERYTHING)["catalogue.py"].decode()
    exec(compile(source, "catalogue", "exec"), here)  # noqa: S102
    expected = simulate(here["invoke"], state, call())
    found = run(probe(EVERYTHING), state, likely)
    assert found == expected
    assert list(found.reads) == list(expected.reads)


def test_what_will_probably_be_read_is_sent_along_and_the_rest_is_asked_for():
    state = State(a="one")
    run(probe('await context.get("probe/a"); await context.get("probe/q"); return b""'), state, ["probe/a"])
    assert state.asked == ["probe/a", "probe/q"]


def test_the_installed_package_runs_there_as_here():
    request = Call("provenance", "nothing", b"{}", CALLER, "a" * 64, 5)
    contracts = IsolatedContracts(CURRENT, Patience())
    for run_once in (lambda: simulate(invoke, State(), request), lambda: contracts.run(State(), request)):
        with pytest.raises(Refusal) as refused:
            run_once()
        assert refused.value.code == "UNKNOWN_TRANSACTION"
    contracts.close()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("from chaincode.errors import Refusal; raise Refusal('MINE', field='x')", "MINE"),
        ("await context.put('elsewhere/x', b'1')", "FOREIGN_KEY"),
        ("await context.scan('b', 'a', 1)", "INVALID_SCAN"),
        ("raise KeyError('secret')", "CONTRACT_FAULT"),
    ],
)
def test_a_refusal_is_its_code(body, code):
    with pytest.raises(Refusal) as refused:
        run(probe(body))
    assert (refused.value.code, refused.value.facts) == (code, {})


def say(answer: str) -> str:
    """A body that answers for itself, past the code that runs it."""
    return f"import os, struct; text = {answer!r}.encode(); os.write(1, struct.pack('>I', len(text)) + text)"


def ask(key: str) -> str:
    """A body that asks for one key after another, past the code that limits them."""
    return f"""
import __main__
for number in range(10**9):
    __main__._ask({{"get": {key}}})
"""


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("raise SystemExit", "ended"),
        ("import ctypes; ctypes.string_at(0)", "ended"),
        ("raise MemoryError", "ended"),
        ("x = bytearray(4 << 30)", "ended"),
        ("while True: pass", "took too long"),
        ("while True: await context.get('probe/a')", "took too long"),
        (say("rubbish"), "no answer"),
        (say("[1,2]"), "no answer"),
        (say("{}"), "no answer"),
        (say("7"), "no answer"),
        (say('{"get":7}'), "no answer"),
        (say('{"scan":["a","b",-1]}'), "no answer"),
        (ask(key="'x' * 513"), "no answer"),
        (ask(key="'x/' + str(number)"), "no answer"),
        ("import os, struct; os.write(1, struct.pack('>I', 17 << 20))", "no answer"),
        (say('{"reads":["x"],"records":[],"response":"","writes":[]}'), "no answer"),
        (say('{"reads":[],"records":[],"response":"","writes":[[7,"x"]]}'), "no answer"),
        (say('{"reads":[],"records":[1],"response":"","writes":[]}'), "no answer"),
        ("import os; os.write(1, b'\\xff' * 8); return b''", "no answer"),
    ],
)
def test_a_process_that_ends_hangs_or_talks_rubbish_could_not_check(body, how, monkeypatch):
    monkeypatch.setattr(isolated, "_MOST_READS", 500)
    with pytest.raises(CouldNotCheck, match=how):
        run(probe(body), State(a="one"), seconds=1.5)


@pytest.mark.parametrize("top", ["raise ValueError", "import no_such_module", "def (", "while True: pass"])
def test_a_package_that_cannot_be_imported_could_not_check(top):
    with pytest.raises(CouldNotCheck):
        run(probe("return b''", top), seconds=1.5)


def test_once_it_failed_it_stays_failed():
    contracts = IsolatedContracts(probe("raise SystemExit"), Patience())
    for _ in range(2):
        with pytest.raises(CouldNotCheck):
            contracts.run(State(), call())
    contracts.close()


def test_a_process_that_cannot_be_started_could_not_check(monkeypatch):
    monkeypatch.setattr(sys, "executable", "no such program")
    with pytest.raises(CouldNotCheck, match="no process could be started"):
        IsolatedContracts(CURRENT, Patience())


def test_it_has_no_environment_and_nothing_of_ours(monkeypatch):
    monkeypatch.setenv("TALLYSTICK_SECRET", "hunter2")
    body = """
import os, sys
names = sorted({name.partition(".")[0] for name in sys.modules} & {"tallystick", "cryptography", "site"})
return f"{'TALLYSTICK_SECRET' in os.environ} {[p for p in sys.path if 'site-packages' in p]} {names}".encode()
"""
    assert run(probe(body)).response == b"False [] []"


def test_what_it_prints_is_not_its_answer():
    assert run(probe("print('hello'); return b'{}'")).response == b"{}"


@pytest.mark.skipif(not SHUT_IN, reason="Linux on x86-64 only: elsewhere limits alone stop it")
@pytest.mark.parametrize(
    "body",
    [
        "open({path!r})",
        "open({path!r}, 'w')",
        "import os; os.unlink({path!r})",
        "import os; os.mkdir({path!r} + 'd')",
        "import os; os.fork()",
        "import os; os.kill(os.getppid(), 0)",
        "import os; os.execv('/bin/true', ['true'])",
        "import ctypes; assert ctypes.CDLL(None).socket(2, 1, 0) < 0; raise OSError",
        "import socket",
    ],
)
def test_it_reaches_no_file_process_or_network(tmp_path, body):
    path = tmp_path / "file"
    path.write_text("here")
    with pytest.raises(CouldNotCheck, match="ended"):
        run(probe(body.format(path=str(path)) + "\nreturn b''"))
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "here"


def test_it_is_gone_after_use():
    contracts = IsolatedContracts(CURRENT, Patience())
    process, folder = contracts._process, contracts._folder.name
    assert Path(folder).is_dir()
    contracts.close()
    contracts.close()
    assert process.poll() is not None
    assert not Path(folder).exists()


def test_a_process_that_does_not_listen_is_not_waited_for():
    contracts = IsolatedContracts(probe("return b''"), Patience(1.0))
    contracts.run(State(), call())
    os.kill(contracts._process.pid, 19)
    start = time.monotonic()
    with pytest.raises(CouldNotCheck, match="took too long"):
        contracts.run(State(), call(b"x" * (4 << 20)))
    assert time.monotonic() - start < 10


def test_patience_is_spent_and_grows_with_what_was_run(monkeypatch):
    now = 100.0
    monkeypatch.setattr(isolated, "time", SimpleNamespace(monotonic=lambda: now))
    patience, given = Patience(60.0, more=1.0), []
    for took in (25.0, 25.0, 25.0, 0.0):
        with patience.spending() as deadline:
            given.append(deadline - now)
            now += took
    assert given == [60.0, 36.0, 12.0, -12.0]


def test_no_transaction_is_given_more_than_the_first():
    patience = Patience(60.0, more=1000.0)
    with patience.spending():
        pass
    with patience.spending() as deadline:
        assert deadline <= time.monotonic() + 60.0
