"""What the Live tab has besides the view itself: the recording, the mirror game, the first look."""

from __future__ import annotations

from emotion.labels import COLORS, LABELS
from emotion.ui import markup
from emotion.ui.examples import CREDIT_LINKS, drawn
from emotion.ui.strings import label, text


def start_markup() -> str:
    """Return what stands there before a camera runs: a promise, one button, and other ways in."""
    faces = "".join(
        f'<li style="--accent:{COLORS[name]}"><img src="{drawn(name)}" alt="" width="180" '
        f'height="180">{text(name)}</li>'
        for name in LABELS
    )
    return f"""<div class="em-start">
      <ul class="em-six-drawn">{faces}</ul>
      <div class="em-promise">
        {text("live_title", "h2")}
        <div class="em-row">
          <button type="button" class="em-button em-primary" data-do="start">
            {markup.icon("camera")}{text("start")}</button>
          <button type="button" class="em-button" data-do="clip">
            {markup.icon("play")}{text("try_clip")}</button>
          <button type="button" class="em-button" data-do="play">
            {markup.icon("game")}{text("game")}</button>
        </div>
        {text("live_privacy", "p", classes="em-quiet")}
        {markup.where()}
        <details>
          {text("live_more", "summary")}
          {text("live_what", "p")}{text("live_limits", "p")}
        </details>
      </div>
    </div>"""


def credit_markup() -> str:
    """Return whose the example clip is."""
    return f'<p class="em-credit">{text("clip_credit")} {CREDIT_LINKS}</p>'


def game_markup() -> str:
    """Return the mirror game's prompt over the picture."""
    return f"""<div class="em-game" hidden>
      <p class="em-prompt" role="status"></p>
      <output class="em-count" aria-hidden="true"></output>
      <button type="button" class="em-button" data-do="game-end" {label("game_end")}>
        {markup.icon("close")}</button>
      <progress max="1" value="0" {label("game_time")}></progress>
    </div>"""


def score_markup() -> str:
    """Return the mirror game's card of six faces."""
    return f"""<dialog class="em-score em-card" {label("game_title")}>
    <canvas role="img"></canvas>
    {text("game_private", "p", classes="em-quiet")}
    <div class="em-row">
      <button type="button" class="em-button em-primary" data-do="game-save">
        {markup.icon("save")}{text("game_save")}</button>
      <button type="button" class="em-button" data-do="game-again">{text("game_again")}</button>
      <button type="button" class="em-button" data-do="game-close">{text("game_close")}</button>
    </div>
  </dialog>"""


def session_markup() -> str:
    """Return the recording: one button at first, then its timeline, notes and files."""
    names = "".join(text(name, "li") for name in LABELS)
    return f"""<section class="em-session" data-recording="none" {label("session_title")}>
    <div class="em-row">
      <button type="button" class="em-button" data-do="record">
        <i class="em-dot-red" aria-hidden="true"></i>{text("record")}</button>
      <p><time></time> <span data-said role="status"></span></p>
      <span class="em-gap"></span>
      <div class="em-faces em-row" role="group" {label("session_face")}></div>
    </div>
    <div class="em-kept">
      <div class="em-rows"><ol aria-hidden="true">{names}</ol>
        <canvas role="img" {label("session_title")}></canvas></div>
      <ol class="em-marks" {label("session_marks")}></ol>
      <form class="em-row">
        <label class="em-choice">{text("session_note")}
          <input type="text" maxlength="120" autocomplete="off"></label>
        <button type="submit" class="em-button">{markup.icon("mark")}{text("session_mark")}</button>
      </form>
      <div class="em-row">
        <button type="button" class="em-button" data-do="csv">
          {markup.icon("save")}{text("session_csv")}</button>
        <button type="button" class="em-button" data-do="png">
          {markup.icon("save")}{text("session_png")}</button>
        <button type="button" class="em-button" data-do="discard">
          {text("session_discard")}</button>
      </div>
      {text("session_private", "p", classes="em-quiet")}
    </div>
  </section>"""
