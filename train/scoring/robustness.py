"""Robustness: the same pictures darker, blurred, compressed, turned, smaller, and without colour.

Pictures are changed before the face is searched and aligned, so that the whole chain is measured.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from datasets import Dataset
from PIL import Image as PILImage

from emotion.errors import DataError, ImageError
from emotion.images import decode_image, to_grey
from train.corpora import FEATURES, image_bytes
from train.faces.crops import Crops
from train.faces.prepared import held_out
from train.scoring.metrics import evaluate_probabilities

Picture = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]
Answer = Callable[[Dataset, str], tuple[npt.NDArray[np.float32], Crops]]


@dataclass(frozen=True)
class Degradation:
    """One way in which a picture can be worse.

    Attributes:
        name: for tables.
        change: from uint8 RGB (H, W, 3), whose face is ``side`` px large, to another such picture.
        move: for the same arguments, float64 (2, 3) from old to new pixels; None if none moves.
    """

    name: str
    change: Callable[[Picture, float], Picture]
    move: Callable[[Picture, float], Matrix] | None = None


def _darken(factor: float) -> Callable[[Picture, float], Picture]:
    return lambda picture, _: np.round(picture * factor).astype(np.uint8)


def _blur(share: float) -> Callable[[Picture, float], Picture]:
    return lambda picture, side: np.asarray(
        cv2.GaussianBlur(picture, (0, 0), share * side, borderType=cv2.BORDER_REPLICATE), np.uint8
    )


def _compress(quality: int) -> Callable[[Picture, float], Picture]:
    def change(picture: Picture, _: float) -> Picture:
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return decode_image(encoded.tobytes())

    return change


def _turn(degrees: float) -> Degradation:
    def move(picture: Picture, _: float) -> Matrix:
        height, width = picture.shape[:2]
        return np.asarray(
            cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
        )

    def change(picture: Picture, side: float) -> Picture:
        size = (picture.shape[1], picture.shape[0])
        return np.asarray(
            cv2.warpAffine(picture, move(picture, side), size, borderMode=cv2.BORDER_REPLICATE),
            np.uint8,
        )

    word = "left" if degrees > 0 else "right"
    return Degradation(f"turned {abs(degrees):.0f}° {word}", change, move)


def _shrink(pixels: int) -> Degradation:
    def size(picture: Picture, side: float) -> tuple[int, int]:
        scale = min(1.0, pixels / side)
        height, width = picture.shape[:2]
        return max(1, round(width * scale)), max(1, round(height * scale))

    def change(picture: Picture, side: float) -> Picture:
        return np.asarray(
            cv2.resize(picture, size(picture, side), interpolation=cv2.INTER_AREA), np.uint8
        )

    def move(picture: Picture, side: float) -> Matrix:
        width, height = size(picture, side)
        x, y = width / picture.shape[1], height / picture.shape[0]
        # The centre of a pixel stays at the centre of a pixel.
        return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])

    return Degradation(f"face at {pixels} px", change, move)


def _remove_colour(picture: Picture, _: float) -> Picture:
    return np.repeat(to_grey(picture)[:, :, None], 3, axis=2)


DEGRADATIONS: tuple[Degradation, ...] = (
    Degradation("as it is", lambda picture, _: picture),
    Degradation("half as bright", _darken(0.5)),
    Degradation("a quarter as bright", _darken(0.25)),
    Degradation("blurred, 2 % of the face", _blur(0.02)),
    Degradation("blurred, 4 % of the face", _blur(0.04)),
    Degradation("JPEG, quality 30", _compress(30)),
    Degradation("JPEG, quality 10", _compress(10)),
    _turn(20),
    _turn(-20),
    _shrink(48),
    _shrink(32),
    _shrink(24),
    Degradation("without colour", _remove_colour),
)
"""What is measured, the picture as it is first. A blur is named by its standard deviation; a face
that is small already is not enlarged."""


def measure_robustness(rows: Dataset, count: int, answer: Answer) -> list[dict[str, Any]]:
    """Classify degraded pictures.

    Args:
        rows: of ``train.corpora.FEATURES``, showing the six expressions.
        count: how many of them are taken, of each class the same share and at least one.
        answer: from rows and a description to probabilities (N, 6) and the crops they belong to.

    Returns:
        For each of ``DEGRADATIONS``: condition, n, accuracy, macro_f1, agreement (share of faces
        with the answer that the picture as it is gets) and faces_not_found.
    """
    labels = np.array(rows["label"], np.int64)
    taken = held_out(labels, min(1.0, count / len(rows)), seed=0, least=1)
    chosen = rows.select(np.flatnonzero(taken))
    measured: list[dict[str, Any]] = []
    original = None
    for degradation in DEGRADATIONS:
        probabilities, crops = answer(degrade(chosen, degradation), degradation.name)
        answers = probabilities.argmax(1)
        original = answers if original is None else original
        scores = evaluate_probabilities(probabilities, crops.labels)
        measured.append(
            {
                "condition": degradation.name,
                **{key: scores[key] for key in ("n", "accuracy", "macro_f1")},
                "agreement": float((answers == original).mean()),
                "faces_not_found": crops.not_found,
            }
        )
    return measured


def degrade(rows: Dataset, degradation: Degradation) -> Dataset:
    """Change every picture; the corpus's box and landmarks move with it.

    A picture that cannot be read stays as it is.
    """
    changed = [_degrade_row(row, degradation) for row in rows]
    return Dataset.from_list(changed, features=FEATURES)


def _degrade_row(row: Mapping[str, Any], degradation: Degradation) -> dict[str, Any]:
    try:
        encoded = image_bytes(row["image"])
        picture = decode_image(encoded)
    except (ImageError, DataError):
        return dict(row)
    # Corpora give pixels of the picture as it is stored; decoding reduces a very large one.
    with PILImage.open(io.BytesIO(encoded)) as stored:
        reduction = max(picture.shape[:2]) / max(stored.size)
    box = None if row["box"] is None else [reduction * value for value in row["box"]]
    side = max(picture.shape[:2]) if box is None else max(box[2] - box[0], box[3] - box[1])
    worse = degradation.change(picture, side)
    png = cv2.imencode(".png", cv2.cvtColor(worse, cv2.COLOR_RGB2BGR))[1].tobytes()
    matrix = np.eye(2, 3) if degradation.move is None else degradation.move(picture, side)
    landmarks = row["landmarks"]
    if landmarks is not None:
        points = reduction * np.array(landmarks, np.float64).reshape(5, 2)
        landmarks = _apply(matrix, points).ravel().tolist()
    if box is not None:
        corners = np.array([[box[i], box[j]] for i in (0, 2) for j in (1, 3)])
        moved = _apply(matrix, corners)
        box = [*moved.min(0).tolist(), *moved.max(0).tolist()]
    return {**row, "image": {"bytes": png, "path": None}, "box": box, "landmarks": landmarks}


def _apply(matrix: Matrix, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return points @ matrix[:, :2].T + matrix[:, 2]
