"""Unlabelled faces from a person's own videos and pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from emotion.align import align_face
from emotion.detect import Detector, RetinaFaceDetector
from emotion.errors import AlignmentError, DataError, ImageError
from emotion.images import decode_image
from emotion.labels import LABELS
from train.faces.store import FaceStore

PICTURES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"})
FRAMES_PER_SECOND = 4.0
"""How densely videos are sampled; neighbouring frames show the same face."""

logger = logging.getLogger(__name__)


def read_clips(folder: Path, zoom: float, detector: Detector | None = None) -> FaceStore:
    """Find, align and collect every face in the videos and pictures of a folder.

    Files that cannot be read are named in a warning and left out, and so are faces whose landmarks
    fit none.

    Args:
        folder: searched to any depth.
        zoom: of the crops, see ``emotion.align.template``; that of the weights to be trained.
        detector: finds the faces; RetinaFace by default.

    Returns:
        The faces in the order of the files' names and of time. Their labels mean nothing: ``soft``
        holds the same probability for every class.

    Raises:
        DataError: if the folder has no video or picture, or those show no face.
    """
    files = _files(folder)
    detector = detector or RetinaFaceDetector()
    crops = []
    for path in tqdm(files, desc="looking for faces", unit=" files"):
        try:
            for image in _images(path):
                crops += _crops(image, zoom, detector)
        except (ImageError, DataError) as error:
            logger.warning("Left out: %s", error)
    if not crops:
        raise DataError(
            f"The {len(files)} videos and pictures in {folder} show no face that can be aligned; "
            "give some in which the face is larger and seen from the front."
        )
    count = len(crops)
    return FaceStore(
        torch.from_numpy(np.stack(crops)),
        torch.zeros(count, dtype=torch.int64),
        torch.ones(count, dtype=torch.bool),
        torch.full((count, len(LABELS)), 1 / len(LABELS)),
    )


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; give one with videos or pictures of the person.")
    found = [p for p in folder.rglob("*") if p.suffix.lower() in PICTURES | VIDEOS and p.is_file()]
    if not found:
        raise DataError(
            f"{folder} has no video or picture ({', '.join(sorted(PICTURES | VIDEOS))}); put some "
            "of the person into it."
        )
    return sorted(found)


def _images(path: Path) -> Iterator[npt.NDArray[np.uint8]]:
    if path.suffix.lower() in VIDEOS:
        yield from _frames(path)
    else:
        yield decode_image(path)


def _frames(path: Path) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield RGB frames, evenly spaced in time."""
    capture = cv2.VideoCapture(str(path))
    try:
        rate = capture.get(cv2.CAP_PROP_FPS)
        every = max(1, round(rate / FRAMES_PER_SECOND)) if np.isfinite(rate) else 1
        number = 0
        while capture.grab():
            if number % every == 0:
                read, frame = capture.retrieve()
                if read:
                    yield decode_image(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.uint8))
            number += 1
        if not number:
            raise DataError(f"{path.name} is no video that can be read; convert it to MP4.")
    finally:
        capture.release()


def _crops(
    image: npt.NDArray[np.uint8], zoom: float, detector: Detector
) -> list[npt.NDArray[np.uint8]]:
    crops = []
    for face in detector.detect(image):
        try:
            crops.append(align_face(image, face.landmarks, zoom)[0])
        except AlignmentError:
            continue
    return crops
