"""Pictures that callers hand over as arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from emotion.errors import ImageError

RGBImage = npt.NDArray[np.uint8]


def rgb_of(
    array: npt.NDArray[Any], check: Callable[[str, int, int], None] | None = None
) -> RGBImage:
    """Turn an array into RGB.

    Args:
        array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), see ``emotion.images.decode_image``.
        check: raises if a picture of this name, width and height is too large.

    Returns:
        Contiguous uint8 array (H, W, 3); transparency is laid over white.

    Raises:
        ImageError: if it is not a picture.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(_no_picture(array.shape))
    if check is not None:
        check("The array", array.shape[1], array.shape[0])
    values = _to_uint8(array)
    if values.ndim == 2:
        return np.repeat(values[:, :, None], 3, axis=2)
    if values.shape[2] == 4:
        alpha = values[:, :, 3:].astype(np.float32) / 255
        over = values[:, :, :3].astype(np.float32) * alpha + 255 * (1 - alpha)
        return np.asarray(np.rint(over), np.uint8)
    return np.ascontiguousarray(values)


def _no_picture(shape: tuple[int, ...]) -> str:
    sizes = "x".join(map(str, shape)) or "scalar"
    if len(shape) == 4:
        return (
            f"An array of shape {sizes} is a batch; give a list of pictures, for example "
            "analyzer.analyze(list(array))."
        )
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return (
            f"An array of shape {sizes} has its channels first; give height x width x channels, "
            "for example array.transpose(1, 2, 0)."
        )
    return (
        f"An array of shape {sizes} is not a picture; give height x width, or height x width x 3 "
        "(RGB) or x 4 (RGBA)."
    )


def _to_uint8(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return (array >> 8).astype(np.uint8)
    if np.issubdtype(array.dtype, np.integer):
        if array.min() < 0 or array.max() > 65535:
            raise ImageError(
                "Integer pictures must hold values from 0 to 255, or to 65535; rescale them or use "
                "uint8."
            )
        # Pillow opens 16-bit files as 32-bit integers; the range tells which of the two it is.
        top = 255 if array.max() <= 255 else 65535
        return np.asarray(np.clip(array, 0, top) * (255.0 / top), np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise ImageError("The picture holds values that are not numbers; save it again.")
        if array.min() < 0 or array.max() > 1:
            raise ImageError(
                "Float pictures must hold values from 0 to 1; rescale them or use uint8."
            )
        return np.asarray(np.rint(array * 255), np.uint8)
    raise ImageError(f"Pixels of type {array.dtype} cannot be read; use uint8.")
