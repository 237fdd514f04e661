"""The Video tab: a clip in, its faces over time out."""

from __future__ import annotations

import gradio as gr

from emotion.ui import markup
from emotion.ui.clips import MAX_CLIP
from emotion.ui.strings import label, text
from emotion.video.worker import MOST_SECONDS


def video_tab() -> gr.HTML:
    """Build the Video tab's component; it speaks with ``clip_routes``."""
    return gr.HTML(
        value=_markup(),
        js_on_load=markup.read("video.js"),
        apply_default_css=False,
        elem_id="video",
    )


def _markup() -> str:
    return f"""
<section class="em-video em-spot" data-state="idle" data-limit="{MAX_CLIP}"
  data-seconds="{MOST_SECONDS}">
  <div class="em-drop em-card">
    <div class="em-drop-target">
      {markup.icon("film")}
      {text("video_title", "h2")}
      {text("video_sub", "p")}
      <div class="em-row">
        <button type="button" class="em-button em-primary" data-do="choose">
          {text("video_choose")}</button>
      </div>
      <input type="file" accept="video/*,image/gif,.mov" hidden {label("video_choose")}>
    </div>
  </div>
  <p class="em-error" role="alert" hidden></p>
  <div class="em-busy em-card">
    <p role="status"></p>
    <progress max="1" {label("photo_progress")}></progress>
    <p class="em-quiet"></p>
    <button type="button" class="em-button" data-do="halt">{text("photo_cancel")}</button>
  </div>
  <div class="em-clip">
    <div class="em-toolbar">
      <button type="button" class="em-button" data-do="another">
        {markup.icon("back")}{text("video_another")}</button>
      <span class="em-status" role="status"></span>
      <span class="em-gap"></span>
      <button type="button" class="em-button" data-do="csv">
        {markup.icon("save")}{text("many_csv")}</button>
      <button type="button" class="em-button" data-do="copy">
        {markup.icon("save")}{text("video_copy")}</button>
    </div>
    <div class="em-found">
      <figure class="em-picture em-card">
        <div class="em-frame">
          <video controls playsinline muted {label("video_player")}></video>
          <canvas role="img" {label("video_boxes")}></canvas>
        </div>
        <div class="em-row em-under">
          <label class="em-choice em-switch"><input type="checkbox" data-do="heat" checked>
            {text("heat")}</label>{markup.legend()}</div>
        {text("video_unplayed", "p", classes="em-quiet em-instead")}
      </figure>
      <article class="em-face em-card">
        <header><h2></h2><output class="em-winner" aria-live="off"></output></header>
        <p class="em-detail"></p>
        {markup.bars()}
        <div class="em-people" role="group" {label("video_people")}></div>
      </article>
    </div>
    <figure class="em-plot em-card">
      <figcaption>{text("video_plot", "b")}
        {text("video_plot_seek", classes="em-quiet")}</figcaption>
      <canvas role="img" {label("video_plot_empty")}></canvas>
      <input type="range" min="0" max="1" step="0.04" value="0" {label("video_time")}>
    </figure>
  </div>
</section>"""
