"""The Live tab: a camera view of our own, fed by one server function with numbers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from emotion.analyzer import FRAME_SIDE
from emotion.arrays import RGBImage
from emotion.errors import EmotionError, ImageError
from emotion.exif import jpeg_size
from emotion.images import decode_image
from emotion.labels import LABELS
from emotion.ui import markup
from emotion.ui.clients import Client, client_of
from emotion.ui.covering import why
from emotion.ui.examples import CLIP
from emotion.ui.gate import BusyError, Gate
from emotion.ui.session import (
    credit_markup,
    game_markup,
    score_markup,
    session_markup,
    start_markup,
)
from emotion.ui.strings import LANGUAGES, Language, label, text
from emotion.ui.visitors import Visitors
from emotion.ui.wire import JSON, face_geometry, heat_bytes, read_data_url

if TYPE_CHECKING:
    from emotion.analyzer import Analyzer
    from emotion.tracker import TrackedFace
    from emotion.ui.serving import Serves

MAX_FRAME_BYTES = 256 * 1024
MAX_FRAME_SIDE = 1280
MAX_FRAME_SCANS = 16
MAX_FACES = 5
MAX_NAME = 64
PATIENCE = 0.05
"""Seconds that a frame may wait for its turn, about as long as one takes."""
FIRST_PATIENCE = 1.0
"""Seconds that a visitor's first frame may wait: their turn is not kept before one was seen."""

_log = logging.getLogger(__name__)


def live_tab(serving: Serves, gate: Gate) -> gr.HTML:
    """Build the place of the Live tab, which runs already when Gradio comes to it: ``early``."""
    return gr.HTML(
        value="",
        js_on_load="window.emotionPage.arrive(element, server);",
        server_functions=[frame_analysis(serving, gate)],
        apply_default_css=False,
        elem_id="live",
    )


def frame_analysis(serving: Serves, gate: Gate) -> Callable[..., JSON]:
    """Return the server function that the browser calls once per frame.

    It takes an object with ``jpeg``, a data URL of at most 256 KB; ``explain``, a class index, or
    -1 for the strongest; and, for tracks and smoothing, ``visitor``, any name of at most 64
    characters that nobody else has, and ``time``, when the frame was taken, in seconds. Without
    these two, every frame stands alone. ``cover``, the id of a track, asks for the cover test of
    that face: its ``why`` is then a sentence in ``language``, or missing if there was no time.

    It answers with ``{"faces": [...], "count": faces found, "ms": time taken}``, with ``{"busy":
    true, "wait": milliseconds after which to try again}``, or with ``{"error": key of
    strings.json, "detail": English sentence}``. It never raises, and the browser asks again by
    itself.
    """
    visitors = Visitors()

    def analyze_frame(payload: object, sender: gr.Request | None = None) -> JSON:
        started = time.perf_counter()
        try:
            frame = _read(payload)
            client = client_of(sender, frame.visitor)
            analyzer = serving.analyzer
            with gate.enter_at_once(client, PATIENCE, FIRST_PATIENCE) as turn:
                image = decode_frame(frame.jpeg)
                height, width = image.shape[:2]
                turn.decoded = True
                # A cover test is worth the whole search: its sentence hangs on tenths of a pixel.
                known = None if frame.cover else visitors.known(frame.visitor, frame.time_s)
                results = analyzer.analyze(
                    image, max_faces=MAX_FACES, max_side=FRAME_SIDE, exact=False, known=known
                )
            bound = analyzer.network.config.abstain_below
            tracked = visitors.follow(frame.visitor, results, frame.time_s, bound)
            count = results.found - len(results) + len(tracked)  # what showed for a moment only
            faces = [_face(face, width, height, frame.explain) for face in tracked]
            chosen = [index for index, face in enumerate(tracked) if face.id == frame.cover]
            for index in chosen:
                faces[index].update(_explained(analyzer, tracked[index], frame, client))
        except BusyError as error:
            return {"busy": True, "wait": round(error.wait * 1000)}
        except EmotionError as error:
            return {"error": "bad_frame", "detail": str(error)}
        except Exception:
            _log.exception("a frame could not be analysed")
            return {"error": "internal"}
        return {
            "faces": faces,
            "count": count,
            "ms": round((time.perf_counter() - started) * 1000, 1),
        }

    def _explained(analyzer: Analyzer, tracked: TrackedFace, frame: _Frame, client: Client) -> JSON:
        # Others' frames come first: this takes a turn of its own, or is left out.
        try:
            with gate.enter_at_once(client) as turn:
                turn.decoded = True
                test = analyzer.explain(tracked.face)
        except BusyError:
            return {}
        return {"why": why(test, frame.explain if frame.explain >= 0 else None, frame.language)}

    return analyze_frame


@dataclass(frozen=True)
class _Frame:
    jpeg: bytes
    explain: int
    visitor: str
    time_s: float
    cover: int
    language: Language


def _read(payload: object) -> _Frame:
    if not isinstance(payload, dict):
        raise ImageError("A frame is an object with the keys jpeg, explain, visitor and time.")
    explain = payload.get("explain", -1)
    if not _is_number(explain, int) or not -1 <= explain < len(LABELS):
        raise ImageError(f"explain is a class index 0..{len(LABELS) - 1}, or -1 for the strongest.")
    visitor = payload.get("visitor", "")
    if not isinstance(visitor, str) or len(visitor) > MAX_NAME:
        raise ImageError(f"visitor is a name of at most {MAX_NAME} characters.")
    time_s = payload.get("time", 0.0)
    if not _is_number(time_s, (int, float)) or not abs(time_s) < 1e12:
        raise ImageError("time is a number of seconds.")
    cover = payload.get("cover", 0)
    if not _is_number(cover, int):
        raise ImageError("cover is the id of a track, or 0 for none.")
    language = next((one for one in LANGUAGES if one == payload.get("language")), LANGUAGES[0])
    jpeg = read_data_url(payload.get("jpeg"), limit=MAX_FRAME_BYTES, mime="image/jpeg")
    _check(jpeg)  # before it waits for a turn
    return _Frame(jpeg, explain, visitor, float(time_s), cover, language)


def decode_frame(jpeg: bytes) -> RGBImage:
    """Decode a camera frame in this process: it is small, and so is what it can cost.

    Args:
        jpeg: at most ``MAX_FRAME_BYTES``.

    Raises:
        ImageError: if it is no JPEG, has more pixels than a frame, or more scans than any camera
            or browser writes; thousands of those keep a decoder busy for seconds.
    """
    _check(jpeg)
    return decode_image(jpeg, max_pixels=MAX_FRAME_SIDE**2)


def _check(jpeg: bytes) -> None:
    size = jpeg_size(jpeg)
    if size is None:
        raise ImageError("A frame is a JPEG.")
    if max(size) > MAX_FRAME_SIDE:
        raise ImageError(f"A frame has at most {MAX_FRAME_SIDE} px a side.")
    if jpeg.count(b"\xff\xda") > MAX_FRAME_SCANS:
        raise ImageError("The frame is compressed in too many scans; send a baseline JPEG.")


def _is_number(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _face(tracked: TrackedFace, width: int, height: int, explain: int) -> JSON:
    result = tracked.face
    index = explain if explain >= 0 else result.index
    return {
        "id": tracked.id,
        **face_geometry(result, width, height),
        "answer": tracked.answer,
        "settled": tracked.settled,
        "explained": index,
        "heat": heat_bytes(result, index),
    }


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
