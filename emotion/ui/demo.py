"""The page: a header, four tabs and a footer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr

from emotion.ui import api
from emotion.ui.about import about_markup
from emotion.ui.clips import Clips
from emotion.ui.decoder import Decoder
from emotion.ui.early import header_markup
from emotion.ui.gate import Gate
from emotion.ui.live import live_tab
from emotion.ui.markup import read
from emotion.ui.photo import photo_tab
from emotion.ui.serving import Serving, weights_card, weights_markup
from emotion.ui.strings import LANGUAGES, say, text
from emotion.ui.uploads import Uploads
from emotion.ui.video import video_tab

if TYPE_CHECKING:
    from pathlib import Path

    from emotion.analyzer import Analyzer

_LOOKS_EVERY = 0.02
"""Seconds between Gradio's looks for a new call; its own millisecond takes 3 % of a core."""

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
    clips: Clips


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
    gate = Gate(analyzer.classifier.lanes)
    uploads, decoder = uploads or Uploads(), Decoder()
    demo = Page(title=say("name"), analytics_enabled=False, fill_width=True)
    clips = Clips(serving, gate, uploads.folder)
    demo.services = Services(serving, gate, decoder, uploads, clips)
    with demo:
        header = _static(header_markup(analyzer), "header")
        with gr.Tabs():
            with gr.Tab(gr.I18n()("tab_live"), id="live", elem_id="live-tab"):
                live_tab()
            with gr.Tab(gr.I18n()("tab_photo"), id="photo", elem_id="photo-tab"):
                photo_tab(serving, gate, decoder)
            with gr.Tab(gr.I18n()("tab_video"), id="video", elem_id="video-tab"):
                video_tab()
            with gr.Tab(gr.I18n()("tab_about"), id="about", elem_id="about-tab"):
                about = _static(about_markup(analyzer), "about")
                weights = weights_card(serving, gate)
        gr.HTML(
            value=footer_markup(),
            js_on_load=read("footer.js"),
            apply_default_css=False,
            elem_id="footer",
        )
        # The weights may be renewed while the server runs, so each visit gets what is true by then.
        demo.load(
            lambda: _cards(serving),
            outputs=[header, about, weights],
            api_visibility="private",
            show_progress="hidden",
            concurrency_limit=None,
        )
        api.endpoints(demo.services)
    demo.queue(default_concurrency_limit=None)
    demo._queue.sleep_when_free = _LOOKS_EVERY
    return demo


def _cards(serving: Serving) -> tuple[str, str, str]:
    analyzer = serving.analyzer
    return header_markup(analyzer), about_markup(analyzer), weights_markup(analyzer)


def _static(markup: str, name: str) -> gr.HTML:
    return gr.HTML(value=markup, js_on_load=_TRANSLATE, apply_default_css=False, elem_id=name)


_NAMES = {"en": "English", "de": "Deutsch"}
_THEMES = ("auto", "light", "dark")


def footer_markup() -> str:
    """Return the footer: the language of the page, and its colours."""
    languages = "".join(
        f'<option value="{one}" lang="{one}">{_NAMES[one]}</option>' for one in LANGUAGES
    )
    themes = "".join(
        f'<option value="{one}" data-text="theme_{one}">{say(f"theme_{one}")}</option>'
        for one in _THEMES
    )
    return f"""
<div class="em-footer">
  <label class="em-choice">{text("footer_language")}
    <select class="em-select" data-do="language">{languages}</select></label>
  <label class="em-choice">{text("footer_theme")}
    <select class="em-select" data-do="theme">{themes}</select></label>
</div>"""
