"""How often something that is no face is found, and how often validation faces are missed.

    python -m benchmarks.no_face [--json F]

Looked through are 500 crops of the pictures without people that scikit-image ships, 200 drawn
scenes, and 300 validation pictures of each corpus in ../shared/data (or EMOTION_DATA_ROOT).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from itertools import islice

import cv2
import numpy as np
import numpy.typing as npt
from skimage import data

from benchmarks import _rows
from benchmarks.doubts import CORPORA, pictures
from emotion import Analyzer
from emotion.reliability import RELIABLE
from tests.support.corpora import data_root

Pixels = npt.NDArray[np.uint8]
Random = np.random.Generator

CROPS, SCENES, FACES = 500, 200, 300
_PICTURES = (
    "coffee", "chelsea", "rocket", "moon", "page", "clock", "coins", "brick", "grass", "gravel",
    "hubble_deep_field", "immunohistochemistry", "retina", "text", "horse", "colorwheel", "cell",
    "logo", "microaneurysms", "stereo_motorcycle",
)  # fmt: skip


def crops(random: Random) -> Iterator[Pixels]:
    """Yield square crops of real pictures, 240 to 640 px, half of them turned."""
    whole = [_rgb(getattr(data, name)()) for name in _PICTURES]
    for number in range(CROPS):
        image = whole[number % len(whole)]
        height, width = image.shape[:2]
        side = int(random.integers(min(96, height, width), min(height, width, 640) + 1))
        y, x = (int(random.integers(0, length - side + 1)) for length in (height, width))
        target = int(random.integers(240, 641))
        how = cv2.INTER_AREA if target < side else cv2.INTER_CUBIC
        part = cv2.resize(image[y : y + side, x : x + side], (target, target), interpolation=how)
        turns = int(random.integers(4)) if random.random() < 0.5 else 0
        yield np.ascontiguousarray(np.rot90(part, turns), np.uint8)


def scenes(random: Random) -> Iterator[Pixels]:
    """Yield drawn scenes of 640x480: defocused lights, shapes, blurred shards, coloured clouds."""
    height, width = 480, 640
    for number in range(SCENES):
        scene = np.full((height, width, 3), random.integers(20, 120, 3), np.float32)
        match number % 4:
            case 0:
                for _ in range(120):
                    disc = np.zeros((height, width), np.float32)
                    radius = int(random.integers(8, 26))
                    place = random.integers(0, [width, height]).tolist()
                    cv2.circle(disc, place, radius, 1, -1)
                    disc = cv2.GaussianBlur(disc, (0, 0), 1.5 + radius / 8)[:, :, None]
                    scene += disc * np.float32((90, 70, 35)) * random.uniform(0.4, 1)
                scene += random.normal(0, 3, scene.shape)
            case 1:
                for _ in range(40):
                    place, size = random.integers(0, [width, height]), random.integers(10, 150, 2)
                    colour = random.integers(0, 255, 3).tolist()
                    if random.random() < 0.5:
                        axes, tilt = size.tolist(), float(random.integers(180))
                        cv2.ellipse(scene, place.tolist(), axes, tilt, 0, 360, colour, -1)
                    else:
                        cv2.rectangle(scene, place.tolist(), (place + size).tolist(), colour, -1)
            case 2:
                for _ in range(60):
                    corners = random.integers(0, [width, height], (int(random.integers(3, 7)), 2))
                    colour = random.integers(0, 255, 3).tolist()
                    cv2.fillPoly(scene, [corners.astype(np.int32)], colour)
                scene = cv2.GaussianBlur(scene, (0, 0), random.uniform(0.5, 4))
            case _:
                cell = int(random.integers(4, 40))
                cloud = random.normal(0, 1, (height // cell, width // cell, 3))
                scene = cv2.resize(cloud, (width, height), interpolation=cv2.INTER_CUBIC) * 60 + 128
        yield np.clip(scene, 0, 255).astype(np.uint8)


def _rgb(picture: object) -> Pixels:
    image = np.asarray(picture[0] if isinstance(picture, tuple) else picture)
    if image.dtype == bool:
        image = image * np.uint8(255)
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    return np.ascontiguousarray(image[:, :, :3], np.uint8)


def look(analyzer: Analyzer, name: str, images: Iterable[Pixels]) -> _rows.Row:
    """Print and return a row: pictures, those with a detection, detections, what is left."""
    seen = with_any = detected = kept = reliable = pictures_with = 0
    for image in images:
        raw, faces = analyzer.detector.detect(image), analyzer.cutter.find(image)
        sure = sum(face.score >= RELIABLE for face in faces)
        seen, with_any, detected = seen + 1, with_any + bool(raw), detected + len(raw)
        kept, reliable = kept + len(faces), reliable + sure
        pictures_with += bool(sure)
    print(f"| {name} | {seen} | {with_any} | {detected} | {kept} | {reliable} | {pictures_with} |")
    return {
        "kind": name,
        "pictures": seen,
        "pictures with a detection": with_any,
        "detections": detected,
        "not left out": kept,
        "of score .9": reliable,
        "pictures with those": pictures_with,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    _rows.add_option(parser)
    arguments = parser.parse_args()
    analyzer, random = Analyzer.from_weights(), np.random.default_rng(5)
    print(
        "| | pictures | with a detection | detections | not left out | of score .9 | pictures "
        "with those |"
    )
    rows = [
        look(analyzer, "crops without people", crops(random)),
        look(analyzer, "drawn scenes", scenes(random)),
    ]
    root = data_root()
    for corpus in CORPORA if root.is_dir() else ():
        rows.append(look(analyzer, corpus, islice(pictures(corpus, root), FACES)))
    _rows.write(arguments.json, rows)


if __name__ == "__main__":
    main()
