"""From rows of a corpus to aligned faces: what preparation and evaluation have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from datasets import Features, Value

from emotion.align import DEFAULT_ZOOM, align_face, box_crop, plain_crop
from emotion.detect import Face, RetinaFaceDetector
from emotion.detect.retinaface import Backbone
from emotion.errors import AlignmentError, ConfigError, DataError, ImageError
from emotion.images import decode_image, to_grey
from train.corpora import FEATURES, image_bytes
from train.corpora.dedup import perceptual_hashes, thumbnail
from train.superres import TARGET, Method, UpScaler, load_upscaler

_COPIED = ("label", "source", "split", "sample_id", "original_label", "soft_label", "second_label")

PREPARED = Features(
    {
        **{name: FEATURES[name] for name in _COPIED},
        "px": Value("binary"),
        "landmarks": FEATURES["landmarks"],
        "face_found": Value("bool"),
        "upscaled": Value("bool"),
        "phash": Value("uint64"),
        "thumb": Value("binary"),
        "error": Value("string"),
    }
)
"""Columns of a prepared row; those not named here are the corpus's own.

``px``: the 64x64 grey crop, 4096 bytes in row order; empty if ``error`` is set. ``landmarks``: x, y
of the five points in pixels of the original picture, or null. ``face_found``: False if ``px`` is
the plain crop. ``upscaled``: whether the super-resolution method was applied. ``phash`` of the
crop. ``thumb``: the whole picture at 32x32 grey, 1024 bytes, for the search for duplicates only.
``error``: why the picture could not be read, or null.
"""


@dataclass(frozen=True)
class AlignConfig:
    """How rows become crops.

    Attributes:
        zoom: scale of the crop, see ``emotion.align.template``.
        detector: body of RetinaFace.
        detector_weights: file to load instead of the detector's own weights.
        superres: how pictures below 64 px are enlarged.
        superres_model: fitted model of that method.
    """

    zoom: float = DEFAULT_ZOOM
    detector: Backbone = "mobilenet0.25"
    detector_weights: Path | None = None
    superres: Method = "bicubic"
    superres_model: Path | None = None

    def __post_init__(self) -> None:
        if not 0.6 <= self.zoom <= 1.6:
            raise ConfigError(f"--zoom must lie between 0.6 and 1.6, not {self.zoom}.")


def align_rows(rows: Mapping[str, Sequence[Any]], config: AlignConfig) -> dict[str, list[Any]]:
    """Align a batch of rows; made for ``datasets.Dataset.map(batched=True)``.

    Landmarks that the corpus gives are used, otherwise RetinaFace's. Of several faces the one that
    overlaps the corpus's own box most is taken, without a box the largest.

    Args:
        rows: columns of ``train.corpora.FEATURES``.
        config: how.

    Returns:
        Columns of ``PREPARED``.
    """
    columns: dict[str, list[Any]] = {name: [] for name in PREPARED}
    for name in _COPIED:
        columns[name] = list(rows[name])
    for image, box, landmarks in zip(rows["image"], rows["box"], rows["landmarks"], strict=True):
        aligned = _align(image, box, landmarks, config)
        for name, value in aligned.items():
            columns[name].append(value)
    return columns


def align_in_batches(
    rows: Any, config: AlignConfig, batch_size: int = 64
) -> Iterator[dict[str, list[Any]]]:
    """Align a dataset in this process, batch by batch."""
    for start in range(0, len(rows), batch_size):
        yield align_rows(rows[start : start + batch_size], config)


def _align(
    image: Mapping[str, Any],
    box: Sequence[float] | None,
    landmarks: Sequence[float] | None,
    config: AlignConfig,
) -> dict[str, Any]:
    nothing = {
        "px": b"",
        "landmarks": None,
        "face_found": False,
        "upscaled": False,
        "phash": None,
        "thumb": b"",
    }
    try:
        photo = decode_image(image_bytes(image))
    except (ImageError, DataError) as error:
        return {**nothing, "error": str(error)}
    small = thumbnail(to_grey(photo)).tobytes()
    points: npt.NDArray[np.floating] | None = None
    if landmarks is not None:
        points = np.asarray(landmarks, np.float64).reshape(5, 2)
    if points is None:
        face = _choose(_detector(config).detect(photo), box)
        points = None if face is None else face.landmarks
    photo, scale, upscaled = _enlarge(photo, config)
    crop = None
    if points is not None:
        try:
            # Pixel centres: a point at the centre of a pixel stays at its centre.
            crop, _ = align_face(photo, (points + 0.5) * scale - 0.5, config.zoom)
        except AlignmentError:
            points = None
    if crop is None:
        crop, _ = plain_crop(photo) if box is None else box_crop(photo, np.array(box) * scale)
    return {
        "px": crop.tobytes(),
        "landmarks": None if points is None else [float(value) for value in points.ravel()],
        "face_found": points is not None,
        "upscaled": upscaled,
        "phash": int(perceptual_hashes(thumbnail(crop)[None])[0]),
        "thumb": small,
        "error": None,
    }


def _choose(faces: list[Face], box: Sequence[float] | None) -> Face | None:
    if not faces:
        return None
    if box is None:
        return faces[0]
    return max(faces, key=lambda face: _overlap(face.box, np.asarray(box)))


def _overlap(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> float:
    """Intersection over union of two boxes."""
    shared = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    union = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared
    return float(shared / max(float(union), 1e-9))


def _enlarge(
    photo: npt.NDArray[np.uint8], config: AlignConfig
) -> tuple[npt.NDArray[np.uint8], float, bool]:
    """Super-resolve a small picture; returns it, the scale, and whether the method was applied."""
    if config.superres == "bicubic" or max(photo.shape[:2]) >= TARGET:
        return photo, 1.0, False
    upscaler, grey = _upscaler(config), to_grey(photo)[None]
    height, width = photo.shape[:2]
    if height != width or upscaler.falls_back(grey)[0]:
        return photo, 1.0, False
    return np.repeat(upscaler(grey)[0][:, :, None], 3, axis=2), TARGET / width, True


# One per process: the workers of datasets.map are forked and build their own.
@lru_cache(maxsize=1)
def _detector(config: AlignConfig) -> RetinaFaceDetector:
    torch.set_num_threads(1)
    return RetinaFaceDetector(config.detector, config.detector_weights)


@lru_cache(maxsize=1)
def _upscaler(config: AlignConfig) -> UpScaler:
    return load_upscaler(config.superres, config.superres_model)
