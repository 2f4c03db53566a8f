"""Erasing one version of a dataset: what derived from its rows is gone, the log still verifies."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.home import make_home

from tallystick.cli import main
from tallystick.clients.provenance import Requests, Task
from tallystick.home.verification import verify_home
from tallystick.settings import Settings
from tallystick.steps.ingest import ingest
from tallystick.steps.screening import run_screening
from tallystick.steps.track import track
from tallystick.steps.train import train
from tallystick.steps.validation import data_docs, run_validation
from tallystick.wiring import open_workspace

POLICY = """
name: visits
title: Visits
source: made by a test
licence: none
purpose: Show what an erasure takes away
retention: {days: 1, reason: a test}
task: {kind: regression, target: visits}
model: {algorithm: lightgbm, params: {n_estimators: 5, min_child_samples: 2}, seed: 7}
split: {kind: random, test_fraction: 0.25, equal_covariates_together: true}
privacy: {regime: hipaa-safe-harbor}
columns:
  - {name: age, type: int, min: 0, max: 89}
  - {name: visits, type: int, min: 0, max: 400}
"""


def _run_chain(w, directory: Path, name: str, shift: int):
    source, policy = directory / f"{name}.csv", directory / "policy.yaml"
    policy.write_text(POLICY)
    rows = [f"{(number * 7) % 90},{(number * number + shift) % 50}" for number in range(120)]
    source.write_text("age,visits\n" + "\n".join(rows) + "\n")
    requests = Requests(Task("visits", name, "all", -1, 1))
    ingested = ingest(w, requests, source, policy)
    screened = run_screening(w, requests, ingested)
    validated = run_validation(w, requests, ingested)
    trained = train(w, requests, ingested, screened, validated)
    track(w, requests, ingested, trained)
    return ingested, validated, trained


@pytest.fixture
def home(tmp_path, monkeypatch) -> Settings:
    settings = make_home(tmp_path)
    monkeypatch.setenv("TALLYSTICK_HOME", str(settings.home))
    monkeypatch.setenv("TALLYSTICK_STATE", str(settings.state_dir))
    return settings


def test_erasing_one_version_leaves_the_other_whole(home, tmp_path, capsys):
    w = open_workspace(home)
    first, first_checked, first_trained = _run_chain(w, tmp_path, "first", 0)
    second, second_checked, second_trained = _run_chain(w, tmp_path, "second", 9)
    assert (first.version, second.version) == (1, 2)
    gone = [first.file, first_trained.sealed, first_trained.artifacts]
    # The two versions have one validation result, word for word: what both name must stay.
    assert first_checked.result == second_checked.result
    kept = [second.file, second_trained.sealed, second_trained.artifacts, second_checked.result]
    assert all(w.store.verify(digest) for digest in gone + kept)
    assert data_docs(w.store, first_checked.result).exists()
    objects = {path for path in home.objects.rglob("*") if path.is_file()}

    assert main(["retire", first.dataset.id, "--reason", "the subjects asked for it", "--erase"]) == 0
    assert "its key is destroyed" in capsys.readouterr().out

    assert not any((home.objects / digest[:2] / digest[2:]).exists() for digest in gone)
    assert all(w.store.verify(digest) for digest in kept)
    removed = objects - {path for path in home.objects.rglob("*") if path.is_file()}
    # The file, the run record, its predictions, the model and its manifest, and the sealed digests' memory.
    assert len(removed) >= 5
    report = verify_home(home)
    status = {subject.id: subject.status for subject in report.subjects}
    assert status[first.dataset.id] == "ERASED"
    assert status[second.dataset.id] == "verified"
    assert report.exit_code == 0
    assert main(["verify"]) == 0


def test_an_erased_version_is_trained_on_no_more(home, tmp_path, capsys):
    w = open_workspace(home)
    first, *_ = _run_chain(w, tmp_path, "first", 0)
    assert main(["retire", first.dataset.id, "--reason", "the subjects asked for it", "--erase"]) == 0
    again, *_ = _run_chain(w, tmp_path, "again", 0)
    assert (again.version, again.repeated) == (2, False)
