"""Drawing on pixels: heat maps, boxes and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from emotion.align import CROP_SIZE, invert
from emotion.images import to_grey
from emotion.labels import COLORS, NOT_SURE, UNSURE_COLOR
from emotion.result import FaceResult

Pixels = npt.NDArray[np.uint8]

LINES = (0.5, 0.1)
"""Where the spotlight draws its lines, as parts of the strongest evidence."""

_DIM = 0.4  # brightness of what the spotlight leaves in the dark
_CENTRED = (np.arange(CROP_SIZE) - (CROP_SIZE - 1) / 2) / CROP_SIZE


def heat(result: FaceResult, index: int) -> npt.NDArray[np.float32]:
    """Enlarge the map of one class to the crop.

    Args:
        result: a classified face.
        index: class to explain, 0..5.

    Returns:
        float32 (64, 64), 0..1 relative to the maximum of all six maps of the face, so that they
        can be compared; all zero if nothing speaks for the class.
    """
    peak = max(float(result.cams.max()), 1e-6)
    # Bilinear: a cubic would ring below zero and draw evidence where there is none.
    large = cv2.resize(
        result.cams[index] / peak, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR
    )
    return np.asarray(large, np.float32)


def heat_on_photo(image: Pixels, result: FaceResult, index: int, opacity: float = 0.6) -> Pixels:
    """Lay the map of one class over the face in the photo.

    Args:
        image: uint8 RGB (H, W, 3), the photo that was analyzed.
        result: one of its faces.
        index: class to explain, 0..5.
        opacity: of the strongest evidence, 0..1.

    Returns:
        A new uint8 RGB array of the same shape; pixels outside the crop are unchanged.
    """
    drawn = image.copy()
    if (window := _window(image, result)) is not None:
        part = drawn[window]
        part[:] = _blend(part, _onto_photo(heat(result, index), result, window), opacity)
    return drawn


def spotlight_on_photo(
    image: Pixels, result: FaceResult, index: int, opacity: float = 0.75
) -> Pixels:
    """Show the same map as a light: evidence in full colour, the rest of the face dim and grey.

    Lines run at half and at a tenth of the strongest evidence; inside the first nothing is dimmed,
    outside the second all is.

    Args:
        image: uint8 RGB (H, W, 3), the photo that was analyzed.
        result: one of its faces.
        index: class to explain, 0..5.
        opacity: of the dark, 0..1.

    Returns:
        A new uint8 RGB array of the same shape; pixels outside the crop are unchanged.
    """
    drawn = image.copy()
    if (window := _window(image, result)) is None:
        return drawn
    part = drawn[window]
    radius = np.hypot(*np.meshgrid(_CENTRED, _CENTRED))
    face = np.clip((0.5 - radius) / 0.08, 0, 1).astype(np.float32)
    weight = _onto_photo(heat(result, index), result, window)
    dark = _onto_photo(face, result, window)
    lit = np.clip((weight - LINES[1]) / (LINES[0] - LINES[1]), 0, 1)
    alpha = (dark * (1 - lit) * opacity)[:, :, None]
    dim = to_grey(part)[:, :, None].astype(np.float32) * _DIM
    part[:] = np.rint(part * (1 - alpha) + dim * alpha).astype(np.uint8)
    scale = 1 / np.sqrt(abs(np.linalg.det(result.matrix[:, :2])))
    lines = np.zeros(weight.shape, np.uint8)
    for level, width in zip(LINES, (2.0, 1.0), strict=True):
        inside = (weight >= level).astype(np.uint8)
        found, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(lines, found, -1, 255, max(1, round(width * scale / 3)))
    visible = (lines > 0) & (dark > 0.5)  # not along the border of the crop
    part[visible] = np.rint(part[visible] * (1 - opacity) + 255 * opacity).astype(np.uint8)
    return drawn


def _window(image: Pixels, result: FaceResult) -> tuple[slice, slice] | None:
    """Where the crop lies in the photo, which may have a hundred times its pixels."""
    height, width = image.shape[:2]
    back = invert(result.matrix)
    edges = np.array([[-1, -1], [CROP_SIZE, -1], [-1, CROP_SIZE], [CROP_SIZE, CROP_SIZE]])
    corners = edges @ back[:, :2].T + back[:, 2]
    x0, y0 = np.clip(np.floor(corners.min(0)).astype(int), 0, (width, height))
    x1, y1 = np.clip(np.ceil(corners.max(0)).astype(int) + 1, 0, (width, height))
    return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None


def _onto_photo(
    plane: npt.NDArray[np.float32], result: FaceResult, window: tuple[slice, slice]
) -> npt.NDArray[np.float32]:
    """Warp a plane of the crop (64, 64) to a window of the photo; 0 outside the crop."""
    rows, columns = window
    back = invert(result.matrix)
    warped = cv2.warpAffine(
        plane,
        np.column_stack([back[:, :2], back[:, 2] - (columns.start, rows.start)]),
        (int(columns.stop - columns.start), int(rows.stop - rows.start)),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return np.asarray(warped, np.float32)


def draw_faces(
    image: Pixels,
    results: list[FaceResult],
    numbers: Sequence[int] | None = None,
    answers: Sequence[str] | None = None,
) -> Pixels:
    """Draw a numbered box around every detected face.

    Args:
        image: uint8 RGB (H, W, 3).
        results: faces; those without a box are left out.
        numbers: theirs; by default from 1 in the given order.
        answers: what people are told; by default that of each face.

    Returns:
        A new uint8 RGB array of the same shape.
    """
    height, width = image.shape[:2]
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    unit = max(2, round(max(height, width) / 320))
    font = ImageFont.load_default(size=7 * unit)
    numbers = numbers or range(1, len(results) + 1)
    answers = answers or [result.answer for result in results]
    for number, result, answer in zip(numbers, results, answers, strict=True):
        if result.box is None:
            continue
        x0, y0, x1, y1 = (float(value) for value in result.box)
        x0, y0 = max(x0, 0.0), max(y0, 0.0)
        x1, y1 = max(min(x1, width - 1.0), x0), max(min(y1, height - 1.0), y0)
        color = COLORS.get(answer, UNSURE_COLOR)
        radius = min(4 * unit, (x1 - x0) / 4, (y1 - y0) / 4)
        draw.rounded_rectangle((x0, y0, x1, y1), radius, outline=color, width=unit)
        _draw_chip(draw, f"{number} {_said(result, answer)}", (x0, y0), color, font)
    return np.array(canvas, np.uint8)


def _said(result: FaceResult, answer: str) -> str:
    # Where an answer over time is not that of this frame, its numbers would contradict it.
    if answer in COLORS:
        return f"{answer} {result.confidence:.0%}" if answer == result.answer else answer
    doubt = result.reason or " or ".join(result.candidates)
    return f"{answer}: {doubt}" if answer == NOT_SURE else answer


def _draw_chip(
    draw: ImageDraw.ImageDraw,
    text: str,
    corner: tuple[float, float],
    color: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    pad = (bottom - top) * 0.35
    x = min(corner[0], draw.im.size[0] - (right - left) - 2 * pad)
    y = corner[1] - (bottom - top) - 2 * pad
    x, y = max(x, 0.0), y if y >= 0 else corner[1]
    box = (x, y, x + right - left + 2 * pad, y + bottom - top + 2 * pad)
    draw.rounded_rectangle(box, pad, fill=color)
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    dark = 0.299 * red + 0.587 * green + 0.114 * blue > 140
    draw.text((x + pad - left, y + pad - top), text, fill="black" if dark else "white", font=font)


def _blend(image: Pixels, weight: npt.NDArray[Any], opacity: float) -> Pixels:
    # Alpha follows the evidence, so that the face stays visible where there is none.
    levels = np.asarray(np.clip(weight * 255, 0, 255), np.uint8)
    colors = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    alpha = (np.clip(weight, 0, 1) * opacity)[:, :, None]
    mixed = image.astype(np.float32) * (1 - alpha) + colors.astype(np.float32) * alpha
    return np.asarray(np.rint(mixed), np.uint8)
