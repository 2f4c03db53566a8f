"""Values planted in every column, in refused calls and in errors reach no ledger, log or MLflow parameter.

Every planted value has at least 8 bytes, so that meeting it by chance is out of the question.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from support.home import make_home

from tallystick.clients.provenance import Request, Requests, Task
from tallystick.errors import Refused, TallystickError
from tallystick.home.verification import verify_home
from tallystick.steps.errors import CheckFailed
from tallystick.steps.ingest import ingest
from tallystick.steps.screening import run_screening
from tallystick.steps.track import track
from tallystick.steps.train import train
from tallystick.steps.validation import run_validation
from tallystick.wiring import open_workspace

TEXTS = [f"canary-{letter * 6}" for letter in "abcdef"]
COUNTS = [70_000_000 + 1_234_567 * number for number in range(6)]
AMOUNTS = [f"{1234.5678901 + number * 1000.123:.7f}" for number in range(6)]
BROKEN = ["99887766", "canary-out-of-range", "88776655.4433221"]

POLICY = """
name: canaries
title: Values that must not leave
source: made by a test
licence: none
purpose: Show that values stay where they are
retention: {days: 1, reason: a test}
task: {kind: regression, target: amount}
model: {algorithm: lightgbm, params: {n_estimators: 5, min_child_samples: 2}, seed: 7}
split: {kind: random, test_fraction: 0.25, equal_covariates_together: true}
privacy: {regime: hipaa-safe-harbor}
columns:
  - {name: label, type: string, values: [%s], class: feature}
  - {name: count, type: int, min: 1, max: 80000000}
  - {name: amount, type: float, min: 0.0, max: 80000000.0}
  - {name: year, type: int, min: 19000000, max: 21000000}
"""


def _csv(path: Path, rows: list[str]) -> Path:
    path.write_text("label,count,amount,year\n" + "\n".join(rows) + "\n")
    return path


def _rows() -> list[str]:
    chance = np.random.default_rng(5)
    return [
        f"{TEXTS[chance.integers(6)]},{COUNTS[chance.integers(6)]},"
        f"{AMOUNTS[chance.integers(6)]},{19_700_315 + int(chance.integers(6)) * 10_001}"
        for _ in range(200)
    ]


def _requests(run: str) -> Requests:
    return Requests(Task("canaries", run, "all", -1, 1))


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    """A home after a whole pipeline, a failed one, refused calls and bad files, all full of canaries."""
    directory = tmp_path_factory.mktemp("canaries")
    settings = make_home(directory)
    w = open_workspace(settings)
    policy = directory / "policy.yaml"
    policy.write_text(POLICY % ", ".join(TEXTS))
    good = _csv(directory / "good.csv", _rows())

    ingested = ingest(w, _requests("good"), good, policy)
    screened = run_screening(w, _requests("good"), ingested)
    validated = run_validation(w, _requests("good"), ingested)
    trained = train(w, _requests("good"), ingested, screened, validated)
    track(w, _requests("good"), ingested, trained)

    bad = _csv(directory / "bad.csv", [*_rows(), f"{BROKEN[1]},{BROKEN[0]},{BROKEN[2]},19700315"])
    failed = ingest(w, _requests("bad"), bad, policy)
    messages = []
    with pytest.raises(CheckFailed) as check:
        run_validation(w, _requests("bad"), failed)
    messages.append(str(check.value))

    torn = _csv(directory / "torn.csv", [*_rows(), f"{TEXTS[0]},{COUNTS[0]}"])
    with pytest.raises(TallystickError) as error:
        ingest(w, _requests("torn"), torn, policy)
    messages.append(str(error.value))
    with pytest.raises(Refused) as refused:
        w.provenance.record_use(Request("id-" + TEXTS[1]), dataset=ingested.dataset, purpose="")
    messages.append(str(refused.value))
    with pytest.raises(Refused) as refused:
        w.provenance.record_validation(
            Request("v"), dataset=ingested.dataset, policy={"sha256": TEXTS[2]}, suite={"sha256": COUNTS[2]},
            result={TEXTS[3]: "x"}, evaluated=1, failed=[TEXTS[4] * 40],
        )  # fmt: skip
    messages.append(str(refused.value))
    return settings, messages


def _planted() -> list[bytes]:
    values = [*TEXTS, *map(str, COUNTS), *AMOUNTS, *BROKEN]
    assert min(map(len, values)) >= 8
    return [value.encode() for value in values]


def _found(data: bytes) -> list[str]:
    return [value.decode() for value in _planted() if value in data]


def test_the_canaries_were_there(spoilt):
    settings, _ = spoilt
    stored = b"".join(path.read_bytes() for path in settings.objects.rglob("*") if path.is_file())
    assert sorted(_found(stored)) == sorted(value.decode() for value in _planted())


def test_no_canary_is_in_the_ledgers_files(spoilt):
    settings, _ = spoilt
    files = [path for path in settings.home.glob("*") if path.is_file()]
    assert {"ledger.db", "refusals.jsonl"} <= {path.name for path in files}
    assert {path.name: found for path in files if (found := _found(path.read_bytes()))} == {}


def test_no_canary_is_in_an_error(spoilt):
    _, messages = spoilt
    assert len(messages) == 4
    assert [found for message in messages if (found := _found(message.encode()))] == []


def test_no_canary_is_among_mlflows_params_tags_or_inputs(spoilt):
    settings, _ = spoilt
    with closing(sqlite3.connect(settings.mlflow_uri.removeprefix("sqlite:///"))) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        dump = {table: repr(connection.execute(f"SELECT * FROM {table}").fetchall()) for table in tables}
    assert "canaries" in dump["experiments"]
    assert {table: found for table, text in dump.items() if (found := _found(text.encode()))} == {}


def test_no_digest_of_the_file_stands_on_the_ledger_in_the_clear(spoilt):
    import hashlib

    settings, _ = spoilt
    ledger = b"".join(path.read_bytes() for path in settings.home.glob("ledger.db*"))
    for name in ("good.csv", "bad.csv"):
        digest = hashlib.sha256((settings.home.parent / name).read_bytes()).hexdigest()
        assert digest.encode() not in ledger
        assert bytes.fromhex(digest) not in ledger


def test_the_home_verifies(spoilt):
    settings, _ = spoilt
    report = verify_home(settings)
    assert report.verified, report.subjects
