"""The cover test on the page: its sentences, and a brush that covers any place by hand."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import gradio as gr
import numpy as np
import numpy.typing as npt

from emotion.align import CROP_SIZE
from emotion.cover import CoverTest
from emotion.errors import EmotionError, ImageError
from emotion.fills import smooth_fill
from emotion.images import decode_image, to_grey
from emotion.ui.clients import client_of
from emotion.ui.gate import BusyError, Gate
from emotion.ui.strings import Language, say
from emotion.ui.wire import JSON, data_url, read_data_url

if TYPE_CHECKING:
    from emotion.ui.serving import Serves

MAX_CROP_BYTES = 16 * 1024
_PNG = b"\x89PNG"
_MASK_BYTES = CROP_SIZE * CROP_SIZE // 8

_log = logging.getLogger(__name__)


def why(test: CoverTest | None, index: int | None, language: Language = "en") -> str:
    """Say what decides about one class of a face.

    Args:
        test: of ``Analyzer.explain``; None if the parts of the face are not known.
        index: of the class; None for the answer.
        language: of the sentence.
    """
    if test is None:
        return say("cover_unaligned", language)
    found = test.finding(index)
    return say(
        f"cover_{found.kind}",
        language,
        part=say(found.part, language) if found.part else "",
        label=say(found.label, language),
        other=say(found.other, language) if found.other else "",
        before=round(100 * found.before),
        after=round(100 * found.after),
    )


def mask_text(mask: npt.NDArray[np.bool_]) -> str:
    """Pack a mask (64, 64) as the page takes it: a bit per pixel in rows, base64."""
    return base64.b64encode(np.packbits(mask).tobytes()).decode()


def brush(serving: Serves, gate: Gate) -> Callable[..., JSON]:
    """Return the server function that classifies a crop with any places covered.

    It takes ``{"crop": data URL of the 64x64 PNG that the photo's answer held, "mask": see
    mask_text}`` and answers with ``{"crop": data URL, "probabilities": six numbers, "answer": see
    FaceResult}`` or ``{"error": key of strings.json}``. It never raises.
    """

    def cover_face(payload: object, sender: gr.Request | None = None) -> JSON:
        try:
            crop, mask = _read(payload)
            covered = smooth_fill(crop, mask[None])
            with gate.enter(client_of(sender)):
                (face,) = serving.analyzer.analyze_crops(covered)
        except BusyError:
            return {"error": "photo_busy"}
        except EmotionError as error:
            return {"error": "internal", "detail": str(error)}
        except Exception:
            _log.exception("a covered face could not be analysed")
            return {"error": "internal"}
        return {
            "crop": data_url(covered[0], "image/png"),
            "probabilities": list(face.to_dict()["probabilities"].values()),
            "answer": face.answer,
        }

    return cover_face


def _read(payload: object) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    if not isinstance(payload, dict):
        raise ImageError("A covered face is an object with the keys crop and mask.")
    content = read_data_url(payload.get("crop"), limit=MAX_CROP_BYTES, mime="image/png")
    if not content.startswith(_PNG):  # decoded in this process, so by one decoder
        raise ImageError("The crop of a face is a PNG.")
    crop = to_grey(decode_image(content, max_pixels=CROP_SIZE * CROP_SIZE))
    if crop.shape != (CROP_SIZE, CROP_SIZE):
        raise ImageError(f"The crop of a face has {CROP_SIZE} x {CROP_SIZE} px.")
    try:
        bits = base64.b64decode(str(payload.get("mask")), validate=True)
    except (binascii.Error, ValueError):
        bits = b""
    if len(bits) != _MASK_BYTES:
        raise ImageError(f"A mask is {_MASK_BYTES} bytes in base64, a bit per pixel.")
    mask = np.unpackbits(np.frombuffer(bits, np.uint8)).astype(np.bool_)
    return crop, mask.reshape(CROP_SIZE, CROP_SIZE)
