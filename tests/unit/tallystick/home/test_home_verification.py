"""What verifying a home runs, keeps and says of a file that is refused."""

from __future__ import annotations

from contextlib import closing

from support import forgery
from support.home import make_home

from tallystick import wiring
from tallystick.evidence.report import Report
from tallystick.home import verification
from tallystick.reports.index import open_index
from tallystick.reports.verification import last_verification


def test_a_file_that_is_refused_replaces_an_older_verdict(tmp_path):
    settings = make_home(tmp_path)
    assert verification.verify_home(settings).verified
    assert last_verification(settings.home)["verified"]
    path = wiring.embedded_path(settings)
    forgery.execute(path, "DROP TABLE hashes")
    report = verification.verify_home(settings)
    assert [(s.kind, s.status) for s in report.subjects] == [("ledger", "CHANGED")]
    kept = last_verification(settings.home)
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
    assert "1 of records" in subject.detail
    assert last_verification(settings.home)["subjects"] == report.value()["subjects"]
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
