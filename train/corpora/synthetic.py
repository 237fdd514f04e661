"""Drawn faces as a corpus: they need no download and carry their exact landmarks."""

from __future__ import annotations

from emotion.errors import ConfigError
from emotion.labels import SEVEN_LABELS
from train.corpora.drawing import draw_face
from train.corpora.schema import Reading, Sample

DEFAULT_COUNT = 1400
MIN_COUNT = 70
MAX_COUNT = 100_000

_BLOCK = 10  # of ten consecutive images of a class, eight are for training


def parse_count(text: str | None) -> int:
    """Return the number of images that ``synthetic=COUNT`` asks for.

    Raises:
        ConfigError: if it is no whole number from ``MIN_COUNT`` to ``MAX_COUNT``.
    """
    if text is None:
        return DEFAULT_COUNT
    if not text.isdecimal() or not MIN_COUNT <= int(text) <= MAX_COUNT:
        raise ConfigError(
            f"synthetic={text} must give a number of images from {MIN_COUNT} to {MAX_COUNT:,}."
        )
    return int(text)


def read(count: int, seed: int = 0) -> Reading:
    """Draw ``count`` faces, the same number of every expression and of neutral.

    Image ``i`` depends on ``seed`` and ``i`` alone, so a larger corpus starts with the smaller one.
    """
    samples = []
    for index in range(count):
        label = SEVEN_LABELS[index % len(SEVEN_LABELS)]
        image, landmarks = draw_face(label, seed, index)
        name = f"face_{index:06d}"
        samples.append(
            Sample(
                name,
                _split(index // len(SEVEN_LABELS)),
                label,
                label,
                f"{name}.jpg",
                image=image,
                landmarks=landmarks,
            )
        )
    return Reading("drawn faces", samples, [])


def _split(round_number: int) -> str:
    return {8: "valid", 9: "test"}.get(round_number % _BLOCK, "train")
