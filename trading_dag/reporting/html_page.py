"""Pages that are one HTML file: no other file, no script, nothing loaded from anywhere. Style and building blocks."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from typing import Final

STYLE: Final = """
body{font:14px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;color:#222;background:#fff;max-width:1060px;
margin:2em auto;padding:0 1.2em}
h1{font-size:1.6em;margin:0}h2{font-size:1.15em;margin:2.2em 0 .6em;border-bottom:2px solid #0072B2;padding-bottom:.2em}
p.period{color:#666;margin:.2em 0 1em}p.note{background:#FFF6E0;border-left:4px solid #E69F00;padding:.5em .9em}
p.caption{color:#666;font-size:.92em;margin:.3em 0 .8em}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:.7em;margin:1.2em 0}
.card{border:1px solid #D9D9D9;border-radius:6px;padding:.55em .8em}.card b{display:block;font-size:1.3em}
.card span{color:#666;font-size:.88em}
img{display:block;max-width:100%;height:auto;margin:.8em 0}
.wide{overflow-x:auto}
table{border-collapse:collapse;margin:.6em 0;font-variant-numeric:tabular-nums}
td,th{border-bottom:1px solid #E4E4E4;padding:.28em .75em;text-align:right;white-space:nowrap}
th{font-weight:600;background:#F5F7F9}td:first-child,th:first-child{text-align:left}
table.words td{white-space:normal;text-align:left;vertical-align:top}table.words td:first-child{white-space:nowrap}
tr.total td{border-top:2px solid #8A8A8A;font-weight:600}.small{font-size:.86em}
.gain{color:#00704F}.loss{color:#B04A00}
footer{color:#666;margin:3em 0 1em;border-top:1px solid #E4E4E4;padding-top:.6em}
"""


def whole_page(title: str, parts: Iterable[str]) -> str:
    """Return the page of these parts; empty ones are left out."""
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    return "\n".join(
        ["<!doctype html>", f'<html lang="en"><head>{head}</head><body>', *filter(None, parts), "</body></html>"]
    )


def picture(name: str, png: bytes) -> str:
    """Return a picture that is part of the page; its name is what is read aloud."""
    encoded = base64.b64encode(png).decode("ascii")
    return f'<img alt="{html.escape(name)}" src="data:image/png;base64,{encoded}">'


def grid(heads: Sequence[str], body: Iterable[tuple[Sequence[str], str]], *, css: str = "") -> str:
    """Return a table; cells are markup, each row comes with its class."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    rows = "".join(
        f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>" for cells, kind in body
    )
    return f'<div class="wide"><table class="{css}"><tr>{head}</tr>{rows}</table></div>'


def pairs(values: dict[str, str], *, css: str = "") -> str:
    """Return a table of names and values; values are markup."""
    rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{value}</td></tr>" for name, value in values.items())
    return f'<table class="{css}">{rows}</table>' if rows else "<p>None.</p>"
