"""Prepared faces in memory: uint8 crops and their labels, gathered per batch without workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from datasets import Dataset
from torch import Tensor

from emotion.align import CROP_SIZE
from train.prepared import held_out, read_neutral_rows, read_rows


@dataclass(frozen=True)
class FaceStore:
    """Aligned faces of one or more splits.

    Attributes:
        faces: uint8 (N, 64, 64), grey.
        labels: int64 (N,), 0..5.
        found: bool (N,), False where no face was found and the plain crop is used.
    """

    faces: Tensor
    labels: Tensor
    found: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self, classes: int) -> npt.NDArray[np.int64]:
        """Return the number of faces per class, (classes,)."""
        return np.bincount(self.labels.numpy(), minlength=classes)


def read_split(directory: Path, corpus: str, split: str) -> FaceStore:
    """Read one split that ``python -m train prepare`` wrote.

    Raises:
        DataError: if the folder was not prepared, or lacks the corpus or the split.
    """
    return from_dataset(read_rows(directory, corpus, split))


def read_neutral(directory: Path, corpora: Iterable[str]) -> dict[str, FaceStore]:
    """Read the neutral faces of each corpus that has some, see ``read_neutral_rows``.

    Their labels are ``train.corpora.NO_LABEL``.
    """
    rows = {corpus: read_neutral_rows(directory, corpus) for corpus in corpora}
    return {corpus: from_dataset(found) for corpus, found in rows.items() if len(found)}


def from_dataset(dataset: Dataset) -> FaceStore:
    """Turn prepared rows (columns ``px``, ``label``, ``face_found``) into a store."""
    table = dataset.with_format("arrow")[:]
    pixels = b"".join(table.column("px").to_pylist())
    faces = np.frombuffer(bytearray(pixels), np.uint8).reshape(-1, CROP_SIZE, CROP_SIZE)
    return FaceStore(
        torch.from_numpy(faces),
        torch.tensor(table.column("label").to_pylist(), dtype=torch.int64),
        torch.tensor(table.column("face_found").to_pylist(), dtype=torch.bool),
    )


def concatenate(stores: list[FaceStore]) -> FaceStore:
    """Join stores in the given order."""
    return FaceStore(
        torch.cat([store.faces for store in stores]),
        torch.cat([store.labels for store in stores]),
        torch.cat([store.found for store in stores]),
    )


def shuffled_batches(
    store: FaceStore, batch_size: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield every face once in random order, dropping the incomplete last batch.

    Yields:
        uint8 (B, 64, 64) and int64 (B,).
    """
    order = torch.randperm(len(store), generator=generator)
    for start in range(0, len(order) - batch_size + 1, batch_size):
        chosen = order[start : start + batch_size]
        yield store.faces[chosen], store.labels[chosen]


def hold_out(store: FaceStore, share: float, seed: int) -> tuple[FaceStore, FaceStore]:
    """Split off a stratified part for validation where a corpus has no split for it.

    Args:
        store: all faces of the training split.
        share: part of each class that is held out, 0..1.
        seed: the same seed holds out the same faces.

    Returns:
        The remaining faces and the held-out ones, each in their old order.
    """
    held = held_out(store.labels.numpy(), share, seed)
    return _select(store, ~held), _select(store, held)


def _select(store: FaceStore, mask: npt.NDArray[np.bool_]) -> FaceStore:
    chosen = torch.from_numpy(mask)
    return FaceStore(store.faces[chosen], store.labels[chosen], store.found[chosen])
