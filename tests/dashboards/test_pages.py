"""The dashboard's pages without a browser: what they answer, and that record text stays text."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from support.datasets import made_up
from support.home import make_home, move_in
from support.records import RUN_ID, make_recorded_home, record_use

from dashboards import page
from dashboards.lineage import lineage_picture
from tallystick import wiring
from tallystick.clients.provenance import Request
from tallystick.errors import CouldNotCheck
from tallystick.proof.checkpoint import parse_checkpoint
from tallystick.proof.note import parse_note
from tallystick.reports.queries import Edge
from tallystick.reports.verification import keep_verification
from tallystick.settings import Settings

APP = Path(__file__).parents[2] / "dashboards" / "app.py"
MARKUP = "![x](http://198.51.100.7/a.png) <img src=x onerror=alert(1)>"


def shown(record: str = "", *, click: str = "") -> str:
    """All the HTML and text that the page consists of."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    if record:
        app.query_params["record"] = record
    app.run()
    if click:
        next(button for button in app.button if button.label == click).click().run()
    assert not app.exception
    bodies = [element.proto.body for element in app.get("html")]
    return "\n".join([*bodies, *(code.value for code in app.code)])


def drawn(app: AppTest) -> str:
    """All the HTML of a page that was run."""
    return "\n".join(element.proto.body for element in app.get("html"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    move_in(tmp_path, monkeypatch)
    return make_recorded_home(tmp_path, source=MARKUP)


def keep(settings: Settings, *statuses: str) -> None:
    """Note a verification of the ledger as it stands, with a subject of each status."""
    with closing(wiring.open_ledger(settings)) as ledger:
        head, block = parse_checkpoint(parse_note(ledger.checkpoint()).text), ledger.height - 1
    subjects = [
        {"kind": "run", "id": f"run/{RUN_ID}", "status": each, "detail": "metric <mae>"} for each in statuses
    ]
    subjects.append({"kind": "ledger", "id": head.origin, "status": "verified", "detail": ""})
    report = {"verified": set(statuses) <= {"verified"}, "witnessed": False, "subjects": subjects}
    keep_verification(settings.home, report, block, head)


def test_a_home_without_a_ledger_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    move_in(tmp_path, monkeypatch)
    out = shown()
    assert "There is no ledger here yet" in out
    assert "tally demo<" in out


def test_a_ledger_that_is_there_is_not_called_missing_for_its_name() -> None:
    out = page.failure(CouldNotCheck("the ledger file no ledger/ledger.db cannot be used now"))
    assert "It cannot be read now" in out
    assert "tally demo" not in out


def test_no_page_needs_the_key_of_the_log(home: Settings) -> None:
    home.log_key.chmod(0o644)
    for record in ("", "dataset/people/1"):
        out = shown(record)
        assert "cannot be read now" not in out
        assert "log.pem" not in out


def test_an_empty_ledger_says_what_to_do_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    move_in(tmp_path, monkeypatch)
    make_home(tmp_path)
    out = shown()
    assert "Not verified yet" in out
    assert "No pipeline has run yet" in out
    assert "No dataset is registered yet" in out


def test_the_button_verifies_and_claims_no_more_than_was_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_in(tmp_path, monkeypatch)
    settings = make_home(tmp_path)
    out = shown(click="Verify now")
    assert "Yes: 2 subjects verified" in out  # the ledger and the read index
    assert "NOT witnessed" in out
    kept = json.loads((settings.home / "verification.json").read_bytes())
    assert kept["block"] == 1


def test_the_first_page_shows_what_ran_and_the_lineage(home: Settings) -> None:
    out = shown()
    assert "healthcare_risk" in out
    assert "Recent records" in out
    assert 'aria-label="Lineage"' in out
    assert "risk v1" in out


def test_a_changed_subject_turns_the_first_answer_red_and_is_named(home: Settings) -> None:
    keep(home, "CHANGED")
    out = shown()
    assert "No: 1 of 2 subjects is not as recorded" in out
    assert 'class="card bad"' in out
    assert "1f0e1f0e1f0e" in out
    assert "metric &lt;mae&gt;" in out


def test_the_alarm_of_what_is_not_as_recorded_is_a_link(home: Settings) -> None:
    keep(home, "CHANGED", "MISSING")
    out = shown()
    alarm = out[out.index("Is anything wrong now?") :].partition("</div>")[0]
    assert "1 alarm" in alarm
    assert f'href="?record=run%2F{RUN_ID}"' in alarm
    assert "and 1 other: not as recorded" in alarm


@pytest.mark.parametrize("status", ["CHANGED", "cannot check"])
def test_that_nobody_else_witnessed_is_said_of_a_bad_record_too(home: Settings, status: str) -> None:
    keep(home, status)
    out = shown()
    assert "NOT witnessed</b>: held against nobody else's checkpoint" in out
    assert "consistent" not in out


def test_attestations_push_nothing_that_happened_off_the_first_page(home: Settings) -> None:
    with wiring.open_workspace(home) as w:
        for number in range(12):
            w.provenance.attest(Request(f"attest{number}"), stream="dataset:people")
    out = shown()
    recent = out[out.index("Recent records") :].partition("</table>")[0]
    assert ">attestation<" not in recent
    assert ">dataset<" in recent


def test_what_could_not_be_checked_is_not_called_verified(home: Settings) -> None:
    keep(home, "cannot check")
    out = shown()
    assert "Not settled: 1 of 2 subjects" in out
    assert "Yes:" not in out


def test_blocks_since_the_last_verification_are_said_to_be_unverified_and_turn_it_amber(
    home: Settings,
) -> None:
    keep(home, "verified")
    assert "Yes: 2 subjects verified" in shown()
    with wiring.open_workspace(home) as w:
        record_use(w.provenance, "use")
    out = shown()
    assert "Verified up to block 8; 1 block since is NOT verified" in out
    assert 'class="card good"' not in out
    (home.home / "verification.json").write_text(
        (home.home / "verification.json").read_text().replace('"size": ', '"size": 1')
    )
    assert "Not verified yet" in shown()


def test_a_records_page_says_what_the_last_verification_made_of_it(home: Settings) -> None:
    assert "not verified yet" in shown(f"run/{RUN_ID}")
    keep(home, "CHANGED")
    assert '<b class="bad">CHANGED</b> by the check noted' in shown(f"run/{RUN_ID}")
    assert '<b class="good">verified</b> as a part of the ledger' in shown("charter/1")
    with wiring.open_workspace(home) as w:
        record_use(w.provenance, "use")
    assert "NOT verified</b>: it is not in the last check" in shown("use/use")


def test_lineage_is_of_the_latest_version_unless_another_is_chosen(home: Settings) -> None:
    with wiring.open_workspace(home) as w:
        w.provenance.register_dataset(Request("second"), **made_up(version=2))
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    assert app.selectbox[1].options == ["people v2", "people v1"]
    assert 'aria-label="Lineage"' in drawn(app)
    assert "model</small>risk v1" not in drawn(app)
    app.selectbox[1].select("people v1").run()
    assert "model</small>risk v1" in drawn(app)


def test_a_failed_pipeline_is_an_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    move_in(tmp_path, monkeypatch)
    make_recorded_home(tmp_path, outcome="failed")
    assert "1 alarm" in shown()


def test_a_damaged_ledger_turns_the_page_red(home: Settings) -> None:
    (home.home / "ledger.db").write_bytes(b"not a database" * 1000)
    out = shown()
    assert 'class="card bad"' in out
    assert "ledger.db" in out


def test_a_records_page_shows_its_text_as_text(home: Settings) -> None:
    out = shown("dataset/people/1")
    assert "198.51.100.7" in out
    assert "<img src=x" not in out.replace(json.dumps(MARKUP), "")
    assert "20,190" in out


def test_an_unknown_record_is_said_to_be_unknown(home: Settings) -> None:
    out = shown("<script>alert(1)</script>")
    assert "&lt;script&gt;" in out
    assert "This cannot be shown" in out
    assert "Is the record intact?" not in out
    assert "<script>" not in out


def test_text_is_escaped_and_control_characters_are_spelled_out() -> None:
    assert page.text("<b>\x1b[2J&\"'") == "&lt;b&gt;\\x1b[2J&amp;&quot;&#x27;"
    assert 'href="?record=a%22%3E%3Cb%3E"' in page.link('a"><b>', "x")


def test_a_large_lineage_is_cut_and_says_so() -> None:
    edges = [Edge(f"use/{number}", "dataset", "dataset/people/1") for number in range(60)]
    picture = lineage_picture("dataset/people/1", edges)
    assert picture.count('class="box') == 40
    assert "and 21 more" in picture
