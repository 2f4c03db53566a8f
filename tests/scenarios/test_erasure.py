"""Erasing one version of a dataset: what derived from its rows is gone, the log still verifies."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import forgery
from support.audited import changed_row
from support.home import make_home, move_in

from tallystick import sealing
from tallystick.cli import main
from tallystick.clients.provenance import Requests, Task
from tallystick.errors import Missing
from tallystick.home.verification import verify_home
from tallystick.settings import Settings
from tallystick.steps.ingest import ingest
from tallystick.steps.opening import open_dataset, store_of
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


OPEN = POLICY.replace("privacy: {regime: hipaa-safe-harbor}", "privacy: {regime: none, reason: a test}")


def _run_chain(w, directory: Path, name: str, shift: int, parents=(), text: str = POLICY):
    source, policy = directory / f"{name}.csv", directory / "policy.yaml"
    policy.write_text(text)
    rows = [f"{(number * 7) % 90},{(number * number + shift) % 50}" for number in range(120)]
    source.write_text("age,visits\n" + "\n".join(rows) + "\n")
    requests = Requests(Task("visits", name, "all", -1, 1))
    ingested = ingest(w, requests, source, policy, parents=parents)
    screened = run_screening(w, requests, ingested)
    validated = run_validation(w, requests, ingested)
    trained = train(w, requests, ingested, screened, validated)
    track(w, requests, ingested, trained)
    return ingested, validated, trained


@pytest.fixture
def home(tmp_path, monkeypatch) -> Settings:
    make_home(tmp_path)
    return move_in(tmp_path, monkeypatch)


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


def _erase(*datasets) -> None:
    for each in datasets:
        assert main(["retire", each.dataset.id, "--reason", "the subjects asked for it", "--erase"]) == 0


def _statuses(home: Settings) -> dict[str, str]:
    return {subject.id: subject.status for subject in verify_home(home).subjects}


def _objects(home: Settings) -> list[Path]:
    return [path for path in home.objects.glob("??/*") if len(path.parent.name) == 2]


def test_of_a_dataset_alone_nothing_is_left_in_the_store(home, tmp_path, capsys):
    w = open_workspace(home)
    first, *_ = _run_chain(w, tmp_path, "first", 0)
    # As after a training that was killed before anything recorded what it had sealed.
    lost = w.store.add_bytes(b"a run record that nobody recorded")
    sealing.remember(w.store, sealing.seal(open_dataset(w, first.dataset).sealing, lost), lost)
    assert w.store.verify(first.policy)
    _erase(first)
    assert _objects(home) == []
    assert list((home.objects / "sealed").iterdir()) == []
    assert list((home.objects / "data-docs").iterdir()) == []
    report = verify_home(home)
    assert {subject.status for subject in report.subjects} <= {"ERASED", "verified"}
    assert report.verified


def test_a_dataset_that_was_made_of_an_erased_one_stays(home, tmp_path, capsys):
    w = open_workspace(home)
    first, *_ = _run_chain(w, tmp_path, "first", 0)
    child, _, trained = _run_chain(w, tmp_path, "second", 9, parents=(first.dataset,))
    _erase(first)
    assert w.store.verify(trained.sealed)
    assert _statuses(home)[child.dataset.id] == "verified"
    assert verify_home(home).verified


def test_an_erasure_hides_nothing_that_can_still_be_compared(home, tmp_path, capsys):
    w = open_workspace(home)
    first, *_ = _run_chain(w, tmp_path, "first", 0)
    _run_chain(w, tmp_path, "second", 9)
    _erase(first)
    assert verify_home(home).verified
    mlflow = home.home / "mlflow" / "mlflow.db"
    with changed_row(
        mlflow,
        "UPDATE params SET value = '8' WHERE key = 'seed'",
        "UPDATE params SET value = '7' WHERE key = 'seed'",
    ):
        runs = [subject for subject in verify_home(home).subjects if subject.kind == "run"]
    assert [subject.status for subject in runs] == ["CHANGED", "CHANGED"]
    assert all("param seed: recorded 7, MLflow now says 8" in subject.detail for subject in runs)
    # The second version has the same policy, so that it stays; what is there must be right.
    policy = home.objects / first.policy[:2] / first.policy[2:]
    policy.chmod(0o600)
    policy.write_bytes(policy.read_bytes() + b" ")
    assert _statuses(home)[first.dataset.id] == "CHANGED"


def test_without_the_deed_the_word_hides_nothing(home, tmp_path):
    """A retirement record alone, as anybody with the role may write it: the key is still here."""
    w = open_workspace(home)
    first, *_ = _run_chain(w, tmp_path, "first", 0)
    w.provenance.retire(
        Requests(Task("visits", "x", "x", -1, 1)).of("retire"),
        subject=first.dataset,
        state="erased",
        reason="to hide it",
    )
    assert _statuses(home)[first.dataset.id] == "CHANGED"
    forgery.execute(home.home / "mlflow" / "mlflow.db", "UPDATE params SET value = '8' WHERE key = 'seed'")
    assert {status for id, status in _statuses(home).items() if id.startswith("run/")} == {"CHANGED"}


@pytest.mark.parametrize("text", [POLICY, OPEN], ids=["regime", "none"])
def test_what_two_versions_share_goes_with_the_last_of_them(home, tmp_path, capsys, text):
    w = open_workspace(home)
    first, *_ = _run_chain(w, tmp_path, "first", 0, text=text)
    # Another file than the second's: a version of the latest's bytes would only be a use of it.
    between, *_ = _run_chain(w, tmp_path, "between", 9, text=text)
    third, _, trained = _run_chain(w, tmp_path, "third", 0, text=text)
    assert (third.version, third.file) == (3, first.file)
    _erase(first)
    assert all(w.store.verify(digest) for digest in (third.file, trained.sealed, trained.artifacts))
    assert _statuses(home)[third.dataset.id] == "verified"
    _erase(third)
    assert not any(w.store.has(digest) for digest in (third.file, trained.sealed, trained.artifacts))
    assert verify_home(home).verified
    _erase(between)
    assert _objects(home) == []


@pytest.mark.parametrize("text", [POLICY, OPEN], ids=["regime", "none"])
def test_what_an_interrupted_training_stored_goes_too(home, tmp_path, capsys, monkeypatch, text):
    w = open_workspace(home)
    first, *_ = _run_chain(w, tmp_path, "first", 0, text=text)
    lasting = set(_objects(home))
    with monkeypatch.context() as killed:
        killed.setattr("tallystick.steps.train._outcome", _killed)
        with pytest.raises(KeyboardInterrupt):
            _train_again(w, first)
    sealed = _train_again(w, first).sealed
    assert len(set(_objects(home)) - lasting) >= 1
    assert w.store.verify(sealed)
    _erase(first)
    assert _objects(home) == []
    # The intent without a run stays what it is.
    assert set(_statuses(home).values()) == {"ERASED", "verified", "ABANDONED"}


@pytest.mark.parametrize("text", [POLICY, OPEN], ids=["regime", "none"])
def test_a_step_that_ends_after_the_erasure_stores_nothing(home, tmp_path, capsys, text):
    w = open_workspace(home)
    first, *_ = _run_chain(w, tmp_path, "first", 0, text=text)
    store = store_of(w, open_dataset(w, first.dataset))
    _erase(first)
    with pytest.raises(Missing):
        store.add_bytes(b"a model of rows that are erased")
    assert _objects(home) == []


def test_what_a_running_training_of_another_dataset_stored_stays(home, tmp_path, capsys):
    w = open_workspace(home)
    first, *_ = _run_chain(w, tmp_path, "first", 0, text=OPEN)
    second, *_ = _run_chain(w, tmp_path, "second", 9, text=OPEN)
    shared = [store_of(w, open_dataset(w, each.dataset)).add_bytes(b"shared") for each in (first, second)]
    _erase(first)
    assert w.store.verify(shared[0])
    _erase(second)
    assert _objects(home) == []


def test_an_open_file_that_is_still_here_is_not_erased(home, tmp_path, capsys):
    w = open_workspace(home)
    first, _, trained = _run_chain(w, tmp_path, "first", 0, text=OPEN)
    _run_chain(w, tmp_path, "second", 9, text=OPEN)
    files = [home.objects / digest[:2] / digest[2:] for digest in (first.file, trained.sealed)]
    kept = [file.read_bytes() for file in files]
    _erase(first)
    assert _statuses(home)[first.dataset.id] == "ERASED"
    for data in kept:
        w.store.add_bytes(data)
    subjects = {subject.id: subject for subject in verify_home(home).subjects}
    assert subjects[first.dataset.id].status == "CHANGED"
    assert "still here: run `tally retire" in subjects[first.dataset.id].detail
    capsys.readouterr()
    _erase(first)
    assert "Removed" in capsys.readouterr().out
    assert not any(file.exists() for file in files)
    assert verify_home(home).verified


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def _train_again(w, ingested):
    requests = Requests(Task("visits", "again", "all", -1, 1))
    return train(
        w, requests, ingested, run_screening(w, requests, ingested), run_validation(w, requests, ingested)
    )
