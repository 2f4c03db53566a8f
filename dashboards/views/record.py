"""One record: what it says, when and by whom it was recorded, and its lineage."""

from __future__ import annotations

import json

import streamlit as st

from dashboards import page
from dashboards.facts import read_lineage
from dashboards.lineage import lineage_picture
from tallystick.cli.screen import utc
from tallystick.reports.summary import summary
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
        ("id", page.text(record.id)),
        ("recorded", f"{page.text(utc(record.time_ms))}, block {record.block:,}, leaf {record.leaf:,}"),
        ("by", f"{page.text(record.member)} of {page.text(record.msp_id)}"),
        ("digest", f"<code>{page.text(record.digest)}</code>"),
        ("check it", f"<code>tally verify {page.text(record.id)}</code>"),
    ]
    st.html(page.table("Record", rows, ""))
    if edges:
        st.html(page.block("<h2>Lineage</h2>", lineage_picture(record.id, edges)))
    st.html(page.block("<h2>What it says</h2>"))
    st.code(json.dumps(record.body, indent=2, ensure_ascii=True), language="json")
