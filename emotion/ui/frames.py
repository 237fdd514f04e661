"""Camera frames in, numbers out: what the Live tab asks many times a second.

Gradio could carry this too, as it does for the other tabs. Its way costs about as much of the
processor as finding the face does, so that a frame has a route of its own before Gradio.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emotion.analyzer import FRAME_SIDE
from emotion.arrays import RGBImage
from emotion.errors import EmotionError, ImageError
from emotion.exif import jpeg_size
from emotion.images import decode_image
from emotion.labels import LABELS
from emotion.ui.clients import Client
from emotion.ui.covering import why
from emotion.ui.gate import BusyError, Gate
from emotion.ui.routes import MAX_NAME
from emotion.ui.strings import LANGUAGES, Language
from emotion.ui.visitors import Visitors
from emotion.ui.wire import JSON, face_geometry, heat_bytes

if TYPE_CHECKING:
    from emotion.analyzer import Analyzer
    from emotion.tracker import TrackedFace
    from emotion.ui.serving import Serves

MAX_FRAME_BYTES = 256 * 1024
MAX_FRAME_SIDE = 1280
MAX_FRAME_SCANS = 16
MAX_FACES = 5
PATIENCE = 0.05
"""Seconds that a frame may wait for its turn, about as long as one takes."""
FIRST_PATIENCE = 1.0
"""Seconds that a visitor's first frame may wait: their turn is not kept before one was seen."""

_log = logging.getLogger(__name__)

Answers = Callable[[bytes, Mapping[str, str], str], JSON]
"""Takes a JPEG, what is said about it, and the address that it came from."""


def frame_answers(serving: Serves, gate: Gate) -> Answers:
    """Return the function that answers each frame.

    It takes a JPEG of at most 256 KB and, as text, ``explain``, a class index, or -1 for the
    strongest; and, for tracks and smoothing, ``visitor``, any name of at most 64 characters that
    nobody else has, and ``time``, when the frame was taken, in seconds. Without these two, every
    frame stands alone. ``cover``, the id of a track, asks for the cover test of that face: its
    ``why`` is then a sentence in ``language``, or missing if there was no time.

    It answers with ``{"faces": [...], "count": faces found, "ms": time taken}``, with ``{"busy":
    true, "wait": milliseconds after which to try again}``, or with ``{"error": key of
    strings.json, "detail": English sentence}``. It never raises, and the browser asks again by
    itself.
    """
    visitors = Visitors()

    def answer(jpeg: bytes, said: Mapping[str, str], address: str) -> JSON:
        started = time.perf_counter()
        try:
            frame = _read(jpeg, said)
            client = Client(address, frame.visitor)
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

    return answer


@dataclass(frozen=True)
class _Frame:
    jpeg: bytes
    explain: int
    visitor: str
    time_s: float
    cover: int
    language: Language


def _read(jpeg: bytes, said: Mapping[str, str]) -> _Frame:
    try:
        explain, cover = int(said.get("explain", -1)), int(said.get("cover", 0))
        time_s = float(said.get("time", 0))
    except ValueError:
        raise ImageError("explain and cover are whole numbers, time is seconds.") from None
    if not -1 <= explain < len(LABELS):
        raise ImageError(f"explain is a class index 0..{len(LABELS) - 1}, or -1 for the strongest.")
    if not abs(time_s) < 1e12:
        raise ImageError("time is a number of seconds.")
    visitor = said.get("visitor", "")
    if len(visitor) > MAX_NAME:
        raise ImageError(f"visitor is a name of at most {MAX_NAME} characters.")
    language = next((one for one in LANGUAGES if one == said.get("language")), LANGUAGES[0])
    _check(jpeg)  # before it waits for a turn
    return _Frame(jpeg, explain, visitor, time_s, cover, language)


def decode_frame(jpeg: bytes) -> RGBImage:
    """Decode a camera frame in this process: it is small, and so is what it can cost.

    Args:
        jpeg: a picture.

    Raises:
        ImageError: if it is no JPEG, larger or with more pixels than a frame, or has more scans
            than any camera or browser writes; thousands of those keep a decoder busy for seconds.
    """
    _check(jpeg)
    return decode_image(jpeg, max_pixels=MAX_FRAME_SIDE**2)


def _check(jpeg: bytes) -> None:
    if len(jpeg) > MAX_FRAME_BYTES:
        limit = MAX_FRAME_BYTES // 1024
        raise ImageError(f"The frame is larger than {limit} KB; send a smaller one.")
    size = jpeg_size(jpeg)
    if size is None:
        raise ImageError("A frame is a JPEG.")
    if max(size) > MAX_FRAME_SIDE:
        raise ImageError(f"A frame has at most {MAX_FRAME_SIDE} px a side.")
    if jpeg.count(b"\xff\xda") > MAX_FRAME_SCANS:
        raise ImageError("The frame is compressed in too many scans; send a baseline JPEG.")


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
