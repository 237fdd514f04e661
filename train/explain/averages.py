"""The atlas of a network: its mean maps, and which parts decide about each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emotion.analyzer import Analyzer
from emotion.atlas import Atlas
from emotion.cover import PARTS
from emotion.labels import LABELS
from train.explain.measure import Faces, decisive

_BATCH = 128


def make_atlas(analyzer: Analyzer, corpora: Sequence[Faces], digest: str) -> Atlas:
    """Average the maps of answers, and count the parts that decide.

    Args:
        analyzer: computes the maps that are drawn.
        corpora: faces whose answers are sure.
        digest: of the weights.
    """
    counts = np.zeros(len(LABELS), np.int64)
    sums = np.zeros((len(LABELS), 8, 8))
    decided = np.zeros((len(LABELS), len(PARTS) + 1))
    for faces in corpora:
        for start in range(0, len(faces), _BATCH):
            rows = slice(start, start + _BATCH)
            _, maps, _ = analyzer.classify(faces.crops[rows])
            for answer, cams, test in zip(
                faces.answers[rows], maps, faces.tests[rows], strict=True
            ):
                part = decisive(test, int(answer))
                counts[answer] += 1
                sums[answer] += cams[answer]
                decided[answer, len(PARTS) if part is None else part] += 1
    seen = np.maximum(counts, 1)
    return Atlas(
        weights=digest,
        zoom=analyzer.network.config.zoom,
        faces=tuple(int(count) for count in counts),
        maps=(sums / seen[:, None, None]).round(6).tolist(),
        decisive=(decided / seen[:, None]).round(4).tolist(),
    )
