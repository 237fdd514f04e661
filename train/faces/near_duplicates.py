"""Near-duplicates: the same photograph twice, in one corpus or in two, maybe labelled differently.

Pure functions on arrays. A 64-bit perceptual hash proposes pairs, the pixels confirm them, pairs
are joined to groups, and a rule decides which rows of a group stay. The thresholds were set by
looking at pairs of the three corpora, raw and aligned: within eight bits, every pair looked
at with a correlation of 0.93 or more was one photograph, or one person in two frames of a series;
below it, RAF-DB's tight crops show different people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

THUMBNAIL_SIDE = 32

MAX_DISTANCE = 8
"""Largest number of differing hash bits of a pair."""

MIN_CORRELATION = 0.93
"""Smallest correlation of the thumbnails of a pair; it ignores brightness and contrast."""

Thumbnails = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

_FREQUENCIES = 8
_BATCH = 4096
_BLOCKS, _BLOCK_BITS = MAX_DISTANCE + 1, 7  # cover the 63 bits that the hash uses


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Which rows stay, and why the others do not.

    Attributes:
        keep: bool (N,).
        groups: indices of rows that show the same photograph, for every group of at least two.
        conflicts: those groups whose rows do not all have the same label.
        leaks: training rows dropped because a held-out row shows the same photograph.
        repeats: training rows dropped because another training row stands for them.
    """

    keep: npt.NDArray[np.bool_]
    groups: tuple[tuple[int, ...], ...]
    conflicts: tuple[tuple[int, ...], ...]
    leaks: int
    repeats: int


def thumbnail(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Reduce a grey image (H, W) to the uint8 (32, 32) that hash and comparison work on."""
    size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def perceptual_hashes(thumbnails: Thumbnails) -> npt.NDArray[np.uint64]:
    """Hash thumbnails so that similar images differ in few bits.

    The 8x8 lowest frequencies of the discrete cosine transform, without the constant one, are
    compared with their median (Zauner 2010). Brightness and contrast do not matter.

    Args:
        thumbnails: uint8 (N, 32, 32).

    Returns:
        uint64 (N,); the top bit is always 0.
    """
    frequency = np.arange(_FREQUENCIES)[:, None]
    position = np.arange(THUMBNAIL_SIDE)[None, :]
    basis = np.cos(np.pi * (2 * position + 1) * frequency / (2 * THUMBNAIL_SIDE))
    hashes = np.empty(len(thumbnails), np.uint64)
    for start in range(0, len(thumbnails), _BATCH):
        batch = thumbnails[start : start + _BATCH].astype(np.float64)
        batch -= batch.mean((1, 2), keepdims=True)
        spectrum = (basis @ batch @ basis.T).reshape(len(batch), -1)[:, 1:]
        spectrum = spectrum.round(3)  # rounding errors must not decide the bits of a flat image
        bits = spectrum > np.median(spectrum, axis=1, keepdims=True)
        padded = np.pad(bits, ((0, 0), (1, 0)))
        hashes[start : start + _BATCH] = np.packbits(padded, axis=1).view(">u8")[:, 0]
    return hashes


def near_duplicates(
    thumbnails: Thumbnails, hashes: npt.NDArray[np.uint64] | None = None
) -> Indices:
    """Find all pairs of near-identical images.

    Args:
        thumbnails: uint8 (N, 32, 32).
        hashes: their ``perceptual_hashes``, if known.

    Returns:
        int64 (P, 2), the smaller index first, sorted.
    """
    if hashes is None:
        hashes = perceptual_hashes(thumbnails)
    found = [np.empty((0, 2), np.int64), *_close_hashes(hashes)]
    pairs = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    similar = np.empty(len(pairs), np.bool_)
    for start in range(0, len(pairs), _BATCH):
        first, second = pairs[start : start + _BATCH].T
        similar[start : start + _BATCH] = _similar(thumbnails[first], thumbnails[second])
    return np.asarray(pairs[similar])


def group(count: int, pairs: Indices) -> Indices:
    """Join pairs to groups.

    Args:
        count: number of images.
        pairs: int64 (P, 2); pairs from several comparisons may be concatenated.

    Returns:
        int64 (count,): for every image the smallest index in its group, its own if it is alone.
    """
    groups = np.arange(count)
    while True:
        smallest = groups[pairs].min(axis=1)
        joined = groups.copy()
        np.minimum.at(joined, pairs[:, 0], smallest)
        np.minimum.at(joined, pairs[:, 1], smallest)
        if np.array_equal(joined, groups):
            return groups
        groups = joined


def resolve(
    groups: Indices,
    labels: Sequence[int],
    held_out: npt.NDArray[np.bool_],
    keys: Sequence[str],
) -> Duplicates:
    """Decide which rows of each group stay.

    Held-out rows always stay. A group with one loses all its training rows; any other keeps one
    training row, with the label that most of the group has. The decision depends on the rows
    alone, not on their order.

    Args:
        groups: as ``group`` returns them.
        labels: label of each row.
        held_out: bool (N,), rows of validation and test splits.
        keys: unique name of each row, which decides between equals.
    """
    keep = np.ones(len(groups), np.bool_)
    members: dict[int, list[int]] = {}
    for index in np.flatnonzero(np.bincount(groups, minlength=len(groups))[groups] > 1):
        members.setdefault(int(groups[index]), []).append(int(index))
    repeated = [sorted(rows, key=keys.__getitem__) for rows in members.values()]
    repeated.sort(key=lambda rows: keys[rows[0]])
    leaks = repeats = 0
    for rows in repeated:
        training = [row for row in rows if not held_out[row]]
        if len(training) < len(rows):
            leaks += len(training)
        else:
            votes = Counter(labels[row] for row in rows)
            chosen = min(rows, key=lambda row: (-votes[labels[row]], keys[row]))
            training.remove(chosen)
            repeats += len(training)
        keep[training] = False
    conflicts = [rows for rows in repeated if len({labels[row] for row in rows}) > 1]
    return Duplicates(
        keep, tuple(map(tuple, repeated)), tuple(map(tuple, conflicts)), leaks, repeats
    )


def _close_hashes(hashes: npt.NDArray[np.uint64]) -> Iterator[Indices]:
    """Yield all pairs at most ``MAX_DISTANCE`` bits apart, some of them several times.

    With one block of bits more than bits may differ, each such pair agrees in at least one block:
    only hashes with an equal block have to be compared (Norouzi et al. 2012).
    """
    for block in range(_BLOCKS):
        shift, mask = np.uint64(_BLOCK_BITS * block), np.uint64(2**_BLOCK_BITS - 1)
        keys = ((hashes >> shift) & mask).astype(np.int64)
        order = np.argsort(keys, kind="stable")
        bounds = np.searchsorted(keys[order], np.arange(2**_BLOCK_BITS + 1))
        for start, end in pairwise(bounds):
            rows = order[start:end]
            own = hashes[rows]
            for at in range(0, len(rows), 64):  # small tiles stay in the cache
                distance = np.bitwise_count(own[at : at + 64, None] ^ own[None, at:])
                first, second = np.nonzero(distance <= MAX_DISTANCE)
                later = second > first
                yield np.stack([rows[first[later] + at], rows[second[later] + at]], axis=1)


def _similar(first: Thumbnails, second: Thumbnails) -> npt.NDArray[np.bool_]:
    a, b = (images.reshape(len(images), -1).astype(np.float64) for images in (first, second))
    a -= a.mean(axis=1, keepdims=True)
    b -= b.mean(axis=1, keepdims=True)
    spread = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    correlated = (a * b).sum(axis=1) >= MIN_CORRELATION * spread
    # Two images without any content are the same image; one of them resembles nothing else.
    flat = (~a.any(axis=1)) == (~b.any(axis=1))
    return np.asarray(correlated & flat)
