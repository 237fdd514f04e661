"""The HTTP interface: four named endpoints, usable from ``gradio_client`` and with curl."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
import numpy.typing as npt
from gradio.events import api as endpoint

import emotion
from emotion.cover import PARTS, CoverTest
from emotion.errors import EmotionError, ImageError
from emotion.labels import COLORS, LABELS
from emotion.overlay import draw_faces, heat_on_photo, spotlight_on_photo
from emotion.result import DECIMALS, named
from emotion.ui.analyses import Analysis, analyse
from emotion.ui.calls import STRONGEST, STYLE, STYLES
from emotion.ui.clients import client_of
from emotion.ui.covering import why
from emotion.ui.uploads import Uploads
from emotion.ui.wire import JSON, encoded

if TYPE_CHECKING:
    from emotion.analyzer import Analyzer
    from emotion.ui.demo import Services

Pixels = npt.NDArray[np.uint8]

_DRAWN = dict(zip(STYLES, (spotlight_on_photo, heat_on_photo), strict=True))
_FULL = "Too many of your pictures wait here to be fetched; fetch them, or wait two minutes."
_FAILED = "Something went wrong on the server; its log says what."

_log = logging.getLogger(__name__)


async def _in_place(_self: gr.components.Component, url_or_file_path: Any) -> str | None:
    """Leave a file where it is; Gradio's copies would stay, and two visitors share one."""
    return None if url_or_file_path is None else str(url_or_file_path)


# Gradio's page draws a component by the name of its first base class.
class DrawnPicture(gr.Image):
    """A picture that a handler put into ``Uploads``, from where it is fetched once."""

    is_template = True
    async_move_resource_to_block_cache = _in_place


class PictureFile(gr.File):
    """A file of ``Uploads``, read once; the server's front has made sure that it is one."""

    is_template = True
    uploads: Uploads
    async_move_resource_to_block_cache = _in_place

    def preprocess(self, payload: Any) -> bytes | None:
        """Return the content of the file, which is deleted."""
        if payload is None:
            return None
        try:
            return self.uploads.take(payload.path)
        except ImageError as error:
            raise gr.Error(str(error), print_exception=False) from None


def endpoints(services: Services) -> None:
    """Add the endpoints to the page under construction; nothing of them is visible there.

    Their arguments are described in ``calls.ENDPOINTS`` too, which checks them.
    """
    serving, uploads = services.serving, services.uploads

    def analyze(
        content: bytes | None, detect: bool, sender: gr.Request, *, explain: bool = False
    ) -> Analysis:
        if content is None:
            raise gr.Error("Send a picture as the first argument.", print_exception=False)
        try:
            return analyse(services, content, client_of(sender), detect=detect, explain=explain)
        except EmotionError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception:
            _log.exception("a picture could not be analysed")
            raise gr.Error(_FAILED, print_exception=False) from None

    def keep(drawn: Pixels, sender: gr.Request) -> str:
        content = encoded(drawn, "image/jpeg")
        try:
            return str(uploads.keep(content, client_of(sender).address, "answer.jpeg"))
        except (BlockingIOError, ImageError):
            raise gr.Error(_FULL, print_exception=False) from None

    def classify(_sender: gr.Request, image: bytes | None, detect: bool = True) -> list[JSON]:
        """Give six probabilities to every face of a picture, at most 20.

        Each face has: answer, the most probable class, or "not sure" where its probability is below
        abstain_below of /model_info or there is a reason, or "no clear expression" where calm is at
        least 0.5; label, the most probable class in any case; sure; reason, null or "perhaps no
        face", "covered", "cut off" or "turned"; calm, 0 to 1, null where the weights do not tell;
        candidates, the two most probable classes; probabilities of all six; box, landmarks and
        score of the detector, null if the whole picture was taken; picture, the size in whose
        pixels they are.

        Args:
            image: a picture file: JPEG, PNG, WebP, HEIC, AVIF, BMP, GIF or TIFF.
            detect: false takes the whole picture as one face.
        """
        return analyze(image, detect, _sender).to_json()

    def explain(
        _sender: gr.Request,
        image: bytes | None,
        label: str = STRONGEST,
        detect: bool = True,
        style: str = STYLE,
    ) -> tuple[str, list[JSON]]:
        """Show why: the picture with evidence, and what becomes of the answer without each part.

        Each face has what /classify gives it, and: explained, the class; cam, its map as 8 rows of
        8 numbers; covered, for each part of the face the six probabilities when it is covered;
        decisive, the part that decides, or null; sentence, the same in words. Where the face was
        not aligned, covered and decisive are null.

        Args:
            image: a picture file: JPEG, PNG, WebP, HEIC, AVIF, BMP, GIF or TIFF.
            label: happiness, surprise, sadness, anger, disgust or fear; or "strongest" for every
                face's most probable one.
            detect: false takes the whole picture as one face.
            style: of the picture, "spotlight" or "heat".
        """
        analysis = analyze(image, detect, _sender, explain=True)
        photo, results, tests = analysis
        chosen = None if label == STRONGEST else LABELS.index(label)
        drawn, faces = photo, []
        for result, test, said in zip(results, tests, analysis.to_json(), strict=True):
            index = result.index if chosen is None else chosen
            drawn = _DRAWN[style](drawn, result, index)
            faces.append(
                {
                    **said,
                    "explained": LABELS[index],
                    "cam": result.cams[index].astype(float).round(DECIMALS).tolist(),
                    "covered": None if test is None else _covered(test),
                    "decisive": None if test is None else test.finding(chosen).part,
                    "sentence": why(test, chosen),
                }
            )
        return keep(draw_faces(drawn, results), _sender), faces

    def model_info() -> dict[str, Any]:
        """Say which weights run, their labels in order, colours, threshold and preprocessing."""
        return {**description(serving.analyzer), "colors": COLORS, "version": emotion.__version__}

    def health() -> dict[str, Any]:
        """Say that the server is up and its network answers."""
        return {
            "status": "ok" if answers(serving.analyzer) else "broken",
            "version": emotion.__version__,
        }

    with gr.Column(visible=False):
        # Bytes, not gr.Image: that one decodes by itself, and logs a traceback for a broken file.
        image = PictureFile(label="Image", type="binary")
        image.uploads = uploads
        detect = gr.Checkbox(value=True, label="Detect faces")
        label = gr.Textbox(value=STRONGEST, label="Class to explain")
        faces = gr.JSON(label="Faces")
        drawn = DrawnPicture(label="Picture with heat maps")
        style = gr.Textbox(value=STYLE, label="Style")
        button = gr.Button()
    # The gate decides who is next; a limit of Gradio's would let them stand in line before it.
    shared: dict[str, Any] = {"concurrency_limit": None}
    button.click(classify, [image, detect], faces, api_name="classify", **shared)
    button.click(
        explain, [image, label, detect, style], [drawn, faces], api_name="explain", **shared
    )
    endpoint(model_info, api_name="model_info", **shared)
    endpoint(health, api_name="health", **shared)


def answers(analyzer: Analyzer) -> bool:
    """Tell whether the network gives probabilities for a grey crop."""
    probabilities, *_ = analyzer.classify(np.full((1, 64, 64), 128, np.uint8))
    return bool(np.isfinite(probabilities).all()) and abs(float(probabilities.sum()) - 1) < 1e-3


def description(analyzer: Analyzer) -> dict[str, Any]:
    """Return what runs, without the server's folders."""
    facts = analyzer.description
    name = str(facts["weights"])
    return {**facts, "weights": name if name.startswith("hf://") else Path(name).name}


def _covered(test: CoverTest) -> JSON:
    return {part: named(row) for part, row in zip(PARTS, test.covered, strict=True)}
