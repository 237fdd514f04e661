"""Decoding: whatever a user hands over becomes uint8 RGB here, or an ImageError."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from emotion.errors import ImageError

MAX_PIXELS = 40_000_000
"""Largest accepted width x height, read from the header before any pixel is decoded."""

MAX_SIDE = 2048
"""Decoded images are reduced to this many pixels on their longer side."""

RGBImage = npt.NDArray[np.uint8]

_READABLE = "use a JPEG, PNG, WebP, BMP, GIF or TIFF picture"


Source = str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[Any]
"""What ``decode_image`` takes."""


def decode_image(source: Source) -> RGBImage:
    """Decode any supported picture to RGB.

    EXIF orientation is applied, palettes are resolved, transparency is laid over white, grey and
    16-bit data are scaled to 8 bits, CMYK is converted, and animations give their first frame.

    Args:
        source: a path, the bytes of an image file, a PIL image, or an array of shape (H, W),
            (H, W, 1), (H, W, 3) or (H, W, 4) with dtype bool, uint8, uint16, another integer in
            0..255 or 0..65535, or float in 0..1.

    Returns:
        Contiguous uint8 array (H, W, 3), values 0..255, longer side at most ``MAX_SIDE`` px.

    Raises:
        ImageError: if the input is not a readable picture or has more than ``MAX_PIXELS`` pixels.
    """
    if isinstance(source, np.ndarray):
        return _shrink(_from_array(source))
    if isinstance(source, Image.Image):
        return _from_pil(source, "This picture")
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_file(io.BytesIO(bytes(source)), "This file")
    if not isinstance(source, str | os.PathLike):
        raise ImageError(_no_picture(source))
    path = Path(source)
    try:
        with path.open("rb") as file:
            return _from_file(file, path.name)
    except IsADirectoryError:
        raise ImageError(f"{path} is a folder, not a picture; give the path of a file.") from None
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist; check the path.") from None
    except PermissionError:
        raise ImageError(f"{path} may not be read; check its permissions.") from None
    except (OSError, ValueError) as error:  # a link to itself, a name too long or with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{path} cannot be opened ({reason}); check the path.") from None


def as_rgb(source: Source) -> RGBImage:
    """Return a picture as ``decode_image`` would, and what is one already as it is.

    Raises:
        ImageError: if it is not a picture.
    """
    if not isinstance(source, np.ndarray) or source.dtype != np.uint8:
        return decode_image(source)
    rgb = source.ndim == 3 and source.shape[2] == 3 and source.size > 0
    return np.ascontiguousarray(source) if rgb else decode_image(source)


def to_grey(image: RGBImage) -> npt.NDArray[np.uint8]:
    """Turn RGB (H, W, 3) uint8 into luma (H, W) uint8 with the ITU-R BT.601 weights."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray(np.rint(image.astype(np.float32) @ weights), np.uint8)


def _from_file(file: Any, name: str) -> RGBImage:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own, lower pixel limit is checked below
            picture = Image.open(file)
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not a picture that can be read; {_READABLE}.") from None
    except Image.DecompressionBombError:
        raise ImageError(_too_large(name)) from None
    except Exception as error:
        raise ImageError(f"{name} is damaged ({_reason(error)}); {_READABLE}.") from None
    with picture:
        return _from_pil(picture, name)


def _from_pil(picture: Image.Image, name: str) -> RGBImage:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise ImageError(_too_large(name, width, height))
    if width < 1 or height < 1:
        raise ImageError(f"{name} has no pixels; {_READABLE}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # For JPEG, decode at a reduced scale at once; a no-op for every other format.
            picture.draft(None, (MAX_SIDE, MAX_SIDE))
            picture.load()
            if picture.getexif().get(ExifTags.Base.Orientation, 1) != 1:
                picture = ImageOps.exif_transpose(picture)  # always copies
            return _shrink(_to_rgb(picture))
    except ImageError:
        raise
    except Exception as error:
        # Pillow's plugins raise many types on damaged data (OSError, SyntaxError, struct.error).
        reason = _reason(error)
        raise ImageError(f"{name} is damaged or incomplete ({reason}); {_READABLE}.") from None


def _to_rgb(picture: Image.Image) -> RGBImage:
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        return _from_array(np.asarray(picture))
    if picture.mode == "P" or "transparency" in picture.info:
        picture = picture.convert("RGBA")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"), np.uint8)


def _from_array(array: npt.NDArray[Any]) -> RGBImage:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(_no_picture_shape(array.shape))
    if array.shape[0] < 1 or array.shape[1] < 1:
        raise ImageError("The array has no pixels; give a picture of at least 1x1.")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise ImageError(_too_large("The array", array.shape[1], array.shape[0]))
    values = _to_uint8(array)
    if values.ndim == 2:
        return np.repeat(values[:, :, None], 3, axis=2)
    if values.shape[2] == 4:
        alpha = values[:, :, 3:].astype(np.float32) / 255
        over = values[:, :, :3].astype(np.float32) * alpha + 255 * (1 - alpha)
        return np.asarray(np.rint(over), np.uint8)
    return np.ascontiguousarray(values)


def _no_picture_shape(shape: tuple[int, ...]) -> str:
    sizes = "x".join(map(str, shape)) or "scalar"
    if len(shape) == 4:
        return f"An array of shape {sizes} is a batch; give its pictures one at a time."
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return (
            f"An array of shape {sizes} has its channels first; give height x width x channels, "
            "for example array.transpose(1, 2, 0)."
        )
    return (
        f"An array of shape {sizes} is not a picture; give height x width, or height x width x 3 "
        "(RGB) or x 4 (RGBA)."
    )


def _no_picture(source: object) -> str:
    kinds = "a path, the bytes of a file, a PIL image or a NumPy array"
    if source is None:
        # What cv2.imread answers for a file that it cannot read.
        return f"There is no picture, only None; check the path it was read from, or give {kinds}."
    return f"A {type(source).__name__} is not a picture; give {kinds}."


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


def _shrink(image: RGBImage) -> RGBImage:
    height, width = image.shape[:2]
    scale = MAX_SIDE / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(image)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    reduced = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.array(reduced, np.uint8)


def _too_large(name: str, width: int | None = None, height: int | None = None) -> str:
    size = f" ({width}x{height})" if width else ""
    limit = MAX_PIXELS // 1_000_000
    return f"{name}{size} has more than {limit} megapixels; reduce it and try again."


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:80] if text else type(error).__name__


# A truncated file must raise: a half-grey face would get an answer that looks like any other.
ImageFile.LOAD_TRUNCATED_IMAGES = False
