"""The Live tab: a camera view of our own; ``frames`` answers what it asks."""

from __future__ import annotations

from html import escape

import gradio as gr

from emotion.labels import LABELS
from emotion.ui import markup
from emotion.ui.examples import CLIP
from emotion.ui.session import (
    credit_markup,
    game_markup,
    score_markup,
    session_markup,
    start_markup,
)
from emotion.ui.strings import label, text


def live_tab() -> gr.HTML:
    """Build the place of the Live tab, which runs already when Gradio comes to it: ``early``."""
    return gr.HTML(
        value="",
        js_on_load="window.emotionPage.arrive(element);",
        apply_default_css=False,
        elem_id="live",
    )


def _timeline() -> str:
    names = "".join(text(name, "li") for name in LABELS)
    return f"""<figure class="em-timeline">
      <figcaption>{text("timeline")}{text("timeline_unsure", classes="em-quiet")}</figcaption>
      <ol aria-hidden="true">{names}</ol>
      <canvas role="img" {label("timeline_empty")}></canvas>
      <p class="em-quiet">{text("timeline_start", seconds=60)}{text("timeline_now")}</p>
    </figure>"""


def _settings() -> str:
    return f"""<label class="em-choice em-switch em-mirror"><input type="checkbox" data-do="mirror">
      {text("mirror")}</label>
    {markup.heat_controls()}
    {markup.place()}
    <p class="em-pace em-quiet"></p>"""


def live_markup(engine: str) -> str:
    """Return the Live tab.

    Args:
        engine: what runs the network on the server.
    """
    return f"""
<section class="em-live em-spot" data-state="idle" data-engine="{escape(engine)}"
  data-clip="{CLIP}">
  <div class="em-stage">
    {start_markup()}
    <video muted playsinline tabindex="-1" aria-hidden="true"></video>
    <canvas role="img" {label("stage_label")}></canvas>
    <div class="em-targets"></div>
    {game_markup()}
    <p class="em-note" role="status" hidden></p>
    <button type="button" class="em-button em-reopen" data-do="reopen" hidden>
      {markup.icon("camera")}{text("camera_reopen")}</button>
    <button type="button" class="em-button em-way-out" data-do="photo" hidden>
      {markup.icon("picture")}{text("to_photo")}</button>
    <div class="em-controls" role="group" {label("controls")}>
    <button type="button" class="em-button" data-do="stop">
      {markup.icon("stop")}{text("stop")}</button>
    <button type="button" class="em-button" data-do="freeze" aria-pressed="false">
      {markup.icon("pause")}{markup.icon("play")}{text("freeze")}</button>
    <button type="button" class="em-button" data-do="save">
      {markup.icon("save")}{text("save")}</button>
    <button type="button" class="em-button" data-do="switch" hidden>
      {markup.icon("switch")}{text("switch_camera")}</button>
    <button type="button" class="em-button" data-do="game">
      {markup.icon("game")}{text("game")}</button>
    {markup.settings_button("live-settings")}
    </div>
  </div>
  {markup.sheet("live-settings", _settings())}
  {credit_markup()}
  <div class="em-panel em-card"><div class="em-sides">
    <div class="em-now">
      {markup.group()}
      <header>
        {text("panel_waiting", classes="em-face-name")}<span class="em-winner"></span>
        {text("panel_soon", "p", classes="em-detail")}</header>
      {markup.bars()}
    </div>
    <div class="em-more">
      <p class="em-why" aria-live="off"></p>
      {markup.legend()}
      {_timeline()}
      {text("panel_hint", "p", classes="em-quiet em-hint")}
    </div>
  </div></div>
  {session_markup()}
  {score_markup()}
  <p class="em-hidden" aria-live="polite" data-announce></p>
</section>"""
