"""Published sizes of the corpora, against which every loaded corpus is checked.

Counts per expression of the official splits: FER-2013 (Goodfellow et al. 2013), RAF-DB basic
(Li et al. 2017), AffectNet with eight expressions (Mollahosseini et al. 2017). Mirrors are
repackaged and often differ, so a difference is reported, not refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from emotion.labels import LABELS

_NAMES = (*LABELS, "neutral", "contempt")

SPLITS: dict[str, tuple[str, ...]] = {
    "fer2013": ("train", "public", "private"),
    "raf-db": ("train", "test"),
    "affectnet": ("train", "valid", "test"),
    "synthetic": ("train", "valid", "test"),
}
"""Corpus -> its own split words, in order."""

OWN_SPLITS = ("train", "valid", "test")
"""Those of anybody's pictures; ``valid`` is always there, see ``train.corpora.own``."""

TRAINING_SPLIT = "train"
"""The split that may be trained on; the same word in every corpus."""

_COUNTS: dict[str, dict[str, tuple[int, ...]]] = {
    "fer2013": {
        "train": (7215, 3171, 4830, 3995, 436, 4097, 4965),
        "public": (895, 415, 653, 467, 56, 496, 607),
        "private": (879, 416, 594, 491, 55, 528, 626),
    },
    "raf-db": {
        "train": (4772, 1290, 1982, 705, 717, 281, 2524),
        "test": (1185, 329, 478, 162, 160, 74, 680),
    },
    "affectnet": {
        "train": (134_415, 14_090, 25_459, 24_882, 3_803, 6_378, 74_874, 3_750),
        "valid": (500, 500, 500, 500, 500, 500, 500, 500),
    },
}

PUBLISHED: dict[str, dict[str, dict[str, int]]] = {
    corpus: {split: dict(zip(_NAMES, counts, strict=False)) for split, counts in splits.items()}
    for corpus, splits in _COUNTS.items()
}
"""Corpus -> split -> canonical name -> published number of images."""


def splits_of(corpus: str) -> tuple[str, ...]:
    """Return the split words of a corpus, in order."""
    return SPLITS.get(corpus, OWN_SPLITS)


def differences(corpus: str, found: Mapping[str, Mapping[str, int]]) -> tuple[str, ...]:
    """Compare class counts with the published ones.

    Args:
        corpus: name of the corpus.
        found: split -> canonical name -> number of images, for the splits that were loaded.

    Returns:
        One sentence per split that is not exactly as published; empty if all are.
    """
    sentences = []
    for split, counts in found.items():
        published = PUBLISHED.get(corpus, {}).get(split)
        if published is None:
            continue
        parts = [
            f"{name} {counts.get(name, 0):,} (published {number:,})"
            for name, number in published.items()
            if counts.get(name, 0) != number
        ]
        if parts:
            sentences.append(
                f"{corpus} {split} differs from the published counts: {', '.join(parts)}."
            )
    return tuple(sentences)
