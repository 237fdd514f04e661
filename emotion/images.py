"""Decoding: whatever a user hands over becomes uint8 RGB here, or an ImageError."""

from __future__ import annotations

import io
import os
import stat
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pi_heif
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from emotion.arrays import RGBImage, rgb_of
from emotion.errors import ImageError
from emotion.exif import bare_jpeg, check_tiff, orientation_of
from emotion.memory import available_memory

MAX_PIXELS = 40_000_000
"""Largest width x height that strangers may send: of the page's photos, of a corpus's pictures."""

FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "BMP", "GIF", "TIFF")
"""Pillow's parsers that may see a file; the others are never asked, whatever its name says."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright that was stored in each orientation of Exif."""

_READABLE = "use a JPEG, PNG, WebP, HEIC, AVIF, BMP, GIF or TIFF picture"
_BYTES_PER_PIXEL = 12  # while decoding: the decoder's picture, a converted copy, the array
_HEADERS = threading.Lock()

# Apple's photos; Pillow itself knows all the others.
pi_heif.register_heif_opener()

Source = str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[Any]
"""What ``decode_image`` takes."""


def decode_image(
    source: Source, *, max_side: int | None = None, max_pixels: int | None = None
) -> RGBImage:
    """Decode any supported picture to RGB.

    EXIF orientation is applied, palettes are resolved, transparency is laid over white, grey and
    16-bit data are scaled to 8 bits, CMYK is converted, and animations give their first frame.

    Args:
        source: a path, the bytes of an image file, a PIL image, or an array of shape (H, W),
            (H, W, 1), (H, W, 3) or (H, W, 4) with dtype bool, uint8, uint16, another integer in
            0..255 or 0..65535, or float in 0..1.
        max_side: reduce larger pictures to this many px on their longer side.
        max_pixels: refuse pictures of more pixels by their header, before any is decoded; None
            refuses what the memory that is free cannot hold.

    Returns:
        Contiguous uint8 array (H, W, 3), values 0..255.

    Raises:
        ImageError: if the input is not a readable picture, or too large.
    """
    bounds = _Bounds(max_side, max_pixels)
    try:
        return _decode(source, bounds)
    except MemoryError:
        raise ImageError("The picture does not fit into memory; reduce it and try again.") from None


@dataclass(frozen=True, slots=True)
class _Bounds:
    max_side: int | None
    max_pixels: int | None

    def check(self, name: str, width: int, height: int) -> None:
        if width < 1 or height < 1:
            raise ImageError(f"{name} has no pixels; {_READABLE}.")
        size = f"{name} ({width}x{height})"
        if self.max_pixels is not None:
            if width * height > self.max_pixels:
                limit = f"{self.max_pixels / 1e6:.3g}"
                raise ImageError(
                    f"{size} has more than {limit} megapixels; reduce it and try again."
                )
            return
        needed, free = width * height * _BYTES_PER_PIXEL, available_memory()
        if free is not None and needed > free:
            raise ImageError(
                f"{size} takes about {needed / 2**30:.1f} GB to decode, and {free / 2**30:.1f} GB "
                "of memory are free; reduce it and try again."
            )


def _decode(source: Source, bounds: _Bounds) -> RGBImage:
    if isinstance(source, np.ndarray):
        return _shrink(rgb_of(source, bounds.check), bounds.max_side)
    if isinstance(source, Image.Image):
        return _from_pil(source, "This picture", bounds)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_file(io.BytesIO(bytes(source)), "This file", bounds)
    if not isinstance(source, str | os.PathLike):
        raise ImageError(_no_picture(source))
    path = Path(source)
    try:
        # Opening a pipe would wait for somebody who writes to it.
        if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):
            raise ImageError(f"{path} is no ordinary file; give the path of a picture.")
        with path.open("rb") as file:
            return _from_file(file, path.name, bounds)
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


def bgr_to_rgb(source: Source) -> Source:
    """Swap the channels of an array (H, W, 3) or (H, W, 4) that OpenCV read; grey ones have none.

    Raises:
        ImageError: if it is no array: files and PIL images say the order of their channels.
    """
    if not isinstance(source, np.ndarray):
        raise ImageError(
            "bgr=True is about arrays; files and PIL images say the order of their channels "
            "themselves, so leave it out."
        )
    if source.ndim != 3 or source.shape[2] not in (3, 4):
        return source  # grey, or refused in a sentence
    return source[:, :, [2, 1, 0, 3][: source.shape[2]]]


def to_grey(image: RGBImage) -> npt.NDArray[np.uint8]:
    """Turn RGB (H, W, 3) uint8 into luma (H, W) uint8 with the ITU-R BT.601 weights."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray(np.rint(image.astype(np.float32) @ weights), np.uint8)


def _from_file(file: Any, name: str, bounds: _Bounds) -> RGBImage:
    try:
        orientation = 1
        if file.read(3) == b"\xff\xd8\xff":
            file.seek(0)
            data, orientation = bare_jpeg(file.read())
            file = io.BytesIO(data)
        file.seek(0)
        check_tiff(file, name)
        picture = _open(file)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not a picture that can be read; {_READABLE}.") from None
    except Exception as error:
        raise ImageError(f"{name} is damaged ({_reason(error)}); {_READABLE}.") from None
    with picture:
        return _from_pil(picture, name, bounds, orientation)


def _open(file: Any) -> Image.Image:
    """Read a picture's header; Pillow's own limit, one for the whole process, gives way to ours."""
    with _HEADERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _from_pil(
    picture: Image.Image, name: str, bounds: _Bounds, orientation: int | None = None
) -> RGBImage:
    bounds.check(name, *picture.size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if bounds.max_side is not None:
                # For JPEG, decode at a reduced scale at once; a no-op for every other format.
                picture.draft(None, (bounds.max_side, bounds.max_side))
            picture.load()
            if orientation is None:  # a picture of the caller's own, with what it knows of itself
                picture = ImageOps.exif_transpose(picture)
            elif picture.format != "TIFF":  # Pillow applies that of a TIFF by itself
                turn = _TURNS.get(max(orientation, orientation_of(picture.info.get("exif"))))
                picture = picture.transpose(turn) if turn is not None else picture
            return _shrink(_to_rgb(picture), bounds.max_side)
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        # Pillow's plugins raise many types on damaged data (OSError, SyntaxError, struct.error).
        reason = _reason(error)
        raise ImageError(f"{name} is damaged or incomplete ({reason}); {_READABLE}.") from None


def _to_rgb(picture: Image.Image) -> RGBImage:
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        return rgb_of(np.asarray(picture))
    if picture.mode == "P" or "transparency" in picture.info:
        picture = picture.convert("RGBA")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"), np.uint8)


def _no_picture(source: object) -> str:
    kinds = "a path, the bytes of a file, a PIL image or a NumPy array"
    if source is None:
        # What cv2.imread answers for a file that it cannot read.
        return f"There is no picture, only None; check the path it was read from, or give {kinds}."
    return f"A {type(source).__name__} is not a picture; give {kinds}."


def _shrink(image: RGBImage, max_side: int | None) -> RGBImage:
    height, width = image.shape[:2]
    if max_side is None or max_side >= max(height, width):
        return np.ascontiguousarray(image)
    scale = max_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    reduced = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.array(reduced, np.uint8)


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:80] if text else type(error).__name__


# A truncated file must raise: a half-grey face would get an answer that looks like any other.
ImageFile.LOAD_TRUNCATED_IMAGES = False
