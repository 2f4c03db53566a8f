"""kill -9 at random moments during writes by four processes: nothing acknowledged is missing."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from support import ledgers
from support.ledgers import logged_records, make_host, open_embedded

from tallystick.evidence.chain import Chain
from tallystick.evidence.verify import verify
from tallystick.ledger.embedded.stored import StoredFile
from tallystick.ledger.port import Call

KILLS = 200
WRITERS = 4
WRITING = 0.8  # of the kills hit one that has written; the others perhaps one that opens the ledger
ROOT = Path(__file__).parents[2]


def _start(directory: Path, worker: int, *count: str) -> subprocess.Popen[bytes]:
    paths = [str(ROOT), str(ROOT / "plugins"), str(ROOT / "tests")]
    return subprocess.Popen(
        [sys.executable, "-m", "support.crash_writer", str(directory), str(worker), *count],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stderr=subprocess.DEVNULL,
    )


def _recorded(directory: Path) -> list[str]:
    records = [json.loads(record.content) for record in logged_records(open_embedded(directory))]
    return [record["body"]["request_id"] for record in records if record["kind"] == "use"]


def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path):
    host = make_host(tmp_path)
    host.submit("register_dataset", ledgers.dataset())
    host.ledger.close()
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    running = [_start(tmp_path, worker) for worker in range(WRITERS)]
    began, wrote = [0] * WRITERS, 0
    for _ in range(KILLS):
        time.sleep(chance.uniform(0, 0.2))
        worker = chance.choice(_writing(tmp_path, began) if chance.random() < WRITING else range(WRITERS))
        wrote += _noted(tmp_path, worker) > began[worker]
        running[worker].send_signal(signal.SIGKILL)
        running[worker].wait()
        began[worker] = _noted(tmp_path, worker)
        running[worker] = _start(tmp_path, worker)
    for process in running:
        process.send_signal(signal.SIGKILL)
        process.wait()

    recorded = _recorded(tmp_path)
    acknowledged = _acknowledged(tmp_path)
    with StoredFile(tmp_path / "ledger.db") as stored:
        report = verify(stored, Chain(stored.blocks()))
    assert report.verified, report.subjects
    assert wrote > KILLS / 2, f"most were killed before they wrote anything: {wrote} had (seed {seed})"
    assert set(acknowledged) <= set(recorded), f"seed {seed}"
    assert len(recorded) == len(set(recorded)), f"recorded twice (seed {seed})"
    assert host.submit("record_use", ledgers.use(_dataset(host), 1))["repeated"] is False


def test_eight_processes_lose_nothing_and_a_reader_sees_whole_blocks(tmp_path):
    host = make_host(tmp_path)
    host.submit("register_dataset", ledgers.dataset())
    running = [_start(tmp_path, worker, "25") for worker in range(8)]
    heights = []
    while any(process.poll() is None for process in running):
        with StoredFile(tmp_path / "ledger.db") as stored:
            report = verify(stored, Chain(stored.blocks()))
        assert report.verified, report.subjects
        heights.append(host.ledger.height)
    assert [process.wait() for process in running] == [0] * 8
    recorded = _recorded(tmp_path)
    assert sorted(recorded) == sorted(_acknowledged(tmp_path))
    assert len(recorded) == 200
    assert heights == sorted(heights)


def _writing(directory: Path, began: list[int]) -> list[int]:
    """The workers that acknowledged a write since their present process began, as soon as there are any."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := [worker for worker in range(WRITERS) if _noted(directory, worker) > began[worker]]:
            return found
        time.sleep(0.01)
    raise AssertionError("nobody acknowledged anything in a minute")


def _noted(directory: Path, worker: int) -> int:
    """Bytes that say what a worker acknowledged, in all its lives."""
    path = directory / f"acknowledged-{worker}"
    return path.stat().st_size if path.exists() else 0


def _acknowledged(directory: Path) -> list[str]:
    return [line for path in directory.glob("acknowledged-*") for line in path.read_text().splitlines()]


def _dataset(host):
    read = Call("provenance", "read", {"id": "dataset/claims/1"})
    digest = host.ledger.evaluate(host.pipeline, read)["facts"]["digest"]
    return {"id": "dataset/claims/1", "digest": {"sha256": digest}}
