"""Duplicates among prepared corpora: which rows show one photograph, and what is left of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset, DatasetDict

from emotion.align import CROP_SIZE
from emotion.labels import LABELS
from train.corpora.published import TRAINING_SPLIT
from train.faces.align_rows import with_columns
from train.faces.near_duplicates import (
    THUMBNAIL_SIDE,
    Duplicates,
    Indices,
    group,
    near_duplicates,
    resolve,
    thumbnail,
)


@dataclass(frozen=True)
class DuplicateSummary:
    """What was found about photographs that occur more than once.

    Attributes:
        groups: photographs that occur more than once.
        across: those of them that occur in more than one corpus.
        leaks: training rows dropped because a held-out row shows the same photograph.
        repeats: training rows that became part of another one of the same photograph.
        conflicts: photographs under different labels, each as its ``corpus/sample: label``.
        averaged: training rows that are learnt with the mean of several labels therefore.
    """

    groups: int
    across: int
    leaks: int
    repeats: int
    conflicts: list[list[str]]
    averaged: int = 0


def without_duplicates(
    corpora: dict[str, DatasetDict],
) -> tuple[dict[str, DatasetDict], DuplicateSummary]:
    """Make near-duplicates, searched in all corpora together, one training row of a photograph.

    Every split but the training one is held out and stays as it is; training rows that show its
    photographs are dropped. Of others that repeat one another one row stays, with what is known of
    all of them: the mean of their labels and of how calm they are, and the votes of its own corpus.

    Args:
        corpora: name -> splits with the columns of ``train.faces.align_rows.PREPARED``, all
            readable.
    """
    places = [(name, split) for name, splits in corpora.items() for split in splits]
    tables = [corpora[name][split] for name, split in places]
    groups = group(sum(map(len, tables)), copies(tables))
    source = [name for (name, _), t in zip(places, tables, strict=True) for _ in range(len(t))]
    sample = _column(tables, "sample_id")
    names = [f"{name}/{key}" for name, key in zip(source, sample, strict=True)]
    # Neutral rows of a training split are training rows too: they calibrate.
    held_out = np.array([s != TRAINING_SPLIT for s in _column(tables, "split")], np.bool_)
    labels = _column(tables, "label")
    duplicates = resolve(groups, labels, held_out, names)
    repeated = [rows for rows in duplicates.groups if not held_out[list(rows)].any()]
    merged = {_kept(rows, duplicates): rows for rows in repeated}
    columns = {name: _column(tables, name) for name in ("label", "votes", "calm")}
    changes = _merge(merged, {**columns, "corpus": source})
    kept: dict[str, DatasetDict] = {name: DatasetDict() for name in corpora}
    start = 0
    for (name, split), rows in zip(places, tables, strict=True):
        own = {row - start: changes[row] for row in changes if 0 <= row - start < len(rows)}
        stays = np.flatnonzero(duplicates.keep[start : start + len(rows)])
        kept[name][split] = _changed(rows, own).select(stays)
        start += len(rows)
    original = _column(tables, "original_label")
    return kept, DuplicateSummary(
        groups=len(duplicates.groups),
        across=sum(len({source[i] for i in members}) > 1 for members in duplicates.groups),
        leaks=duplicates.leaks,
        repeats=duplicates.repeats,
        averaged=sum(change["label_mean"] is not None for change in changes.values()),
        conflicts=[[f"{names[i]}: {original[i]}" for i in m] for m in duplicates.conflicts],
    )


def _kept(rows: Sequence[int], duplicates: Duplicates) -> int:
    (row,) = (row for row in rows if duplicates.keep[row])
    return row


def _merge(
    merged: Mapping[int, Sequence[int]], columns: Mapping[str, list[Any]]
) -> dict[int, dict[str, Any]]:
    """Return what is known of each photograph that has several rows.

    Args:
        merged: the row that stays -> all rows of its photograph.
        columns: label, votes, calm and corpus of all rows.

    Returns:
        The row that stays -> its new label_mean, votes and calm. ``label_mean`` is null where all
        its rows of the six expressions agree, or the row that stays is none of them. Votes are
        those of its own corpus, since soft labels are fitted corpus by corpus.
    """
    changes = {}
    for row, rows in merged.items():
        labels = [columns["label"][i] for i in rows if columns["label"][i] >= 0]
        mixed = columns["label"][row] >= 0 and len(set(labels)) > 1
        own = [i for i in rows if columns["corpus"][i] == columns["corpus"][row]]
        votes = [columns["votes"][i] for i in own if columns["votes"][i] is not None]
        calm = [columns["calm"][i] for i in rows if columns["calm"][i] is not None]
        changes[row] = {
            "label_mean": np.eye(len(LABELS))[labels].mean(0).tolist() if mixed else None,
            "votes": np.sum(votes, axis=0).tolist() if votes else None,
            "calm": float(np.mean(calm)) if calm else None,
        }
    return changes


def _changed(rows: Dataset, changes: Mapping[int, Mapping[str, Any]]) -> Dataset:
    """Replace cells: row -> column -> value."""
    if not changes:
        return rows
    columns = {name: list(rows[name]) for name in next(iter(changes.values()))}
    for row, cells in changes.items():
        for name, value in cells.items():
            columns[name][row] = value
    return with_columns(rows, columns)


def copies(tables: Sequence[Dataset]) -> Indices:
    """Search pairs of rows that show one photograph.

    Args:
        tables: readable rows with the columns of ``train.faces.align_rows.PREPARED``.

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
