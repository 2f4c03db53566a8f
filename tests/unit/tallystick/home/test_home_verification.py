"""What verifying a home runs, keeps and says of a file that is refused."""

from __future__ import annotations

from support import forgery
from support.home import make_home

from tallystick import wiring
from tallystick.evidence.report import Report
from tallystick.home import verification
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
