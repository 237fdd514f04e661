"""Drawing on pixels: heat maps, boxes and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from emotion.align import CROP_SIZE, invert
from emotion.analyzer import FaceResult
from emotion.labels import COLORS, LABELS, UNSURE_COLOR

Pixels = npt.NDArray[np.uint8]


def heat(result: FaceResult, index: int) -> npt.NDArray[np.float32]:
    """Enlarge the map of one class to the crop.

    Args:
        result: a classified face.
        index: class to explain, 0..5.

    Returns:
        float32 (64, 64), 0..1 relative to the map's own maximum; all zero if nothing speaks for
        the class.
    """
    cam = result.cams[index]
    peak = float(cam.max())
    if peak <= 1e-6:
        return np.zeros((CROP_SIZE, CROP_SIZE), np.float32)
    # Bilinear: a cubic would ring below zero and draw evidence where there is none.
    large = cv2.resize(cam / peak, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)
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
    height, width = image.shape[:2]
    back = invert(result.matrix)
    # Only where the crop lies: a photo may have a hundred times its pixels.
    edges = np.array([[-1, -1], [CROP_SIZE, -1], [-1, CROP_SIZE], [CROP_SIZE, CROP_SIZE]])
    corners = edges @ back[:, :2].T + back[:, 2]
    x0, y0 = np.clip(np.floor(corners.min(0)).astype(int), 0, (width, height))
    x1, y1 = np.clip(np.ceil(corners.max(0)).astype(int) + 1, 0, (width, height))
    drawn = image.copy()
    if x0 < x1 and y0 < y1:
        weight = cv2.warpAffine(
            heat(result, index),
            np.column_stack([back[:, :2], back[:, 2] - (x0, y0)]),
            (int(x1 - x0), int(y1 - y0)),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=0,
        )
        part = drawn[y0:y1, x0:x1]
        part[:] = _blend(part, np.asarray(weight, np.float32), opacity)
    return drawn


def draw_faces(
    image: Pixels, results: list[FaceResult], numbers: Sequence[int] | None = None
) -> Pixels:
    """Draw a numbered box around every detected face.

    Args:
        image: uint8 RGB (H, W, 3).
        results: faces; those without a box are left out.
        numbers: theirs; by default from 1 in the given order.

    Returns:
        A new uint8 RGB array of the same shape.
    """
    height, width = image.shape[:2]
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    unit = max(2, round(max(height, width) / 320))
    font = ImageFont.load_default(size=7 * unit)
    for number, result in zip(numbers or range(1, len(results) + 1), results, strict=True):
        if result.box is None:
            continue
        x0, y0, x1, y1 = (float(value) for value in result.box)
        x0, y0 = max(x0, 0.0), max(y0, 0.0)
        x1, y1 = max(min(x1, width - 1.0), x0), max(min(y1, height - 1.0), y0)
        color = COLORS[LABELS[result.index]] if result.sure else UNSURE_COLOR
        radius = min(4 * unit, (x1 - x0) / 4, (y1 - y0) / 4)
        draw.rounded_rectangle((x0, y0, x1, y1), radius, outline=color, width=unit)
        _draw_chip(draw, f"{number} {_answer(result)}", (x0, y0), color, font)
    return np.array(canvas, np.uint8)


def _answer(result: FaceResult) -> str:
    if result.sure:
        return f"{result.label} {result.confidence:.0%}"
    return f"not sure: {result.reason or ' or '.join(result.candidates)}"


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
