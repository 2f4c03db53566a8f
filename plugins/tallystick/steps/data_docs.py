"""Makes a page of Great Expectations' Data Docs stand alone: no script, nothing loaded from outside."""

from __future__ import annotations

import re
from typing import Final

# A page that slipped an address past the rules below would still not be let out by the browser.
_POLICY: Final = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "style-src 'unsafe-inline'; img-src data:\">"
)
# What the page's markup needs of the style sheets that it would have loaded.
_STYLE: Final = """<style>
body { font-family: system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; width: 100%; }
td, th { border: 1px solid #bbb; padding: .3rem .5rem; text-align: left; vertical-align: top; }
.badge { background: #e6e6e6; border-radius: .2rem; font-family: monospace; padding: .1rem .3rem; }
.navbar, nav, .modal, .btn, img, .ge-breadcrumbs-item a { display: none; }
</style>"""
_REMOVED: Final = (
    re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE),
    re.compile(r"<link\b[^>]*>", re.IGNORECASE),
    re.compile(r"<img\b[^>]*>", re.IGNORECASE),
    re.compile(r"<footer\b.*?</footer\s*>", re.DOTALL | re.IGNORECASE),
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"url\(\s*['\"]?(?:https?:)?//[^)]*\)", re.IGNORECASE),
)
_LINK: Final = re.compile(r"""(href|src)\s*=\s*(["'])(?:https?:)?//.*?\2""", re.IGNORECASE | re.DOTALL)
_HANDLER: Final = re.compile(r"""\son[a-z]+\s*=\s*(["']).*?\1""", re.IGNORECASE | re.DOTALL)


def without_outside(page: str) -> str:
    """``page`` without scripts, images, style sheets and links that leave it, with a style of its own."""
    for pattern in _REMOVED:
        page = pattern.sub("", page)
    page = _HANDLER.sub("", _LINK.sub("", page))
    return page.replace("<head>", f"<head>{_POLICY}{_STYLE}", 1)
