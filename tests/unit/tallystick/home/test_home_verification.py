"""What verifying a home runs, keeps and says of a file that is refused."""

from __future__ import annotations

import base64
import json
import secrets
import shutil
from contextlib import closing

import pytest
from support import forgery
from support.home import make_home

from tallystick import wiring
from tallystick.clients.provenance import Request, Task
from tallystick.errors import CouldNotCheck, NotAsRecorded
from tallystick.evidence.report import Report
from tallystick.home import memory, verification
from tallystick.reports.index import open_index
from tallystick.reports.verification import last_verification

ENDED = {"task": "ingest", "map_index": -1, "try": 1, "state": "success"}


def noted(settings):
    with closing(wiring.open_ledger(settings)) as ledger:
        return last_verification(settings.home, ledger)


def write_a_block(settings):
    with wiring.open_workspace(settings) as w:
        request = Request(f"more-{secrets.token_hex(4)}", Task("d", "r", "record", -1, 1))
        w.provenance.record_pipeline(request, dag="d", run="r", outcome="success", tasks=[ENDED])


def test_a_file_that_is_refused_replaces_an_older_verdict(tmp_path):
    settings = make_home(tmp_path)
    assert verification.verify_home(settings).verified
    assert noted(settings)["verified"]
    path = wiring.embedded_path(settings)
    forgery.execute(path, "DROP TABLE hashes")
    report = verification.verify_home(settings)
    assert [(s.kind, s.status) for s in report.subjects] == [("ledger", "CHANGED")]
    kept = json.loads((settings.home / "verification.json").read_bytes())
    assert not kept["verified"]
    assert kept["subjects"] == report.value()["subjects"]


def index_subjects(settings):
    return [subject for subject in verification.verify_home(settings).subjects if subject.kind == "index"]


def follow(settings):
    with closing(wiring.open_ledger(settings)) as ledger, open_index(settings.index, ledger):
        pass


def test_the_read_index_is_held_against_the_ledger(tmp_path):
    settings = make_home(tmp_path)
    assert index_subjects(settings) == []
    follow(settings)
    (subject,) = index_subjects(settings)
    assert (subject.id, subject.status) == ("index.db", "verified")
    forgery.execute(settings.index, "UPDATE records SET member = 'somebody'")
    report = verification.verify_home(settings)
    (subject,) = [subject for subject in report.subjects if subject.kind == "index"]
    assert (subject.status, report.exit_code) == ("CHANGED", 1)
    assert "1 in records" in subject.detail
    assert noted(settings)["subjects"] == report.value()["subjects"]
    verification.verify_home(settings, only="charter/1")
    settings.index.write_bytes(b"damaged" * 1000)
    assert [each.status for each in index_subjects(settings)] == ["CHANGED"]


def test_packages_of_the_home_are_not_run_for_an_auditor(tmp_path, monkeypatch):
    """What the judged party supplies runs only where nothing is held against it, or where it is named."""
    settings = make_home(tmp_path)
    kept = wiring.open_ledger(settings).checkpoint()
    given = []

    def note(*inputs, packages, **options):
        given.append(packages)
        return Report((), witnessed=False)

    monkeypatch.setattr(verification, "verify", note)
    verification.verify_home(settings)
    verification.verify_home(settings, since=kept)
    verification.verify_home(settings, since=kept, packages=tmp_path)
    assert given == [settings.packages, None, tmp_path]


def test_the_note_of_a_verification_says_what_it_does_not_cover(tmp_path):
    settings = make_home(tmp_path)
    verification.verify_home(settings)
    assert noted(settings)["behind"] == 0
    write_a_block(settings)
    assert (noted(settings)["block"], noted(settings)["behind"]) == (1, 1)


def test_a_note_of_another_ledger_or_of_another_past_says_nothing(tmp_path):
    settings, other = make_home(tmp_path / "a"), make_home(tmp_path / "b")
    verification.verify_home(settings)
    shutil.copy(settings.home / "verification.json", other.home)
    assert noted(settings) is not None
    assert noted(other) is None
    note = json.loads((settings.home / "verification.json").read_bytes())
    note["head"]["root"] = base64.b64encode(bytes(32)).decode()
    (settings.home / "verification.json").write_text(json.dumps(note))
    assert noted(settings) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"head": None},
        {"head": 5},
        {"head": {"origin": "x", "size": -1, "root": ""}},
        {"subjects": 5},
        {"subjects": [{"kind": "run"}]},
        {"block": "1"},
        {"verified": "yes"},
    ],
)
def test_a_note_that_is_none_says_nothing(changes, tmp_path):
    settings = make_home(tmp_path)
    verification.verify_home(settings)
    path = settings.home / "verification.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}))
    assert noted(settings) is None


def test_a_ledger_older_than_what_this_machine_saw_is_not_written_on(tmp_path):
    settings = make_home(tmp_path)
    shutil.copytree(settings.home, tmp_path / "yesterday")
    write_a_block(settings)
    verification.verify_home(settings)
    memory.require_latest(settings)
    shutil.rmtree(settings.home)
    shutil.copytree(tmp_path / "yesterday", settings.home)
    with pytest.raises(NotAsRecorded, match="records were taken away") as caught:
        memory.require_latest(settings)
    (remembered,) = settings.state_dir.glob("heads/*.note")
    assert str(remembered) in caught.value.hint
    assert "another copy of this home wrote on" in caught.value.message
    write_a_block(settings)
    write_a_block(settings)
    with pytest.raises(NotAsRecorded, match="rewritten"):
        memory.require_latest(settings)
    remembered.rename(tmp_path / "kept.note")
    memory.require_latest(settings)


def test_a_damaged_memory_lets_nobody_write(tmp_path):
    settings = make_home(tmp_path)
    verification.verify_home(settings)
    (remembered,) = settings.state_dir.glob("heads/*.note")
    remembered.write_text("what is this")
    with pytest.raises(CouldNotCheck, match="damaged"):
        memory.require_latest(settings)
