"""Pictures to fit on: a folder, a zip archive, or an array on disk becomes grey squares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from emotion.errors import DataError, ImageError
from emotion.images import decode_image, to_grey
from train.corpora.archive import open_archive
from train.superres.resize import GreyImages, centre_square, resize_grey
from train.superres.upscaler import MIN_CONTRAST


@dataclass(frozen=True, slots=True)
class Faces:
    """Squares of one size.

    Attributes:
        images: uint8 (N, side, side).
        labels: names (N,) of the folders that the pictures lay in; empty for an array.
        too_small: number of pictures below that size, which were left out.
        left_out: name and reason of each picture that could not be decoded or is one flat grey.
    """

    images: GreyImages
    labels: npt.NDArray[np.str_]
    too_small: int
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    label: str
    read: Callable[[], bytes | npt.NDArray[np.uint8]]


def read_faces(
    source: Path, side: int, *, inside: str = "", limit: int | None = None, seed: int = 0
) -> Faces:
    """Read pictures as centred grey squares, reduced with antialiasing and never enlarged.

    Args:
        source: folder or zip archive of pictures, or a .npy file of uint8 (N, h, w).
        side: wanted side in px.
        inside: only pictures below this folder of the source.
        limit: read at most that many, drawn at random.
        seed: of that draw.

    Raises:
        DataError: if the source is missing, damaged or of another type, or nothing in it can be
            used.
    """
    entries = _array(source) if source.suffix == ".npy" else _archive(source, inside)
    if limit is not None and limit < len(entries):
        chosen = np.random.default_rng(seed).choice(len(entries), limit, replace=False)
        entries = [entries[index] for index in sorted(chosen)]
    images: list[GreyImages] = []
    labels: list[str] = []
    left_out: list[str] = []
    too_small = 0
    for entry in entries:
        try:
            square = centre_square(to_grey(decode_image(entry.read())))
        except (ImageError, DataError) as error:
            left_out.append(f"{entry.name}: {error}")
            continue
        if len(square) < side:
            too_small += 1
            continue
        image = resize_grey(square[None], side, side)[0]
        if float(image.std()) < MIN_CONTRAST:
            left_out.append(f"{entry.name}: it is one flat grey, there is nothing to learn from.")
            continue
        images.append(image)
        labels.append(entry.label)
    if not images:
        raise DataError(
            f"{source} has no picture of at least {side}x{side} that can be read ({too_small} "
            f"smaller, {len(left_out)} unreadable or flat); give another folder, zip or .npy array."
        )
    return Faces(np.stack(images), np.array(labels), too_small, tuple(left_out))


def _archive(source: Path, inside: str) -> list[_Entry]:
    archive = open_archive(source)
    prefix = f"{inside.strip('/')}/" if inside else ""
    return [
        _Entry(name, PurePosixPath(name).parent.name, partial(archive.read, name))
        for name in archive.images()
        if name.startswith(prefix)
    ]


def _array(path: Path) -> list[_Entry]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; check the path.") from None
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} is not a numpy array that can be read ({error}).") from None
    if array.dtype != np.uint8 or array.ndim != 3:
        shape = "x".join(map(str, array.shape))
        raise DataError(f"{path} must hold uint8, N x height x width, not {array.dtype} {shape}.")
    return [_Entry(f"{path}[{i}]", "", partial(np.array, array[i])) for i in range(len(array))]
