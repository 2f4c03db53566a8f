"""A dataset's lineage drawn: what came first stands left, one box a record, each a link.

`st.html` lets no SVG through, so the arrows are an image below boxes that are HTML.
"""

from __future__ import annotations

import functools
from base64 import b64encode
from collections.abc import Sequence
from urllib.parse import quote

from dashboards.page import command, text
from tallystick.reports.queries import Edge, reduced
from tallystick.reports.summary import title

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 168, 42, 52, 12
_MOST = 40


def lineage_picture(record_id: str, edges: Sequence[Edge]) -> str:
    """The picture of ``edges`` around ``record_id``, whose box has a thicker frame.

    At most 40 records are drawn, the oldest first; how many are left out stands below.
    """
    nodes = list(dict.fromkeys([record_id, *(each for edge in edges for each in (edge.target, edge.source))]))
    drawn, left = nodes[:_MOST], len(nodes) - _MOST
    shown = [edge for edge in reduced(edges) if edge.source in drawn and edge.target in drawn]
    places = _places(drawn, shown)
    width = max(x for x, _ in places.values()) + _WIDTH
    height = max(y for _, y in places.values()) + _HEIGHT
    lines = "".join(_line(places[edge.target], places[edge.source]) for edge in shown)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">{lines}</svg>'
    boxes = "".join(_box(node, *places[node], here=node == record_id) for node in drawn)
    shown_by = command(f"tally show {record_id}")
    more = f'<p class="soft">and {left:,} more: {shown_by} lists them</p>' if left > 0 else ""
    return (
        f'<div class="lineage" role="img" aria-label="Lineage" style="height:{height}px">'
        f'<img alt="" width="{width}" height="{height}"'
        f' src="data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}">{boxes}</div>{more}'
    )


def _places(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, tuple[int, int]]:
    """Columns by the longest way from an origin, rows in order of appearance."""
    before: dict[str, list[str]] = {node: [] for node in nodes}
    for edge in edges:
        before[edge.source].append(edge.target)

    @functools.cache
    def column(node: str) -> int:
        return max((column(each) + 1 for each in before[node]), default=0)

    columns: dict[int, list[str]] = {}
    for node in nodes:
        columns.setdefault(column(node), []).append(node)
    tallest = max(len(members) for members in columns.values())
    places = {}
    for number, members in columns.items():
        top = (tallest - len(members)) * (_HEIGHT + _GAP_Y) // 2
        for row, node in enumerate(members):
            places[node] = (number * (_WIDTH + _GAP_X), top + row * (_HEIGHT + _GAP_Y))
    return places


def _box(node: str, x: int, y: int, *, here: bool) -> str:
    kind = node.partition("/")[0]
    called = title(node).removeprefix(f"{kind}/")
    return (
        f'<a class="{"box here" if here else "box"}" href="?record={quote(node, safe="")}" target="_self"'
        f' style="left:{x}px;top:{y}px;width:{_WIDTH}px;height:{_HEIGHT}px">'
        f"<small>{text(kind)}</small>{text(called)}</a>"
    )


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT // 2
    x2, y2 = end[0], end[1] + _HEIGHT // 2
    bend = (x1 + x2) // 2
    path = f"M{x1},{y1} C{bend},{y1} {bend},{y2} {x2 - 7},{y2}"
    head = f"M{x2 - 8},{y2 - 4} L{x2 - 1},{y2} L{x2 - 8},{y2 + 4} Z"
    return f'<path d="{path}" fill="none" stroke="#9aa5b3"></path><path d="{head}" fill="#9aa5b3"></path>'
