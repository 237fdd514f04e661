"""How often faces that are covered, cut off or upside down stay sure, and whole ones do not.

    python -m benchmarks.doubts [--json F]          # measures on validation pictures
    python -m benchmarks.doubts --fit PREPARED      # first fits emotion/assets/covered.json anew

Measured on the raw pictures of the corpora in ../shared/data (or EMOTION_DATA_ROOT), fitted on
prepared training faces; both with masks and glasses of many shapes and colours, drawn here.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks import _rows
from emotion import Analyzer, decode_image
from emotion.align import template
from emotion.covered import cell_features
from emotion.files import write_text
from tests.support.corpora import data_root

REPOSITORY = Path(__file__).resolve().parents[1]

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
Random = np.random.Generator

CORPORA = {
    "fer2013": ("fer2013.zip", "public"),
    "raf-db": ("raf-db.zip", "train"),
    "affectnet": ("affectnet-yolo.zip", "valid"),
}
PER_CORPUS = 100
FITTED_FACES = 1300  # of each corpus
FALSE_ALARMS = 1.5  # per cent of the whole training faces that the fit allows
_MASKS = [
    (150, 190, 215), (235, 238, 240), (25, 25, 28), (120, 120, 125), (60, 90, 140), (160, 60, 60),
    (210, 170, 140), (90, 120, 80), (230, 200, 210),
]  # fmt: skip
_LENSES = [(15, 15, 18), (40, 30, 25), (60, 60, 70), (20, 30, 50)]


def draw_mask(image: Pixels, landmarks: Points, random: Random) -> Pixels:
    """Draw a mask from somewhere on the nose to below the chin."""
    eyes, mouth, down, across, height = _axes(landmarks)
    top = eyes + down * height * random.uniform(0.35, 0.62)
    width, chin = height * random.uniform(0.85, 1.1), mouth + down * height * 0.75
    sag, drop = random.uniform(0, 0.25, 2), random.uniform(0, 0.15, 2)
    outline = [
        top,
        top + across * width * 0.45 + down * height * 0.1,
        top + across * width + down * height * sag[0],
        chin + across * width * 0.75 - down * height * 0.25,
        chin + across * width * 0.35 + down * height * drop[0],
        chin - across * width * 0.35 + down * height * drop[1],
        chin - across * width * 0.75 - down * height * 0.25,
        top - across * width + down * height * sag[1],
        top - across * width * 0.45 + down * height * 0.1,
    ]
    area = np.zeros(image.shape[:2], np.uint8)
    corners = np.round(np.array(outline) * 16).astype(np.int32)
    cv2.fillPoly(area, [corners], 1, lineType=cv2.LINE_AA, shift=4)
    return _lay(image, area, _MASKS[random.integers(len(_MASKS))], random)


def draw_glasses(image: Pixels, landmarks: Points, random: Random) -> Pixels:
    """Draw two dark lenses and a bridge."""
    _, _, down, across, height = _axes(landmarks)
    area = np.zeros(image.shape[:2], np.uint8)
    apart = max(float(np.linalg.norm(landmarks[1] - landmarks[0])), 0.5 * height)
    lens = [max(1, int(apart * random.uniform(*b))) for b in ((0.34, 0.46), (0.24, 0.36))]
    tilt = float(np.degrees(np.arctan2(across[1], across[0])))
    places = [np.round(eye + down * height * 0.05).astype(int).tolist() for eye in landmarks[:2]]
    for place in places:
        cv2.ellipse(area, place, lens, tilt, 0, 360, 1, -1)
    cv2.line(area, places[0], places[1], 1, max(1, int(0.06 * height)))
    return _lay(image, area, _LENSES[random.integers(len(_LENSES))], random)


def cut_a_third(image: Pixels, box: npt.NDArray[np.floating], random: Random) -> Pixels:
    """Cut a third of a face's box off at one of its four sides."""
    size = np.array([image.shape[1], image.shape[0]] * 2)
    x0, y0, x1, y1 = np.clip(box, 0, size)
    across, down = (x1 - x0) / 3, (y1 - y0) / 3
    whole = (slice(None), slice(None))
    parts = [
        (whole[0], slice(int(x0 + across), None)),
        (whole[0], slice(None, int(x1 - across))),
        (slice(int(y0 + down), None), whole[1]),
        (slice(None, int(y1 - down)), whole[1]),
    ]
    return np.ascontiguousarray(image[parts[random.integers(4)]])


def _axes(landmarks: Points) -> tuple[Points, Points, Points, Points, float]:
    eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
    height = float(np.linalg.norm(mouth - eyes))
    down = (mouth - eyes) / height
    return eyes, mouth, down, np.array([down[1], -down[0]]), height


def _lay(image: Pixels, area: Pixels, colour: tuple[int, int, int], random: Random) -> Pixels:
    """Lay cloth or glass over an area, in the light of what is below it."""
    height, width = area.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    slope = random.uniform(-0.35, 0.35, 2)
    light = 1 + slope[0] * (x / width - 0.5) + slope[1] * (y / height - 0.5)
    if random.random() < 0.4:  # pleats
        period = random.uniform(0.04, 0.12) * height
        wave = np.sin(2 * np.pi * y / period + random.uniform(0, 6))
        light += random.uniform(0.02, 0.12) * wave
    if random.random() < 0.3:  # a pattern
        cell = int(random.integers(2, 8))
        spots = random.normal(0, 1, (max(2, height // cell), max(2, width // cell)))
        light += random.uniform(0.03, 0.2) * cv2.resize(spots, (width, height))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = cv2.GaussianBlur(grey, (0, 0), max(height, width) * 0.15)
    light *= 1 + random.uniform(0, 0.6) * (grey / max(float(grey.mean()), 1) - 1)
    layer = np.array(colour, np.float32) * light[:, :, None] * random.uniform(0.6, 1.1)
    if np.ptp(image.astype(int), axis=2).max() < 4:
        layer = layer.mean(2, keepdims=True)
    blur = random.uniform(0.3, 1.0) * max(height, width) / 100
    share = cv2.GaussianBlur(area.astype(np.float32), (0, 0), blur)[:, :, None]
    noise = random.normal(0, 2, image.shape)
    return np.clip(image * (1 - share) + (layer + noise) * share, 0, 255).astype(np.uint8)


def fit(prepared: Path) -> None:
    """Fit the regression on drawn covers over prepared training faces, and write it."""
    from datasets import load_from_disk
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(3)
    features, covered = [], []
    for corpus in CORPORA:
        rows = load_from_disk(prepared / corpus)["train"].select_columns(["px", "face_found"])
        for index in random.choice(len(rows), FITTED_FACES, replace=False):
            row = rows[int(index)]
            if not row["face_found"]:
                continue
            crop = np.frombuffer(row["px"], np.uint8).reshape(64, 64)
            face = np.repeat(crop[:, :, None], 3, axis=2)
            points = template() + random.normal(0, 1.0, (5, 2))
            masks = [draw_mask(face, points, random) for _ in range(2)]
            for picture in (face, *masks, draw_glasses(face, points, random)):
                features.append(cell_features(_shaken(picture, random)))
                covered.append(picture is not face)
    values, labels = np.array(features), np.array(covered)
    mean, deviation = values.mean(0), values.std(0) + 1e-6
    model = LogisticRegression(C=0.03, max_iter=500).fit((values - mean) / deviation, labels)
    weights = model.coef_[0] / deviation
    whole = values[~labels] @ weights
    bias = -float(np.percentile(whole, 100 - FALSE_ALARMS))
    content = {"weights": weights.round(4).tolist(), "bias": round(bias, 4)}
    target = REPOSITORY / "emotion" / "assets" / "covered.json"
    write_text(target, json.dumps(content, separators=(",", ":")) + "\n")
    print(f"{target} fitted on {len(labels)} crops")


def _shaken(picture: Pixels, random: Random) -> Pixels:
    """Move a crop as much as landmarks miss their places, and mirror half of them."""
    size = float(np.exp(random.normal(0, 0.05)))
    matrix = cv2.getRotationMatrix2D((31.5, 31.5), random.normal(0, 3), size)
    matrix[:, 2] += random.normal(0, 1.5, 2)
    moved = cv2.warpAffine(picture, matrix, (64, 64), borderMode=cv2.BORDER_REFLECT_101)
    if random.random() < 0.5:
        moved = moved[:, ::-1]
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(moved), cv2.COLOR_RGB2GRAY), np.uint8)


def pictures(corpus: str, root: Path) -> Iterator[Pixels]:
    """Yield validation pictures in a drawn order; of RAF-DB those that are held out."""
    from train.corpora import image_bytes
    from train.corpora.load import load_corpus
    from train.faces.prepared import HELD_OUT, held_out

    name, split = CORPORA[corpus]
    rows: Any = load_corpus(corpus, str(root / name)).splits[split]
    order = np.arange(len(rows))
    if split == "train":
        order = np.flatnonzero(held_out(np.array(rows["label"]), HELD_OUT, seed=0))
    for index in np.random.default_rng(0).permutation(order):
        yield decode_image(image_bytes(rows[int(index)]["image"]))


def measure(root: Path) -> list[_rows.Row]:
    """Print and return a row per kind: how many are found, stay sure, and are called what."""
    analyzer, random = Analyzer.from_weights(), np.random.default_rng(7)
    kinds: dict[str, Callable[..., Pixels]] = {
        "whole": lambda image, _: image,
        "mask": lambda image, face: draw_mask(image, face.landmarks.astype(float), random),
        "dark glasses": lambda image, face: draw_glasses(
            image, face.landmarks.astype(float), random
        ),
        "a third cut off": lambda image, face: cut_a_third(image, face.box, random),
        "upside down": lambda image, _: np.ascontiguousarray(image[::-1, ::-1]),
    }
    answers: dict[str, list[str]] = {kind: [] for kind in kinds}
    for corpus in CORPORA:
        seen = 0
        for image in pictures(corpus, root):
            faces = analyzer.cutter.find(image)
            if not faces:
                continue
            for kind, change in kinds.items():
                found = analyzer.analyze(change(image, faces[0]), max_faces=1)
                answers[kind].append(
                    "not found" if not found
                    else found[0].reason or ("sure" if found[0].sure else "not sure")
                )  # fmt: skip
            seen += 1
            if seen == PER_CORPUS:
                break
    outcomes = ["sure", "not sure", "covered", "cut off", "turned", "perhaps no face", "not found"]
    print("| of 100 faces | " + " | ".join(outcomes) + " |")
    rows: list[_rows.Row] = []
    for kind, given in answers.items():
        shares = {name: 100 * given.count(name) / len(given) for name in outcomes}
        percent = [f"{share:.1f}" for share in shares.values()]
        print(f"| {kind} ({len(given)}) | " + " | ".join(percent) + " |")
        rows.append({"kind": kind, "faces": len(given)} | {f"{k}, %": v for k, v in shares.items()})
    return rows


def main() -> None:
    """Fit where that is asked for, and measure where the corpora are."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--fit", type=Path, metavar="PREPARED", help="folder of train prepare")
    _rows.add_option(parser)
    arguments = parser.parse_args()
    if arguments.fit:
        fit(arguments.fit)
    root = data_root()
    if not root.is_dir():
        print(f"No corpora in {root}; set EMOTION_DATA_ROOT to their folder.")
        return
    _rows.write(arguments.json, measure(root))


if __name__ == "__main__":
    main()
