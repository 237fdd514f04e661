"""The Live tab: a camera view of our own, fed by one server function with numbers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import gradio as gr

from emotion.errors import EmotionError, ImageError
from emotion.images import decode_image
from emotion.labels import LABELS
from emotion.ui import markup
from emotion.ui.gate import BusyError, Gate
from emotion.ui.strings import label, text
from emotion.ui.wire import JSON, face_geometry, heat_bytes, read_data_url

if TYPE_CHECKING:
    from emotion.analyzer import Analyzer, FaceResult

MAX_FRAME_BYTES = 256 * 1024
MAX_FRAME_SIDE = 1280
MAX_FACES = 5

_log = logging.getLogger(__name__)


def live_tab(analyzer: Analyzer, gate: Gate) -> gr.HTML:
    """Build the Live tab's component."""
    return gr.HTML(
        value=_markup(),
        js_on_load=markup.read("live.js"),
        server_functions=[frame_analysis(analyzer, gate)],
        apply_default_css=False,
        elem_id="live",
    )


def frame_analysis(analyzer: Analyzer, gate: Gate) -> Callable[[object], JSON]:
    """Return the server function that the browser calls once per frame.

    It takes ``{"jpeg": data URL of at most 256 KB, "explain": class index, or -1 for the
    strongest}`` and answers with ``{"faces": [...], "count": faces found, "ms": time taken}``,
    ``{"busy": true}`` or ``{"error": key of strings.json}``. It never raises, and the browser asks
    again by itself.
    """

    def analyze_frame(payload: object) -> JSON:
        started = time.perf_counter()
        try:
            jpeg, explain = _read_payload(payload)
            with gate.enter_at_once():
                image = decode_image(jpeg)
                height, width = image.shape[:2]
                if max(height, width) > MAX_FRAME_SIDE:
                    raise ImageError(f"A frame has at most {MAX_FRAME_SIDE} px a side.")
                results = analyzer.analyze(image, max_faces=MAX_FACES)
                full = len(results) == MAX_FACES
                count = len(analyzer.detector.detect(image)) if full else len(results)
        except BusyError:
            return {"busy": True}
        except EmotionError as error:
            return {"error": "bad_frame", "detail": str(error)}
        except Exception:
            _log.exception("a frame could not be analysed")
            return {"error": "internal"}
        return {
            "faces": [_face(result, width, height, explain) for result in results],
            "count": count,
            "ms": round((time.perf_counter() - started) * 1000, 1),
        }

    return analyze_frame


def _read_payload(payload: object) -> tuple[bytes, int]:
    if not isinstance(payload, dict):
        raise ImageError("A frame is an object with the keys jpeg and explain.")
    explain = payload.get("explain", -1)
    if isinstance(explain, bool) or not isinstance(explain, int) or not -1 <= explain < len(LABELS):
        raise ImageError(f"explain is a class index 0..{len(LABELS) - 1}, or -1 for the strongest.")
    return read_data_url(payload.get("jpeg"), limit=MAX_FRAME_BYTES, mime="image/jpeg"), explain


def _face(result: FaceResult, width: int, height: int, explain: int) -> JSON:
    index = explain if explain >= 0 else int(result.probabilities.argmax())
    return {
        **face_geometry(result, width, height),
        "explained": index,
        "heat": heat_bytes(result.cams[index]),
    }


def _markup() -> str:
    return f"""
<section class="em-live" data-state="idle">
  <div class="em-stage">
    <div class="em-start">
      {text("live_title", "h2")}
      {text("live_what", "p")}
      {text("live_privacy", "p")}
      {text("live_limits", "p", classes="em-quiet")}
      <button type="button" class="em-button em-primary" data-do="start">
        {markup.icon("camera")}{text("start")}</button>
    </div>
    <video muted playsinline tabindex="-1" aria-hidden="true"></video>
    <canvas role="img" {label("stage_label")}></canvas>
    <div class="em-targets"></div>
    <p class="em-note" role="status" hidden></p>
  </div>
  <div class="em-controls" role="group">
    <button type="button" class="em-button" data-do="stop">
      {markup.icon("stop")}{text("stop")}</button>
    <button type="button" class="em-button" data-do="freeze" aria-pressed="false">
      {markup.icon("pause")}{text("freeze")}</button>
    <button type="button" class="em-button" data-do="save">
      {markup.icon("save")}{text("save")}</button>
    <button type="button" class="em-button" data-do="switch" hidden>
      {markup.icon("switch")}{text("switch_camera")}</button>
    <span class="em-gap"></span>
    {markup.heat_controls()}
  </div>
  <div class="em-panel em-card">
    <header>
      {text("panel_waiting", classes="em-face-name")}<output class="em-winner"></output></header>
    {markup.bars()}
    {markup.legend()}
    {text("panel_hint", "p", classes="em-quiet em-hint")}
  </div>
  <p class="em-hidden" aria-live="polite" data-announce></p>
</section>"""
