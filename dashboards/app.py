"""The dashboard: `tally dashboard` starts it on this machine. The first page, and one for each record."""

from __future__ import annotations

import streamlit as st

from dashboards import page
from dashboards.views import overview, record
from tallystick.errors import TallystickError
from tallystick.settings import Settings

st.set_page_config(page_title="Tallystick", layout="wide", initial_sidebar_state="collapsed")
st.html(page.STYLE)
try:
    settings = Settings.from_environment()
    if wanted := st.query_params.get("record"):
        record.render(settings, wanted)
    else:
        overview.render(settings)
except TallystickError as error:
    st.html(page.failure(error))
