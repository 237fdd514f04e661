"""The page: a header and three tabs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import gradio as gr
import torch

import emotion
from emotion.labels import COLORS, LABELS
from emotion.ui import api
from emotion.ui.about import about_markup
from emotion.ui.decoder import Decoder
from emotion.ui.gate import Gate
from emotion.ui.live import live_tab
from emotion.ui.photo import photo_tab
from emotion.ui.serving import Serving, weights_card, weights_markup, weights_name
from emotion.ui.strings import say, text
from emotion.ui.uploads import Uploads

if TYPE_CHECKING:
    from pathlib import Path

    from emotion.analyzer import Analyzer

_TRANSLATE = """
window.emotionPage.translate(element);
watch("value", () => window.emotionPage.translate(element));"""


@dataclass(frozen=True)
class Services:
    """What a page shares between its parts, and closes in the end."""

    serving: Serving
    gate: Gate
    decoder: Decoder
    uploads: Uploads


class Page(gr.Blocks):
    """The page, with what is behind it."""

    services: Services


def build(
    analyzer: Analyzer,
    asked: str | None = None,
    deployment: Path | None = None,
    uploads: Uploads | None = None,
) -> Page:
    """Build the page around an analyzer; ``launch.start`` serves it.

    Args:
        analyzer: what answers at first.
        asked: SPEC of the weights that were asked for, which the About tab can load again; None for
            the default.
        deployment: ``space.yaml``, which may name that default.
        uploads: where files go; if Gradio was imported before, it makes a folder of its own too.
    """
    serving = Serving(analyzer, asked, deployment)
    # One analysis uses all of torch's threads; more at a time only get in each other's way.
    gate = Gate(max(1, (os.cpu_count() or 1) // torch.get_num_threads()))
    uploads, decoder = uploads or Uploads(), Decoder()
    demo = Page(title=say("name"), analytics_enabled=False, fill_width=True)
    demo.services = Services(serving, gate, decoder, uploads)
    with demo:
        header = _static(header_markup(analyzer), "header")
        with gr.Tabs():
            with gr.Tab(gr.I18n()("tab_live"), id="live"):
                live_tab(serving, gate)
            with gr.Tab(gr.I18n()("tab_photo"), id="photo", elem_id="photo-tab"):
                photo_tab(serving, gate, decoder)
            with gr.Tab(gr.I18n()("tab_about"), id="about"):
                about = _static(about_markup(analyzer), "about")
                weights = weights_card(serving, gate)
        # The weights may be renewed while the server runs, so each visit gets what is true by then.
        demo.load(
            lambda: _cards(serving),
            outputs=[header, about, weights],
            api_visibility="private",
            show_progress="hidden",
            concurrency_limit=None,
        )
        api.endpoints(serving, gate, decoder, uploads)
    demo.queue(default_concurrency_limit=None)
    return demo


def _cards(serving: Serving) -> tuple[str, str, str]:
    analyzer = serving.analyzer
    return header_markup(analyzer), about_markup(analyzer), weights_markup(analyzer)


def _static(markup: str, name: str) -> gr.HTML:
    return gr.HTML(value=markup, js_on_load=_TRANSLATE, apply_default_css=False, elem_id=name)


def header_markup(analyzer: Analyzer) -> str:
    """Return the header: name, what runs, and a notice where something about that is unusual."""
    facts = api.description(analyzer)
    heights = (10, 22, 15, 26, 12, 18)
    mark = "".join(
        f'<rect x="{5 * index}" y="{28 - height}" width="3.6" height="{height}" rx="1.8" '
        f'fill="{COLORS[name]}"/>'
        for index, (name, height) in enumerate(zip(LABELS, heights, strict=True))
    )
    status = [
        ("status_weights", weights_name(facts)),
        ("status_engine", facts["engine"]),
        ("status_version", emotion.__version__),
    ]
    items = "".join(
        f"<div><dt>{text(key)}</dt><dd>{escape(value)}</dd></div>" for key, value in status
    )
    notice = facts.get("notice")
    banner = f'<p class="em-notice" role="status">{escape(str(notice))}</p>' if notice else ""
    return f"""
<header class="em-header">
  <svg viewBox="0 0 29 28" width="36" height="35" aria-hidden="true">{mark}</svg>
  <div class="em-name">{text("name", "h1")}{text("tagline", "p")}</div>
  <dl class="em-facts">{items}</dl>
</header>{banner}"""
