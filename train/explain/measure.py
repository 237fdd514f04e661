"""The measurements on the validation faces of a corpus, as one row per method."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from datasets import Dataset
from torch import Tensor
from tqdm import tqdm

from emotion.align import CROP_SIZE, template, umeyama
from emotion.analyzer import Analyzer
from emotion.cover import PARTS, CoverTest, part_masks
from emotion.labels import LABELS
from emotion.network import EmotionNet, normalise
from train.explain import metrics
from train.explain.methods import METHODS, all_maps, stages

NUMBERS = ("deletion", "insertion", "pointing", "right_half", "mirror_agreement", "sanity")
"""What every row has, see ``measure``."""

_TIMED = 30

Crops = npt.NDArray[np.uint8]
Row = dict[str, Any]


@dataclass(frozen=True)
class Faces:
    """Validation faces whose answers are sure, and what the cover test says of them.

    Attributes:
        crops: uint8 (N, 64, 64).
        answers: int64 (N,), the class that is explained: the answer.
        tests: their cover tests.
    """

    crops: Crops
    answers: npt.NDArray[np.int64]
    tests: list[CoverTest]

    def __len__(self) -> int:
        return len(self.crops)


def read_faces(rows: Dataset, zoom: float) -> tuple[Crops, npt.NDArray[np.bool_]]:
    """Read prepared faces that were found.

    Returns:
        Crops uint8 (N, 64, 64), and the masks of their parts, bool (N, 6, 64, 64).
    """
    known = [at for at, points in enumerate(rows["landmarks"]) if points is not None]
    found = np.array(rows["face_found"], np.bool_)
    chosen = rows.select([at for at in known if found[at]])
    crops = [np.frombuffer(px, np.uint8).reshape(CROP_SIZE, CROP_SIZE) for px in chosen["px"]]
    target, masks = template(zoom), []
    for flat in chosen["landmarks"]:
        points = np.array(flat, np.float64).reshape(5, 2)
        matrix = umeyama(points, target)
        masks.append(part_masks(points @ matrix[:, :2].T + matrix[:, 2]))
    return np.stack(crops), np.stack(masks)


def measure(network: EmotionNet, analyzer: Analyzer, faces: Faces) -> list[Row]:
    """Measure every method, with and without the mirror, and the maps that know nothing.

    Args:
        network: what is explained.
        analyzer: the same as it is served, in float32.
        faces: what is explained.

    Returns:
        One row each: method, stage (1 is the last; None for those that know nothing), mirror, and
        ``deletion, insertion, pointing, right_half, mirror_agreement, sanity``, all means over
        faces; ``sanity`` is the rank correlation with the map of the randomised network;
        ``pointing`` is None if no part is decisive in any face.
    """
    shuffled = metrics.randomised(network)
    sums: dict[tuple[str, int | None, bool], list[list[float]]] = {}
    blind = metrics.baseline_maps(len(faces))
    for at in tqdm(range(len(faces)), "explaining", leave=False):
        curves: dict[bytes, tuple[float, float]] = {}
        inputs = normalise(faces.crops[at : at + 1], network.config)
        target = torch.from_numpy(faces.answers[at : at + 1])
        trained, random = (all_maps(one, inputs, target) for one in (network, shuffled))
        for (name, stage), (straight, mirrored) in trained.items():
            agreement = metrics.correlation(_array(straight), _array(mirrored))
            others = random[name, stage]
            for mirror in (False, True):
                small = _array((straight + mirrored) / 2 if mirror else straight)
                without = _array((others[0] + others[1]) / 2 if mirror else others[0])
                values = _values(analyzer, faces, at, metrics.enlarge(small), curves)
                sanity = metrics.rank_correlation(small, without)
                row = [*values, 1.0 if mirror else agreement, sanity]
                sums.setdefault((name, stage, mirror), []).append(row)
        for name, maps in blind.items():
            mirrored_map = np.ascontiguousarray(maps[at][:, ::-1])
            row = [
                *_values(analyzer, faces, at, maps[at], curves),
                metrics.correlation(maps[at], mirrored_map),
                1.0 if name == "Gaussian" else 0.0,
            ]
            sums.setdefault((name, None, False), []).append(row)
    return [_row(key, values) for key, values in sums.items()]


def _values(
    analyzer: Analyzer, faces: Faces, at: int, cam: metrics.Map, curves: dict[bytes, Any]
) -> list[float]:
    """Deletion, insertion, whether it points at the decisive part (nan: none is), right half."""
    scaled = cam / max(float(cam.max()), 1e-12)
    # Methods that give the same map up to scale give the same curves.
    key = np.rint(scaled * 1e4).astype(np.int16).tobytes()
    if key not in curves:
        asked, *_ = analyzer.classify(metrics.deletion_steps(faces.crops[at], cam))
        curves[key] = metrics.areas(asked[:, faces.answers[at]])
    part = decisive(faces.tests[at], int(faces.answers[at]))
    hit = np.nan
    if part is not None:
        hit = float(metrics.pointed_part(cam, faces.tests[at].masks) == part)
    return [*curves[key], hit, metrics.right_share(cam)]


def decisive(test: CoverTest, index: int) -> int | None:
    """The part whose covering takes most from the answer, if the cover test names any."""
    if test.finding(index).part is None:
        return None
    return int((test.probabilities[index] - test.covered[:, index]).argmax())


def _row(key: tuple[str, int | None, bool], values: list[list[float]]) -> Row:
    numbers: Row = {}
    for name, column in zip(NUMBERS, np.array(values).T, strict=True):
        known = column[~np.isnan(column)]
        numbers[name] = round(float(known.mean()), 4) if len(known) else None
    method, stage, mirror = key
    return {"method": method, "stage": stage, "mirror": mirror, **numbers}


def describe(tests: list[CoverTest], others: list[CoverTest]) -> Row:
    """Say what the cover test says, and how often two ways of making it agree.

    Args:
        tests: of sure answers.
        others: of the same faces, made with another fill or by another engine.
    """
    pairs = [(one.finding(), other.finding()) for one, other in zip(tests, others, strict=True)]
    named = [(a, b) for a, b in pairs if a.part is not None]
    true = [
        other.probabilities.argmax() == LABELS.index(a.label)
        and other.covered[PARTS.index(str(a.part))].argmax() == LABELS.index(str(a.other))
        for other, (a, _) in zip(others, pairs, strict=True)
        if a.kind == "turns"
    ]
    kinds = Counter(a.kind for a, _ in pairs)
    same = [(a.kind, a.part, a.other) == (b.kind, b.part, b.other) for a, b in pairs]
    return {
        "n": len(pairs),
        "kinds": dict(kinds.most_common()),
        "same_sentence": _share(same),
        "same_part": _share([a.part == b.part for a, b in named]),
        "turned": len(true),
        "turned_true": _share(true),
    }


def _share(hits: list[Any]) -> float | None:
    return round(float(np.mean(hits)), 4) if hits else None


def milliseconds(network: EmotionNet, crops: Crops) -> dict[tuple[str, int], float]:
    """Median time of one map in ms beyond the answer itself, by method and stage, in torch.

    At the last stage every gradient is known without a pass backward; at the one before, a pass
    forward and one backward are needed.
    """
    taken: dict[tuple[str, int], float] = {}
    inputs = normalise(crops[:1], network.config)
    target = torch.zeros(1, dtype=torch.int64)
    passes = _median(lambda: stages(network, inputs, target))
    for number, stage in enumerate(stages(network, inputs, target), 1):
        for name, method in METHODS.items():
            if name != "CAM" or number == 1:
                own = _median(lambda method=method, stage=stage: method(stage))
                taken[name, number] = round(own + (passes if number > 1 else 0.0), 2)
    return taken


def _median(call: Any) -> float:
    times = []
    for _ in range(_TIMED):
        began = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - began))
    return float(np.median(times))


def _array(maps: Tensor) -> metrics.Map:
    return np.asarray(maps[0].numpy(), np.float32)
