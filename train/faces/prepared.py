"""The folder that ``prepare`` wrote, as rows: its splits, the held-out part, the neutral faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset, DatasetDict, load_from_disk

from emotion.errors import ConfigError, DataError
from train.corpora import OTHER, SOURCES
from train.corpora.published import TRAINING_SPLIT
from train.corpora.schema import canonical_label

VALIDATION = "validation"
"""Names, for every corpus, the split that validates: an official one or a held-out part."""

TRAINING = "training"
"""Names what is trained on: all of ``train`` but that held-out part."""

VALIDATION_SPLITS = {"fer2013": "public", "affectnet": "valid", "synthetic": "valid"}
"""Published corpus -> the official split that validates; see ``validation_split``."""

HELD_OUT = 0.1
"""Share of each class that is held out where no official split validates."""


def validation_split(corpus: str) -> str | None:
    """Return the split that validates; None where a stratified part of ``train`` does."""
    if corpus in SOURCES:
        return VALIDATION_SPLITS.get(corpus)
    return "valid"  # anybody's pictures have one, see train.corpora.own


def prepared_corpora(directory: Path) -> list[str]:
    """List the corpora of a folder, sorted."""
    # A hidden folder is one that a killed preparation was still writing.
    return sorted(path.parent.name for path in directory.glob("[!.]*/dataset_dict.json"))


def prepared_zoom(directory: Path) -> float | None:
    """Return the scale of the crops (``emotion.align.template``), or None where no report says."""
    try:
        return float(_read_report(directory)["options"]["zoom"])
    except (ValueError, KeyError, TypeError):
        return None


def prepared_fingerprint(directory: Path) -> str:
    """Return what tells this preparation from any other; empty where no report says."""
    return str(_read_report(directory).get("fingerprint", ""))


def _read_report(directory: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((directory / "report.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def check_zoom(directory: Path, zoom: float) -> None:
    """Check that the crops have the scale that weights expect, where a report says which.

    Raises:
        ConfigError: if they do not.
    """
    prepared = prepared_zoom(directory)
    if prepared not in (None, zoom):
        raise ConfigError(
            f"{directory} was prepared with zoom {prepared}, and the weights expect {zoom}; "
            f"prepare again with --zoom {zoom}."
        )


def official_split(corpus: str, split: str) -> str:
    """Replace ``validation`` by the corpus's own word where it has one."""
    return validation_split(corpus) or split if split == VALIDATION else split


def read_rows(directory: Path, corpus: str, split: str) -> Dataset:
    """Read one split of a prepared corpus.

    Args:
        directory: folder that ``python -m train prepare`` wrote.
        corpus: its name.
        split: the corpus's own word, ``other``, or ``validation``; where that is not an official
            split, it is the part of ``train`` that ``fit`` holds out.

    Returns:
        Rows with the columns of ``train.faces.align_rows.PREPARED`` but ``thumb``.

    Raises:
        DataError: if the folder was not prepared, or lacks the corpus or the split.
    """
    if not (directory / corpus / "dataset_dict.json").exists():
        found = ", ".join(prepared_corpora(directory)) or "nothing"
        raise DataError(
            f"{directory} holds no prepared {corpus} (found: {found}); "
            f"run: python -m train prepare --corpus {corpus}=PATH --out {directory}"
        )
    splits = load_from_disk(str(directory / corpus))
    assert isinstance(splits, DatasetDict)
    split = official_split(corpus, split)
    stored = TRAINING_SPLIT if split == VALIDATION else split
    if stored not in splits:
        raise DataError(f"{corpus} has no split {stored!r}; it has {', '.join(splits)}.")
    rows = splits[stored]
    if split == VALIDATION:
        labels = np.array(rows["label"], np.int64)
        rows = rows.select(np.flatnonzero(held_out(labels, HELD_OUT, seed=0)))
    return rows


def read_neutral_rows(directory: Path, corpus: str, part: str) -> Dataset:
    """Read neutral faces; there may be none.

    Args:
        directory: folder that ``python -m train prepare`` wrote.
        corpus: its name.
        part: ``validation`` or ``training``; where no official split validates, each is a part of
            ``train``, as for the six expressions.
    """
    if not (directory / corpus / OTHER).exists():
        return read_rows(directory, corpus, VALIDATION).select([])
    rows = read_rows(directory, corpus, OTHER)
    official = validation_split(corpus)
    split = official if official and part == VALIDATION else TRAINING_SPLIT
    known = "expression" in rows.column_names  # faces of an earlier version lack it
    expressions = (
        rows["expression"]
        if known
        else [canonical_label(corpus, label) for label in rows["original_label"]]
    )
    chosen = np.flatnonzero(
        [
            of == split and expression == "neutral"
            for of, expression in zip(rows["split"], expressions, strict=True)
        ]
    )
    if not official:
        held = held_out(np.zeros(len(chosen), np.int64), HELD_OUT, seed=0)
        chosen = chosen[held if part == VALIDATION else ~held]
    return rows.select(chosen)


def held_out(
    labels: npt.NDArray[np.int64], share: float, seed: int, least: int = 0
) -> npt.NDArray[np.bool_]:
    """Choose a stratified part of a split.

    Args:
        labels: (N,) class of each row.
        share: part of each class that is chosen, 0..1.
        seed: the same seed chooses the same rows.
        least: so many rows of each class are chosen if there are.

    Returns:
        bool (N,), True for the chosen rows.
    """
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        chosen[random.permutation(members)[: max(least, round(share * len(members)))]] = True
    return chosen
