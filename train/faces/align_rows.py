"""From rows of a corpus to aligned faces: what preparation and evaluation have in common."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset, Features, List, Value
from PIL import Image as PILImage

from emotion.align import align_face, box_crop, plain_crop
from emotion.boxes import iou
from emotion.detect import Face, RetinaFaceDetector
from emotion.detect.retinaface import Backbone
from emotion.errors import AlignmentError, DataError, ImageError
from emotion.images import MAX_PIXELS, decode_image, to_grey
from train.config.faces import AlignConfig
from train.corpora import FEATURES, image_bytes
from train.faces.near_duplicates import perceptual_hashes, thumbnail
from train.superres import TARGET, Method, UpScaler, load_upscaler
from train.workers import one_thread

MAX_SIDE = 2048
"""Larger pictures are reduced to this many px on their longer side: the weights saw them so."""

_COPIED = (
    "label",
    "source",
    "split",
    "sample_id",
    "original_label",
    "expression",
    "votes",
    "calm",
    "second_label",
)

PREPARED = Features(
    {
        **{name: FEATURES[name] for name in _COPIED},
        "label_mean": List(Value("float32"), length=6),
        "soft_label": List(Value("float32"), length=6),
        "px": Value("binary"),
        "landmarks": FEATURES["landmarks"],
        "width": Value("int32"),
        "face_found": Value("bool"),
        "upscaled": Value("bool"),
        "phash": Value("uint64"),
        "thumb": Value("binary"),
        "error": Value("string"),
    }
)
"""Columns of a prepared row; those not named here are the corpus's own.

``label_mean``: mean of the labels of all copies of the photograph in training, where they differ
(``train.faces.duplicates``), or null. ``soft_label``: what the taggers' votes say about the label,
six probabilities that sum to 1 (``train.faces.posterior``), or null. Alignment leaves both null.
``px``: the 64x64 grey crop, 4096 bytes in row order; empty if ``error`` is set. ``landmarks``: x, y
of the five points in pixels of the original picture, or null. ``width`` of that picture in pixels,
or null if ``error`` is set. ``face_found``: False if ``px`` is the plain crop. ``upscaled``:
whether the super-resolution method was applied. ``phash`` of the crop. ``thumb``: the whole picture
at 32x32 grey, 1024 bytes, for the search for duplicates only. ``error``: why the picture could not
be read, or null.
"""


def with_columns(rows: Dataset, columns: Mapping[str, Sequence[Any]]) -> Dataset:
    """Replace columns of prepared rows, each by a value per row; the order of columns stays."""
    changed = rows.remove_columns([*columns])
    for name, values in columns.items():
        changed = changed.add_column(name, [*values], feature=PREPARED[name])
    return changed.select_columns(rows.column_names)


def align_rows(rows: Mapping[str, Sequence[Any]], config: AlignConfig) -> dict[str, list[Any]]:
    """Align a batch of rows; made for ``datasets.Dataset.map(batched=True)``.

    Landmarks that the corpus gives are used if they fit a face, otherwise RetinaFace's. Of several
    faces the one is taken whose centre lies in the corpus's own box and that overlaps it most;
    without a box, the largest.

    Args:
        rows: columns of ``train.corpora.FEATURES``.
        config: how.

    Returns:
        Columns of ``PREPARED``.
    """
    columns: dict[str, list[Any]] = {name: [] for name in PREPARED}
    for name in _COPIED:
        columns[name] = list(rows[name])
    for name in ("label_mean", "soft_label"):
        columns[name] = [None] * len(columns["label"])
    for image, box, landmarks in zip(rows["image"], rows["box"], rows["landmarks"], strict=True):
        aligned = _align(image, box, landmarks, config)
        for name, value in aligned.items():
            columns[name].append(value)
    return columns


def align_in_batches(
    rows: Any, config: AlignConfig, batch_size: int = 64
) -> Iterator[dict[str, list[Any]]]:
    """Align a dataset in this process, batch by batch."""
    with one_thread():
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
        "width": None,
        "face_found": False,
        "upscaled": False,
        "phash": None,
        "thumb": b"",
    }
    try:
        encoded = image_bytes(image)
        photo = decode_image(encoded, max_side=MAX_SIDE, max_pixels=MAX_PIXELS)
    except (ImageError, DataError) as error:
        return {**nothing, "error": str(error)}
    reduction = _reduction(encoded, photo)
    region = None if box is None else np.array(box) * reduction
    picture, scale, upscaled = _enlarge(photo, config)
    crop = points = None
    for points in _candidates(photo, region, landmarks, reduction, config):
        try:
            crop, _ = align_face(picture, _rescale(points, scale), config.zoom)
            break
        except AlignmentError:
            points = None
    if crop is None:
        crop, _ = plain_crop(picture) if region is None else box_crop(picture, region * scale)
    found = None if points is None else _rescale(points, 1 / reduction)
    return {
        "px": crop.tobytes(),
        "landmarks": None if found is None else [float(value) for value in found.ravel()],
        "width": round(photo.shape[1] / reduction),
        "face_found": found is not None,
        "upscaled": upscaled,
        "phash": int(perceptual_hashes(thumbnail(crop)[None])[0]),
        "thumb": thumbnail(to_grey(photo)).tobytes(),
        "error": None,
    }


def _candidates(
    photo: npt.NDArray[np.uint8],
    region: npt.NDArray[np.float64] | None,
    landmarks: Sequence[float] | None,
    reduction: float,
    config: AlignConfig,
) -> Iterator[npt.NDArray[np.floating]]:
    """Yield landmarks (5, 2) in pixels of the decoded photo: the corpus's, then the detector's."""
    if landmarks is not None:
        yield _rescale(np.asarray(landmarks, np.float64).reshape(5, 2), reduction)
    face = _choose(_detector(config.detector, config.detector_weights).detect(photo), region)
    if face is not None:
        yield face.landmarks


def _choose(faces: list[Face], region: npt.NDArray[np.float64] | None) -> Face | None:
    if region is None:
        return faces[0] if faces else None  # the largest
    inside = [face for face in faces if _holds(region, (face.box[:2] + face.box[2:]) / 2)]
    return max(inside, key=lambda face: iou(face.box, region), default=None)


def _holds(region: npt.NDArray[np.float64], point: npt.NDArray[np.floating]) -> bool:
    return bool((region[:2] <= point).all() and (point <= region[2:]).all())


def _rescale(points: npt.NDArray[np.floating], scale: float) -> npt.NDArray[np.floating]:
    """Follow a resized picture: a point at the centre of a pixel stays at its centre."""
    return (points + 0.5) * scale - 0.5


def _reduction(encoded: bytes, photo: npt.NDArray[np.uint8]) -> float:
    """Return by how much decoding reduced a large picture, since corpora give its own pixels."""
    if max(photo.shape[:2]) < MAX_SIDE:
        return 1.0
    with PILImage.open(io.BytesIO(encoded)) as original:
        return float(max(photo.shape[:2]) / max(original.size))


def _enlarge(
    photo: npt.NDArray[np.uint8], config: AlignConfig
) -> tuple[npt.NDArray[np.uint8], float, bool]:
    """Super-resolve a small picture; returns it, the scale, and whether the method was applied."""
    if config.superres == "bicubic" or max(photo.shape[:2]) >= TARGET:
        return photo, 1.0, False
    upscaler, grey = _upscaler(config.superres, config.superres_model), to_grey(photo)[None]
    height, width = photo.shape[:2]
    if height != width or upscaler.falls_back(grey)[0]:
        return photo, 1.0, False
    return np.repeat(upscaler(grey)[0][:, :, None], 3, axis=2), TARGET / width, True


# One per process: the workers of datasets.map are forked and build their own.
@lru_cache(maxsize=1)
def _detector(backbone: Backbone, weights: Path | None) -> RetinaFaceDetector:
    return RetinaFaceDetector(backbone, weights)


@lru_cache(maxsize=1)
def _upscaler(method: Method, model: Path | None) -> UpScaler:
    return load_upscaler(method, model)
