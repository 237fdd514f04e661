"""Duplicates among prepared corpora: which rows show one photograph, and which of them stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset, DatasetDict

from emotion.align import CROP_SIZE
from train.corpora.dedup import (
    THUMBNAIL_SIDE,
    Indices,
    group,
    near_duplicates,
    resolve,
    thumbnail,
)
from train.corpora.published import TRAINING_SPLIT


@dataclass(frozen=True)
class DuplicateSummary:
    """What was found about photographs that occur more than once.

    Attributes:
        groups: photographs that occur more than once.
        across: those of them that occur in more than one corpus.
        leaks: training rows dropped because a held-out row shows the same photograph.
        repeats: training rows dropped because another training row does.
        conflicts: photographs under different labels, each as its ``corpus/sample: label``.
    """

    groups: int
    across: int
    leaks: int
    repeats: int
    conflicts: list[list[str]]


def without_duplicates(
    corpora: dict[str, DatasetDict],
) -> tuple[dict[str, DatasetDict], DuplicateSummary]:
    """Drop near-duplicates, searched in all corpora together, from their training splits.

    Every split but the training one is held out and stays as it is.

    Args:
        corpora: name -> splits with the columns of ``train.alignment.PREPARED``, all readable.
    """
    places = [(name, split) for name, splits in corpora.items() for split in splits]
    tables = [corpora[name][split] for name, split in places]
    groups = group(sum(map(len, tables)), copies(tables))
    source = [name for (name, _), t in zip(places, tables, strict=True) for _ in range(len(t))]
    sample = _column(tables, "sample_id")
    names = [f"{name}/{key}" for name, key in zip(source, sample, strict=True)]
    # Neutral rows of a training split are training rows too: they calibrate.
    held_out = np.array([s != TRAINING_SPLIT for s in _column(tables, "split")], np.bool_)
    duplicates = resolve(groups, _column(tables, "label"), held_out, names)
    kept: dict[str, DatasetDict] = {name: DatasetDict() for name in corpora}
    start = 0
    for (name, split), rows in zip(places, tables, strict=True):
        stays = duplicates.keep[start : start + len(rows)]
        kept[name][split] = rows.select(np.flatnonzero(stays))
        start += len(rows)
    original = _column(tables, "original_label")
    return kept, DuplicateSummary(
        groups=len(duplicates.groups),
        across=sum(len({source[i] for i in members}) > 1 for members in duplicates.groups),
        leaks=duplicates.leaks,
        repeats=duplicates.repeats,
        conflicts=[[f"{names[i]}: {original[i]}" for i in m] for m in duplicates.conflicts],
    )


def copies(tables: Sequence[Dataset]) -> Indices:
    """Search pairs of rows that show one photograph.

    Args:
        tables: readable rows with the columns of ``train.alignment.PREPARED``.

    Returns:
        int64 (P, 2), indices over all rows in order, the smaller one first.
    """
    faces = np.stack([thumbnail(crop) for crop in _pixels(tables, "px", CROP_SIZE)])
    # Neither search finds all: cropping differently hides a copy from the one, a face that was
    # found in only one of two copies from the other.
    pairs = [
        near_duplicates(_pixels(tables, "thumb", THUMBNAIL_SIDE)),
        near_duplicates(faces, np.array(_column(tables, "phash"), np.uint64)),
    ]
    return np.concatenate(pairs)


def _column(tables: Sequence[Dataset], name: str) -> list[Any]:
    columns = [rows.select_columns(name).with_format("arrow")[:].column(0) for rows in tables]
    return [value for column in columns for value in column.to_pylist()]


def _pixels(tables: Sequence[Dataset], name: str, side: int) -> npt.NDArray[np.uint8]:
    """Stack a column of square grey pictures: uint8 (N, side, side)."""
    return np.frombuffer(b"".join(_column(tables, name)), np.uint8).reshape(-1, side, side)
