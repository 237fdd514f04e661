"""The Photo tab: one picture in, a card per face out; nothing is written to disk."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cv2
import gradio as gr
import numpy as np
import numpy.typing as npt

from emotion.cover import PARTS
from emotion.errors import EmotionError, ImageError
from emotion.images import MAX_PIXELS
from emotion.labels import COLORS, LABELS
from emotion.ui import markup
from emotion.ui.clients import client_of
from emotion.ui.covering import brush, mask_text, why
from emotion.ui.examples import example_buttons, examples
from emotion.ui.gate import BusyError, Gate
from emotion.ui.strings import LANGUAGES, Language, label, text
from emotion.ui.uploads import MAX_FILE
from emotion.ui.wire import JSON, data_url, face_geometry, heat_bytes, read_data_url

if TYPE_CHECKING:
    from emotion.cover import CoverTest
    from emotion.result import FaceResult
    from emotion.ui.decoder import Decoder
    from emotion.ui.serving import Serves

MAX_PHOTO_BYTES = MAX_FILE
MAX_CARDS = 20
_SHOWN_SIDE = 1280

_log = logging.getLogger(__name__)


def photo_tab(serving: Serves, gate: Gate, decoder: Decoder) -> gr.HTML:
    """Build the Photo tab's component."""
    return gr.HTML(
        value=_markup(),
        js_on_load=markup.read("photo.js"),
        server_functions=[photo_analysis(serving, gate, decoder), brush(serving, gate)],
        apply_default_css=False,
        elem_id="photo",
    )


def photo_analysis(serving: Serves, gate: Gate, decoder: Decoder) -> Callable[..., JSON]:
    """Return the server function that the browser calls once per picture.

    It takes ``{"image": data URL of at most 8 MB}`` or ``{"example": name}``, with ``"detect"``
    (false: the whole picture is one face) and ``"language"``, and answers with ``{"photo": data
    URL, "width", "height", "faces": [...], "count": faces found}`` or ``{"error": key of
    strings.json, "detail": English sentence}``. It never raises.
    """

    def analyze_photo(payload: object, sender: gr.Request | None = None) -> JSON:
        try:
            request = payload if isinstance(payload, dict) else {}
            detect = request.get("detect", True) is not False
            language = _language(request.get("language"))
            client, analyzer = client_of(sender), serving.analyzer
            image = decoder.decode(_source(request), client)
            with gate.enter(client):
                results = analyzer.analyze(image, detect=detect, max_faces=MAX_CARDS)
                tests = analyzer.explain_all(results)
            faces = [
                _face(result, test, image.shape, language)
                for result, test in zip(results, tests, strict=True)
            ]
            return {**_shown(image), "faces": faces, "count": results.found}
        except BusyError:
            return {"error": "photo_busy"}
        except EmotionError as error:
            return {"error": "photo_unreadable", "detail": str(error)}
        except Exception:
            _log.exception("a photo could not be analysed")
            return {"error": "internal"}

    return analyze_photo


def _language(value: object) -> Language:
    return next((language for language in LANGUAGES if language == value), LANGUAGES[0])


def _source(request: dict[Any, Any]) -> bytes:
    if "example" in request:
        path = examples().get(str(request["example"]))
        if path is None:
            raise ImageError("This example is not installed; choose a picture of your own.")
        return path.read_bytes()
    return read_data_url(request.get("image"), limit=MAX_PHOTO_BYTES)


def _shown(image: npt.NDArray[np.uint8]) -> JSON:
    height, width = image.shape[:2]
    scale = min(1.0, _SHOWN_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    shown = image if scale == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return {"photo": data_url(np.asarray(shown, np.uint8)), "width": size[0], "height": size[1]}


def _face(
    result: FaceResult, test: CoverTest | None, shape: tuple[int, ...], language: Language
) -> JSON:
    return {
        **face_geometry(result, shape[1], shape[0]),
        "crop": data_url(result.crop, "image/png"),
        "heats": [heat_bytes(result, index) for index in range(len(LABELS))],
        "why": why(test, None, language),
        "sentences": [why(test, index, language) for index in range(len(LABELS))],
        "parts": None if test is None else [mask_text(mask) for mask in test.masks],
    }


def _markup() -> str:
    return f"""
<section class="em-photo em-spot" data-state="idle" data-limit="{MAX_PHOTO_BYTES}"
  data-pixels="{MAX_PIXELS}">
  <div class="em-busy em-card">
    <p role="status"></p>
    <progress max="1" {label("photo_progress")}></progress>
    <button type="button" class="em-button" data-do="halt">{text("photo_cancel")}</button>
  </div>
  <div class="em-drop em-card">
    <div class="em-drop-target">
      {markup.icon("picture")}
      {text("photo_title", "h2")}
      {text("photo_sub", "p")}
      <div class="em-row">
        <button type="button" class="em-button em-primary" data-do="choose">
          {text("photo_choose")}</button>
        <button type="button" class="em-button" data-do="camera">
          {markup.icon("camera")}{text("photo_take")}</button>
        <button type="button" class="em-button em-folder" data-do="folder">
          {text("many_folder")}</button>
      </div>
      <label class="em-choice em-switch em-keep"><input type="checkbox">
        {text("photo_keep")}{markup.icon("lock")}</label>
      <input type="file" accept="image/*,.heic,.heif" multiple hidden {label("photo_choose")}>
      <input type="file" data-folder webkitdirectory hidden {label("many_folder")}>
    </div>
    <div class="em-shutter">
      <video muted playsinline {label("photo_camera_label")}></video>
      <div class="em-row">
        <button type="button" class="em-button em-primary" data-do="shoot">
          {markup.icon("camera")}{text("photo_shoot")}</button>
        <button type="button" class="em-button" data-do="cancel">{text("photo_cancel")}</button>
      </div>
    </div>
    {example_buttons()}
  </div>
  <p class="em-error" role="alert" hidden></p>
  <div class="em-result">
    <div class="em-toolbar">
      <button type="button" class="em-button" data-do="another">
        {markup.icon("back")}{text("photo_another")}</button>
      <button type="button" class="em-button" data-do="back" hidden>{text("many_back")}</button>
      <span class="em-status" role="status"></span>
      <span class="em-gap"></span>
      {markup.settings_button("photo-settings")}
      {markup.sheet("photo-settings", markup.heat_controls("explain_all"))}
      <button type="button" class="em-button em-small" data-do="save">
        {markup.icon("save")}{text("save")}</button>
    </div>
    <div class="em-found">
      <figure class="em-picture em-card">
        <div class="em-canvas"><canvas role="img" {label("photo_result_label")}></canvas>
          <div class="em-targets"></div></div>
        {markup.legend()}
      </figure>
      <div class="em-answers">{markup.group()}<div class="em-cards"></div></div>
    </div>
  </div>
  {_many()}
  <template>
    <article class="em-face em-card">
      <header><span class="em-number"></span><h2></h2><span class="em-winner"></span></header>
      <p class="em-detail"></p>
      <div class="em-evidence">
        <div class="em-crop"><canvas width="256" height="256" role="img"></canvas>
          <p class="em-faint" hidden></p>{markup.explain_select()}</div>
        {markup.bars()}
      </div>
      <p class="em-why"></p>
      {_cover_controls()}
      {text("six", "h3")}
      {markup.six_maps()}
    </article>
  </template>
</section>"""


def _many() -> str:
    names = "".join(_sortable(name, COLORS[name]) for name in LABELS)
    return f"""<div class="em-many">
    <div class="em-toolbar">
      <button type="button" class="em-button" data-do="others">
        {markup.icon("back")}{text("many_another")}</button>
      <p class="em-told" role="status"></p>
      <span class="em-gap"></span>
      <button type="button" class="em-button" data-many="stop">{text("many_stop")}</button>
      <button type="button" class="em-button" data-many="csv">
        {markup.icon("save")}{text("many_csv")}</button>
    </div>
    <progress max="1" {label("many_progress")}></progress>
    <div class="em-scroll em-card" tabindex="0" role="region" {label("many_table")}>
      <table>
        <thead><tr><td></td>{_sortable("many_name")}{_sortable("many_answer")}
          {_sortable("many_sure")}{_sortable("many_calm")}{names}</tr></thead>
        <tbody></tbody>
      </table>
    </div>
    <div class="em-failed em-card" hidden>{text("many_failed", "h2")}<ul></ul></div>
  </div>"""


def _sortable(key: str, color: str = "") -> str:
    mark = f'<i class="em-dot" style="background:{color}"></i>' if color else ""
    return (
        f'<th scope="col" data-sort="{key}"><button type="button">{mark}{text(key)}'
        '<span class="em-order" aria-hidden="true"></span></button></th>'
    )


def _cover_controls() -> str:
    parts = "".join(
        f'<button type="button" class="em-chip" data-part="{index}" aria-pressed="false">'
        f"{text(f'part_{name}')}</button>"
        for index, name in enumerate(PARTS)
    )
    return f"""<div class="em-covers" role="group" {label("cover_try")}>
        {text("cover_try", classes="em-quiet")}{parts}
        <button type="button" class="em-chip" data-do="brush" aria-pressed="false">
          {text("cover_brush")}</button>
        <button type="button" class="em-chip" data-do="uncover" hidden>{text("cover_off")}</button>
        <p class="em-quiet" role="status"></p>
      </div>"""
