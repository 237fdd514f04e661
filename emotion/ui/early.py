"""What works before Gradio does: header and Live tab stand in the page that is handed out.

Gradio fetches some sixty files and takes a second or two to draw its tabs. Until then visitors see
the same page and can start the camera; ``early.js`` lets Gradio begin once that is so, and moves
the Live tab to where Gradio wants it.
"""

from __future__ import annotations

import re
from functools import cache
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

import gradio as gr

from emotion.labels import COLORS, LABELS
from emotion.ui import api, markup
from emotion.ui.live import live_markup
from emotion.ui.strings import text

if TYPE_CHECKING:
    from emotion.analyzer import Analyzer

TABS = ("live", "photo", "video", "about")
"""Names of the tabs, in their order; ``tab_NAME`` is what the visitor reads."""

_BODY = re.compile(rb"<body[^>]*>")
_ENTRY = re.compile(rb'<script type="module" crossorigin src="([^"]+)"></script>')
_RESET = re.compile(rb'<link rel="stylesheet" crossorigin href="\./assets/([\w.-]+\.css)">')


def with_early_view(page: bytes, analyzer: Analyzer) -> bytes:
    """Put our styles, scripts and first view into Gradio's page.

    Args:
        page: HTML, without any of them.
        analyzer: the one that answers now.
    """
    body = _BODY.search(page)
    if body is None:
        return page
    head, rest = page[: body.start()], page[body.end() :]
    head = _ENTRY.sub(rb'<link rel="modulepreload" crossorigin href="\1" data-entry>', head)
    head = _RESET.sub(lambda link: _style(link[1].decode()), head)  # not to wait for it
    head = head.replace(b"</head>", markup.page_styles().encode() + b"</head>")
    return head + body[0] + _view(analyzer) + rest


@cache
def _style(name: str) -> bytes:
    """Read one of Gradio's style sheets, on which our own rest."""
    file = resources.files(gr).joinpath("templates", "frontend", "assets", name)
    return b"<style>" + file.read_bytes() + b"</style>"


def _view(analyzer: Analyzer) -> bytes:
    tabs = "".join(
        f'<button type="button" data-tab="{name}">{text(f"tab_{name}")}</button>' for name in TABS
    )
    engine = str(analyzer.description["engine"])
    run = "((element) => {" + markup.read("live.js") + "\n})"
    return f"""{markup.page_scripts()}
<div id="early" class="gradio-container gradio-container-{gr.__version__.replace(".", "-")}">
<div class="main app">{header_markup(analyzer)}<nav>{tabs}</nav>
<div id="live">{live_markup(engine)}</div></div></div>
<script>{run}(window.emotionPage.begin());</script>
""".encode()


def header_markup(analyzer: Analyzer) -> str:
    """Return the header: the name, and a notice where something about what runs is unusual."""
    facts = api.description(analyzer)
    heights = (10, 22, 15, 26, 12, 18)
    mark = "".join(
        f'<rect x="{5 * index}" y="{28 - height}" width="3.6" height="{height}" rx="1.8" '
        f'fill="{COLORS[name]}"/>'
        for index, (name, height) in enumerate(zip(LABELS, heights, strict=True))
    )
    notice = facts.get("notice")
    banner = f'<p class="em-notice" role="status">{escape(str(notice))}</p>' if notice else ""
    return f"""
<header class="em-header">
  <svg viewBox="0 0 29 28" width="36" height="35" aria-hidden="true">{mark}</svg>
  <div class="em-name">{text("name", "h1")}{text("tagline", "p")}</div>
</header>{banner}"""
