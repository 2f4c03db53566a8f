"""The page's building blocks as HTML. Every text is escaped: what a record says is never read as markup.

Streamlit reads text as Markdown in most of its elements, and Markdown fetches images from outside; so
the pages here consist of `st.html` alone, which runs no script.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import quote

from tallystick.errors import InvalidInput, NoLedger, NotAsRecorded, TallystickError
from tallystick.reports.words import safe, typed

STYLE = """<style>
.block-container { padding: 1.1rem 2rem 1rem; max-width: 1280px; }
header[data-testid="stHeader"], [data-testid="stToolbar"], footer { display: none; }
[data-testid="stVerticalBlock"] { gap: .7rem; }
.t { font-size: 14px; line-height: 1.4; color: #1c2430; }
.t h1 { font-size: 21px; font-weight: 650; margin: 0; padding: 0; letter-spacing: -.01em; }
.t h2 { font-size: 12.5px; font-weight: 600; margin: 0 0 .35rem; padding: 0; color: #55606f; }
.t .head { display: flex; align-items: baseline; gap: 1rem; }
.t .head .origin { color: #55606f; font: 12.5px ui-monospace, monospace; }
.t .card { border: 1px solid #dfe3e9; border-left: 5px solid #9aa5b3; border-radius: 6px;
  padding: .7rem .95rem; background: #fff; min-height: 10.3rem; }
.t .card.good { border-left-color: #1a7f46; }
.t .card.bad { border-left-color: #b3261e; background: #fdf3f2; }
.t .card.open { border-left-color: #a06a00; }
.t .answer { font-size: 19px; font-weight: 650; margin: 0 0 .2rem; }
.t .good .answer { color: #14693a; } .t .bad .answer { color: #a01d16; } .t .open .answer { color: #855700; }
.t p { margin: 0 0 .2rem; font-size: 14px; } .t .soft { color: #55606f; }
.t table { width: 100%; border-collapse: collapse; border: 0; margin: 0; font-size: 13px; }
.t td { border: 0; border-bottom: 1px solid #edf0f3; padding: .2rem .6rem .2rem 0; vertical-align: top; }
.t td.n { white-space: nowrap; color: #55606f; font-variant-numeric: tabular-nums; }
.t td.w { overflow-wrap: anywhere; }
.t a { color: #1f4e8c; text-decoration: none; } .t a:hover { text-decoration: underline; }
.t b.bad { color: #a01d16; } .t b.good { color: #14693a; } .t b.open { color: #855700; }
.t code { background: #f1f3f6; color: #1c2430; padding: .05rem .3rem; border-radius: 3px; font-size: 12.5px; }
.t .lineage { position: relative; overflow-x: auto; overflow-y: hidden; }
.t .lineage img { position: absolute; left: 0; top: 0; max-width: none; }
.t .box { position: absolute; box-sizing: border-box; padding: 3px 10px; border: 1px solid #c3cad3;
  border-radius: 5px; background: #f7f9fb; color: #1c2430; font-size: 13px; line-height: 1.3;
  white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.t .box small { display: block; font-size: 11px; color: #55606f; } .t .box.here { border: 2px solid #1f4e8c; }
</style>"""


def text(value: object) -> str:
    """``value`` as text that is shown as it is, control characters spelled out."""
    return escape(safe(str(value)), quote=True)


def link(record_id: str, shown: str) -> str:
    """A link to a record's own page."""
    return f'<a href="?record={quote(record_id, safe="")}" target="_self">{text(shown)}</a>'


def command(typed_as: str) -> str:
    """A command as it must be typed on this machine."""
    return f"<code>{text(typed(typed_as))}</code>"


def block(*parts: str) -> str:
    """A block of our own style around HTML parts."""
    return f'<div class="t">{"".join(parts)}</div>'


def card(question: str, kind: str, answer: str, lines: Iterable[str]) -> str:
    """A question, its answer in a sentence, and reasons (HTML); ``kind`` is good, bad, open or none."""
    reasons = "".join(f"<p>{line}</p>" for line in lines)
    first = f'<h2>{text(question)}</h2><p class="answer">{text(answer)}</p>'
    return block(f'<div class="card {kind}">{first}{reasons}</div>')


def table(title: str, rows: Sequence[Sequence[str]], empty: str) -> str:
    """A titled table of HTML cells, or what to do where there is nothing; the last column may wrap."""
    if not rows:
        return block(f"<h2>{text(title)}</h2><p class='soft'>{empty}</p>")
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{"w" if cell == row[-1] else "n"}">{cell}</td>' for cell in row)
        + "</tr>"
        for row in rows
    )
    return block(f"<h2>{text(title)}</h2><table>{body}</table>")


def word(state: str) -> str:
    """A state in its colour, which says nothing that the word does not."""
    kinds = {
        "success": "good",
        "verified": "good",
        "ERASED": "open",
        "ABANDONED": "open",
        "cannot check": "open",
    }
    return f'<b class="{kinds.get(state, "bad")}">{text(state)}</b>'


def failure(error: TallystickError) -> str:
    """A whole page's answer where the record cannot be read."""
    if isinstance(error, NotAsRecorded):
        return card("Is the record intact?", "bad", "No", [text(error.message), text(typed(error.hint))])
    if isinstance(error, InvalidInput):
        back = '<a href="?" target="_self">To the first page</a>'
        why = [text(error.message), text(typed(error.hint)), back]
        return card("What was asked for?", "open", "This cannot be shown", why)
    missing = isinstance(error, NoLedger)
    answer = "There is no ledger here yet" if missing else "It cannot be read now"
    advice = f"Make one with {command('tally demo')}, or with {command('tally init')} for your own."
    return card(
        "Is the record intact?",
        "open",
        answer,
        [text(error.message), advice if missing else text(typed(error.hint))],
    )
