"""The faces of a split that weights are measured on: aligned from its pictures, or prepared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from datasets import Dataset, concatenate_datasets
from tqdm import tqdm

from emotion.align import CROP_SIZE
from emotion.errors import ConfigError, DataError
from train.config.faces import AlignConfig
from train.corpora import OTHER, class_indices, load_corpus, parse_corpus
from train.corpora.published import TRAINING_SPLIT
from train.faces.align_rows import align_in_batches
from train.faces.copies import Excluded
from train.faces.prepared import VALIDATION, check_zoom, read_rows
from train.faces.report import print_findings


@dataclass(frozen=True)
class Crops:
    """Faces that show one of the six expressions.

    Attributes:
        px: uint8 (N, 64, 64), grey; black where the picture could not be read.
        labels: int64 (N,), 0..5.
        second: int64 (N,), what another annotation says, -1 where it names none of the six.
        not_found: how many faces were not found and are cut plainly.
        unreadable: one sentence for each picture that could not be read.
    """

    px: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    not_found: int
    unreadable: tuple[str, ...] = ()


def load_rows(corpus: str, split: str, excluded: Excluded, prepared: Path | None = None) -> Dataset:
    """Load the pictures of one split of a corpus, or of ``all`` of them.

    Args:
        corpus: NAME=PATH.
        split: the corpus's own word, or ``all``.
        excluded: what is left out.
        prepared: folder that ``prepare`` wrote: load the pictures of the faces that are in its
            split, which may be ``validation``.

    Returns:
        Rows of ``train.corpora.FEATURES``, at least one.

    Raises:
        DataError: if corpus or split is not there or shows none of the six expressions.
    """
    name, path = parse_corpus(corpus)
    stored = TRAINING_SPLIT if prepared and split == VALIDATION else split
    loaded = load_corpus(name, path, splits=[stored])
    print_findings(loaded)
    rows = concatenate_datasets([data for key, data in loaded.splits.items() if key != OTHER])
    if prepared:
        wanted = set(read_rows(prepared, name, split)["sample_id"])
        rows = rows.select([i for i, key in enumerate(rows["sample_id"]) if key in wanted])
    if not len(rows):
        raise DataError(f"{corpus} has no picture of the six expressions in {split}.")
    return excluded.leave_out(rows)


def align_crops(rows: Dataset, zoom: float, description: str) -> Crops:
    """Align pictures as ``prepare`` does; one that cannot be read becomes a black crop.

    Leaving it out would flatter.

    Args:
        rows: of ``train.corpora.FEATURES``.
        zoom: see ``emotion.align.template``.
        description: for the progress bar.
    """
    px: list[bytes] = []
    labels: list[int] = []
    found: list[bool] = []
    unreadable: list[str] = []
    with tqdm(total=len(rows), desc=f"aligning {description}", unit=" images") as bar:
        for batch in align_in_batches(rows, AlignConfig(zoom=zoom)):
            px += [crop or bytes(CROP_SIZE * CROP_SIZE) for crop in batch["px"]]
            labels += batch["label"]
            found += batch["face_found"]
            unreadable += [error for error in batch["error"] if error]
            bar.update(len(batch["px"]))
    second = class_indices(rows["second_label"])
    return Crops(_stack(px), np.array(labels), second, found.count(False), tuple(unreadable))


def read_crops(directory: Path, corpus: str, split: str, zoom: float, excluded: Excluded) -> Crops:
    """Read prepared faces, see ``train.faces.prepared.read_rows``, without unreadable ones.

    Raises:
        ConfigError: if the faces were prepared with another zoom, or ``split`` is ``other``.
        DataError: if the folder lacks the corpus or the split.
    """
    if split == OTHER:
        raise ConfigError(
            f"The faces in {OTHER} show none of the six expressions, so nothing can be right; "
            "python -m train calibrate measures how often they are answered."
        )
    check_zoom(directory, zoom)
    rows = excluded.leave_out(read_rows(directory, corpus, split))
    labels = np.array(rows["label"], np.int64)
    second = class_indices(rows["second_label"])
    return Crops(_stack(rows["px"]), labels, second, list(rows["face_found"]).count(False))


def _stack(px: list[bytes]) -> npt.NDArray[np.uint8]:
    # torch takes only arrays that may be written to.
    return np.frombuffer(bytearray(b"".join(px)), np.uint8).reshape(-1, CROP_SIZE, CROP_SIZE)
