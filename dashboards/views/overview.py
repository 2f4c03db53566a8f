"""The first page: is the record intact, is anything wrong, what ran, and one dataset's lineage."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboards import page
from dashboards.facts import Facts, read_facts, read_lineage, read_versions
from dashboards.lineage import lineage_picture
from tallystick.evidence.report import EXIT_CODES
from tallystick.home.verification import verify_home
from tallystick.reports.summary import count, summary, title
from tallystick.reports.words import not_verified, utc
from tallystick.settings import Settings

_MOST_NAMED = 3


def render(settings: Settings) -> None:
    """Draw the page. Raises as `read_facts` does."""
    facts = read_facts(settings)
    title, button = st.columns([5, 1], vertical_alignment="center")
    title.html(
        page.block(
            '<div class="head"><h1>Tallystick</h1>'
            f'<span class="origin">{page.text(facts.origin)}</span>'
            f'<span class="soft">{count(facts.height, "block")}, '
            f"{count(facts.records, 'record')}</span></div>"
        )
    )
    if button.button("Verify now", width="stretch"):
        with st.spinner("Reading everything again …"):
            verify_home(settings)
        facts = read_facts(settings)
    left, right = st.columns(2)
    left.html(_intact(facts))
    right.html(_alarms(facts))
    left, right = st.columns(2)
    left.html(_pipelines(facts))
    right.html(_recent(facts))
    _lineage(settings, facts)


def _intact(facts: Facts) -> str:
    question, kept = "Is the record intact?", facts.verification
    if kept is None:
        advice = f"Press <b>Verify now</b>, or type {page.command('tally verify')}."
        return page.card(question, "open", "Not verified yet", [advice])
    wrong = _not_as_recorded(kept)
    total = count(len(kept["subjects"]), "subject")
    behind = kept["behind"]
    since = f" {not_verified(behind)}." if behind else ""
    upto = f"Up to block {kept['block']:,}, {page.text(kept['time'])}.{since}"
    note = f"<span class='soft'>A note of the last check, not proof: {page.command('tally verify')}</span>"
    if wrong:
        named = [f"{_subject(each)} — {page.text(each['detail'])}" for each in wrong[:_MOST_NAMED]]
        more = (
            [f"and {len(wrong) - _MOST_NAMED:,} more: {page.command('tally verify')}"]
            if wrong[_MOST_NAMED:]
            else []
        )
        verb = "is" if len(wrong) == 1 else "are"
        answer = f"No: {len(wrong):,} of {total} {verb} not as recorded"
        return page.card(question, "bad", answer, [*named, *more, upto, _witnessed(kept)])
    if not kept["verified"]:
        open_ = [each for each in kept["subjects"] if EXIT_CODES.get(each["status"], 3)]
        named = [_subject(each) for each in open_[:_MOST_NAMED]]
        answer = f"Not settled: {len(open_):,} of {total}"
        return page.card(question, "open", answer, [*named, upto, _witnessed(kept)])
    witnessed = _witnessed(kept)
    if not kept["witnessed"]:
        witnessed += f" {page.command('tally checkpoint --out .')} writes one to give away."
    if behind:
        answer = f"Verified up to block {kept['block']:,}; {not_verified(behind)}"
        return page.card(question, "open", answer, [page.text(kept["time"]), witnessed, note])
    return page.card(question, "good", f"Yes: {total} verified", [upto, witnessed, note])


def _witnessed(kept: dict[str, Any]) -> str:
    if kept["witnessed"]:
        return "Witnessed: held against a head that somebody else keeps."
    if kept["verified"]:
        return (
            "<b class='open'>NOT witnessed</b>: consistent and rightly signed, but held against nobody else's"
            " checkpoint."
        )
    return "<b class='open'>NOT witnessed</b>: held against nobody else's checkpoint."


def _wrong_alarm(wrong: list[dict[str, str]]) -> str:
    """The first subject that is not as recorded, a link where it has a page, and how many others."""
    others = f" and {count(len(wrong) - 1, 'other')}" if wrong[1:] else ""
    return f"{_subject(wrong[0])}{others}: not as recorded"


def _alarms(facts: Facts) -> str:
    question, lines = "Is anything wrong now?", []
    if facts.verification is not None:
        wrong = _not_as_recorded(facts.verification)
        lines += [_wrong_alarm(wrong)] if wrong else []
    lines += [
        f"{page.link(record.id, record.body['dag'])} failed, {page.text(utc(record.time_ms))}"
        for record in facts.pipelines
        if record.body["outcome"] == "failed"
    ]
    if lines:
        more = [f"and {len(lines) - 4:,} more below"] if lines[4:] else []
        return page.card(question, "bad", count(len(lines), "alarm"), [*lines[:4], *more])
    refused = (
        f"Last refused transaction: {page.text(facts.refusal.get('code', ''))},"
        f" {page.text(str(facts.refusal.get('time', ''))[:19].replace('T', ' '))} UTC. It changed nothing."
        if facts.refusal
        else "No refused transaction is noted here."
    )
    if facts.verification is None or facts.verification["behind"]:
        unknown = "nothing verified" if facts.verification is None else "not all verified"
        return page.card(question, "open", f"Nothing known, {unknown}", [refused])
    return page.card(
        question,
        "good",
        "Nothing known",
        [
            "Every pipeline's last run succeeded." if facts.pipelines else "No pipeline has run yet.",
            f"<span class='soft'>{refused}</span>",
        ],
    )


def _pipelines(facts: Facts) -> str:
    rows = [
        (
            page.link(record.id, record.body["dag"]),
            page.word(record.body["outcome"]),
            page.text(utc(record.time_ms)),
            f"{sum(task['state'] == 'success' for task in record.body['tasks'])} of"
            f" {count(len(record.body['tasks']), 'task')}",
        )
        for record in facts.pipelines
    ]
    empty = (
        f"No pipeline has run yet. {page.command('tally demo')} runs two,"
        f" {page.command('tally run --help')} says how to run one of yours."
    )
    return page.table("What ran", rows, empty)


def _recent(facts: Facts) -> str:
    rows = [
        (page.text(utc(record.time_ms)[:16]), page.link(record.id, record.kind), page.text(summary(record)))
        for record in facts.recent
    ]
    return page.table("Recent records (times in UTC)", rows, "Nothing is recorded yet.")


def _lineage(settings: Settings, facts: Facts) -> None:
    if not facts.datasets:
        st.html(
            page.table(
                "Lineage",
                [],
                f"No dataset is registered yet. {page.command('tally policy new --data FILE')} begins one.",
            )
        )
        return
    label, choice, version, _ = st.columns([1, 2, 2, 5], vertical_alignment="center")
    label.html(page.block("<h2>Lineage of</h2>"))
    with choice:
        name = st.selectbox("Lineage of", facts.datasets, label_visibility="collapsed")
    with version:
        chosen = st.selectbox(
            "Version", read_versions(settings, name), format_func=title, label_visibility="collapsed"
        )
    record, edges = read_lineage(settings, chosen)
    st.html(page.block(lineage_picture(record.id, edges)))


def _subject(each: dict[str, str]) -> str:
    """A subject of a report, as HTML: its status, kind and name, a link where it is a record."""
    called = title(each["id"]).removeprefix(f"{each['kind']}/")
    named = page.link(each["id"], called) if each["id"].startswith(f"{each['kind']}/") else page.text(called)
    return f"{page.word(each['status'])} {page.text(each['kind'])} {named}"


def _not_as_recorded(kept: dict[str, Any]) -> list[dict[str, str]]:
    return [each for each in kept["subjects"] if EXIT_CODES.get(each["status"], 3) == 1]
