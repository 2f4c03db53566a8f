"""A corrupt file, a full disk, a missing file: a clear error, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support import ledgers
from support.ledgers import make_host, open_embedded

from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded, OutcomeUnknown, TallystickError

ROOT = Path(__file__).parents[5]


@pytest.fixture
def host(tmp_path):
    host = make_host(tmp_path)
    host.submit("register_dataset", ledgers.dataset())
    host.ledger.close()
    return host


def _overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def test_a_file_that_is_no_ledger_is_named(tmp_path):
    path = tmp_path / "ledger.db"
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(NotAsRecorded, match=r"ledger\.db is damaged"):
        open_embedded_path(path)


def test_another_database_is_not_a_ledger(tmp_path):
    path = tmp_path / "other.db"
    sqlite3.connect(path).execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(NotAsRecorded, match="not a Tallystick ledger"):
        open_embedded_path(path)


def test_a_missing_ledger_says_how_to_make_one(tmp_path):
    with pytest.raises(CouldNotCheck) as error:
        open_embedded_path(tmp_path / "ledger.db")
    assert "tally init" in error.value.hint


def open_embedded_path(path: Path):
    from tallystick.ledger.embedded.ledger import EmbeddedLedger

    return EmbeddedLedger(path)


@pytest.mark.parametrize("keep", [0, 100, 4096, 5000])
def test_a_truncated_file_is_refused(host, keep):
    path = host.directory / "ledger.db"
    os.truncate(path, keep)
    with pytest.raises(TallystickError) as error:
        list(open_embedded(host.directory).blocks())
    assert error.value.exit_code in (1, 3)


@pytest.mark.parametrize("table", ["head", "hashes", "blocks"])
def test_rows_that_are_gone_are_missed(host, table):
    connection = sqlite3.connect(host.directory / "ledger.db")
    connection.execute(f"DELETE FROM {table}")
    connection.commit()
    connection.close()
    with pytest.raises(NotAsRecorded):
        open_embedded(host.directory).inclusion_proof(0)


def test_a_gap_in_the_blocks_is_named(host):
    connection = sqlite3.connect(host.directory / "ledger.db")
    connection.execute("DELETE FROM blocks WHERE number = 1")
    connection.commit()
    connection.close()
    with pytest.raises(NotAsRecorded, match="block 1 is missing"):
        list(open_embedded(host.directory).blocks())


def test_a_proof_of_a_leaf_that_is_not_there_is_refused(host):
    with pytest.raises(InvalidInput, match="no such proof"):
        open_embedded(host.directory).inclusion_proof(10_000)


def test_a_full_disk_refuses_and_keeps_what_was_acknowledged(host):
    """RLIMIT_FSIZE makes writes fail as a full disk does, in a process of its own."""
    script = textwrap.dedent(
        """
        import resource, signal, sys
        from pathlib import Path
        from support import ledgers
        from support.ledgers import open_embedded
        from tallystick.errors import TallystickError
        from tallystick.identity import load_user
        from tallystick.ledger.port import Call

        directory = Path(sys.argv[1])
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        ledger = open_embedded(directory)
        pipeline = load_user(directory / "msp", "OperatorMSP", "pipeline")
        limit = max(path.stat().st_size for path in directory.glob("ledger.db*")) + 100_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        version = 1
        try:
            while version < 1000:
                version += 1
                request = ledgers.dataset(version=version)
                ledger.submit(pipeline, Call("provenance", "register_dataset", request))
        except TallystickError as error:
            print(version - 1, error.exit_code, error.message)
        """
    )
    paths = os.pathsep.join(str(path) for path in (ROOT, ROOT / "plugins", ROOT / "tests"))
    done = subprocess.run(
        [sys.executable, "-c", script, str(host.directory)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    acknowledged, exit_code, message = done.stdout.split(maxsplit=2)
    assert (exit_code, "cannot be used now" in message) == ("3", True)
    assert int(acknowledged) > 1
    host.ledger = open_embedded(host.directory)
    following = host.submit("register_dataset", ledgers.dataset(version=int(acknowledged) + 1))
    assert following["id"] == f"dataset/claims/{int(acknowledged) + 1}"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_an_interrupted_writer_leaves_nobody_waiting(host, monkeypatch):
    """Whoever is interrupted while writing for others tells them so, and the ledger goes on."""
    from tallystick.ledger.embedded import appender
    from tallystick.ledger.port import Call

    ledger = open_embedded(host.directory)
    calls = [Call("provenance", "register_dataset", ledgers.dataset(version=version)) for version in (2, 3)]

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(appender, "append_transactions", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ledger.submit_many(host.pipeline, calls)
        jobs = [ledger._job(ledger._propose(host.pipeline, call, None)) for call in calls]
        with pytest.raises(KeyboardInterrupt):
            ledger._groups.run(jobs)
    for job in jobs:
        with pytest.raises(OutcomeUnknown) as told:
            job.receipt()
        assert "Submit the same request again" in told.value.hint
    assert [outcome.block for outcome in ledger.submit_many(host.pipeline, calls)] == [3, 3]


def test_of_many_those_that_are_committed_are_told_though_others_failed(host, monkeypatch):
    from tallystick.ledger.embedded import appender
    from tallystick.ledger.port import Call

    monkeypatch.setattr("tallystick.ledger.embedded.ledger.MAX_BLOCK", 2)
    ledger = open_embedded(host.directory)
    append, groups = appender.append_transactions, []

    def second_fails(*arguments):
        groups.append(arguments)
        if len(groups) == 2:
            raise CouldNotCheck("the disk is full")
        return append(*arguments)

    monkeypatch.setattr(appender, "append_transactions", second_fails)
    calls = [
        Call("provenance", "register_dataset", ledgers.dataset(name=name))
        for name in ("a", "b", "c", "d", "e")
    ]
    outcomes = ledger.submit_many(host.pipeline, calls)
    assert [outcome.block for outcome in (*outcomes[:2], outcomes[4])] == [3, 3, 4]
    assert [str(outcome) for outcome in outcomes[2:4]] == ["the disk is full"] * 2


def test_closing_a_ledger_closes_what_every_thread_opened(host):
    import threading
    from pathlib import Path

    def files() -> int:
        # Of this ledger alone: what earlier tests left open is closed when it is collected.
        ours = str(host.directory / "ledger.db")
        return sum(ours in str(link.resolve()) for link in Path("/proc/self/fd").iterdir())

    before = files()
    ledger = open_embedded(host.directory)
    opened, release = threading.Barrier(9), threading.Event()

    def read() -> None:
        assert ledger.height > 0
        opened.wait()
        release.wait()

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    opened.wait()
    assert files() >= before + 8
    ledger.close()
    assert files() == before
    release.set()
    for thread in threads:
        thread.join()
