"""What travels between page and server: data URLs up, numbers relative to the picture down."""

from __future__ import annotations

import base64
import binascii
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from emotion.align import CROP_SIZE, Matrix, invert
from emotion.errors import ImageError
from emotion.result import DECIMALS

if TYPE_CHECKING:
    from emotion.result import FaceResult

JSON = dict[str, Any]


def read_data_url(url: object, *, limit: int, mime: str = "") -> bytes:
    """Return the bytes of a base64 data URL.

    Args:
        url: what the browser sent, of any type.
        limit: largest accepted number of decoded bytes.
        mime: if given, the only accepted media type.

    Raises:
        ImageError: if it is not such a URL or exceeds the limit.
    """
    if not isinstance(url, str) or not url.startswith(f"data:{mime}"):
        raise ImageError("A picture is expected as a data URL.")
    head, comma, body = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise ImageError("A picture is expected as a base64 data URL.")
    if len(body) > (limit + 2) // 3 * 4:
        raise ImageError(f"The picture is larger than {limit // 1024} KB; send a smaller one.")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise ImageError("The picture's base64 text is damaged; send it again.") from None


def data_url(image: npt.NDArray[np.uint8], mime: str = "image/jpeg") -> str:
    """Encode a picture (H, W) or (H, W, 3) as a data URL, so that no file is written for it."""
    return f"data:{mime};base64,{base64.b64encode(encoded(image, mime)).decode()}"


def encoded(image: npt.NDArray[np.uint8], mime: str) -> bytes:
    """Encode a picture (H, W) or (H, W, 3) as a file of this media type."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, mime.removeprefix("image/"), quality=88)
    return buffer.getvalue()


def face_geometry(result: FaceResult, width: int, height: int) -> JSON:
    """Return where a face lies, as fractions of the picture, and what was found there.

    Args:
        result: one analysed face, in pixels of the picture.
        width: width of the picture in px.
        height: its height in px.

    Returns:
        ``box`` [x0, y0, x1, y1] or None; ``place``, six numbers a..f that map a point (u, v) of the
        crop (fractions of its side) to the picture by (a u + c v + e, b u + d v + f), the order of
        a canvas transform; ``probabilities``, six numbers; ``sure``, whether the highest reaches
        the threshold and nothing speaks against it; ``reason``, null or one of
        ``emotion.doubt.REASONS``; ``calm``, a number or None; ``answer``, see
        ``FaceResult.answer``.
    """
    size = np.array([width, height, width, height], np.float64)
    said = result.to_dict()
    return {
        "box": None if result.box is None else (result.box / size).round(DECIMALS).tolist(),
        "place": _place(result.matrix, width, height),
        "probabilities": list(said["probabilities"].values()),
        **{name: said[name] for name in ("sure", "reason", "calm", "answer")},
    }


def heat_bytes(result: FaceResult, index: int) -> JSON:
    """Return one class activation map as 64 integers 0..255 and the value that 255 stands for.

    That is the maximum of all six maps of the face, so that they can be compared.

    Args:
        result: one analysed face.
        index: class of the map, 0..5.
    """
    cam, top = result.cams[index], float(result.cams.max())
    scaled = np.rint(cam * (255 / top)) if top > 1e-6 else np.zeros_like(cam)
    return {"cells": scaled.astype(int).ravel().tolist(), "max": round(top, 6)}


def heat_text(result: FaceResult) -> str:
    """Return the map of the strongest class in base64, a byte per cell as ``heat_bytes`` has it.

    Args:
        result: one analysed face.
    """
    cells = heat_bytes(result, result.index)["cells"]
    return base64.b64encode(bytes(cells)).decode("ascii")


def _place(matrix: Matrix, width: int, height: int) -> list[float]:
    back = invert(matrix)
    # A pixel's centre is an integer, so the crop reaches from -0.5 to 63.5, the picture likewise.
    linear = back[:, :2] * CROP_SIZE
    shift = back[:, 2] - 0.5 * back[:, :2].sum(axis=1) + 0.5
    columns = np.column_stack([linear, shift]) / np.array([[width], [height]])
    return [round(float(value), 6) for value in columns.T.ravel()]
