"""One record: what became of it in the last verification, what it says, by whom, and its lineage."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from dashboards import page
from dashboards.facts import read_lineage, read_verification
from dashboards.lineage import lineage_picture
from tallystick.reports.record import Record
from tallystick.reports.summary import flat, short_id, summary
from tallystick.reports.words import utc
from tallystick.settings import Settings


def render(settings: Settings, wanted: str) -> None:
    """Draw the page of the record ``wanted``. Raises `InvalidInput` where there is none."""
    record, edges = read_lineage(settings, wanted)
    st.html(
        page.block(
            f'<p><a href="?" target="_self">Back to the first page</a></p>'
            f"<h1>{page.text(record.kind)}</h1><p>{page.text(summary(record))}</p>"
        )
    )
    rows = [
        ("verified", _verdict(record, read_verification(settings))),
        ("id", page.text(record.id)),
        ("recorded", f"{page.text(utc(record.time_ms))}, block {record.block:,}, leaf {record.leaf:,}"),
        ("by", f"{page.text(record.member)} of {page.text(record.msp_id)}"),
        ("digest", f"<code>{page.text(record.digest)}</code>"),
        ("check it", page.command(f"tally verify {short_id(record.id)}")),
    ]
    st.html(page.table("Record", rows, ""))
    if edges:
        st.html(page.block("<h2>Lineage</h2>", lineage_picture(record.id, edges)))
    said = [(page.text(field), page.text(value)) for field, value in flat(record.body)]
    st.html(page.table("What it says", said, "Nothing but that it is there."))
    with st.expander("As JSON"):
        st.code(json.dumps(record.body, indent=2, ensure_ascii=True), language="json")


def _verdict(record: Record, kept: dict[str, Any] | None) -> str:
    """What the last verification said of the record, as HTML; never more than it looked at."""
    if kept is None:
        return '<b class="open">not verified yet</b>'
    when = f"by the check noted {page.text(kept['time'])}, up to block {kept['block']:,}"
    found = [each for each in kept["subjects"] if each["id"] == record.id]
    ledger = next((each for each in kept["subjects"] if each["kind"] == "ledger"), None)
    if not found and record.block <= kept["block"] and ledger is not None:
        return f"{page.word(ledger['status'])} as a part of the ledger, {when}"
    if not found:
        return f'<b class="open">NOT verified</b>: it is not in the last check, {when}'
    told = "; ".join(page.text(each["detail"]) for each in found if each["detail"])
    return f"{page.word(found[0]['status'])} {when}{'. ' + told if told else ''}"
