"""Prepared faces in memory: uint8 crops and their labels, gathered per batch without workers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
import torch.nn.functional as F
from datasets import Dataset
from torch import Tensor

from emotion.align import CROP_SIZE
from emotion.labels import LABELS, SEVEN_LABELS
from train.config.options import Annotation
from train.corpora import NO_LABEL, class_indices
from train.corpora.published import TRAINING_SPLIT
from train.faces.prepared import VALIDATION, held_out, read_neutral_rows, read_rows


@dataclass(frozen=True)
class FaceStore:
    """Aligned faces of one or more splits.

    Attributes:
        faces: uint8 (N, 64, 64), grey.
        labels: int64 (N,), 0..5, or places in ``classes``; ``train.corpora.NO_LABEL`` for none.
        found: bool (N,), False where no face was found and the plain crop is used.
        soft: float32 (N, 6), rows sum to 1: the class probabilities that are learnt instead of the
            labels, or None where the labels say it all.
        classes: names of the classes.
        calm: float32 (N,), share of people who would call the face calm, 0..1, or NaN where nobody
            was asked; None where that holds for all.
        corpus: int64 (N,), place of each face's corpus among those that are trained on; None where
            nobody needs it.
    """

    faces: Tensor
    labels: Tensor
    found: Tensor
    soft: Tensor | None = None
    classes: tuple[str, ...] = LABELS
    calm: Tensor | None = None
    corpus: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def targets(self) -> Tensor:
        """Class probabilities to learn, float32 (N, 6)."""
        if self.soft is not None:
            return self.soft
        return F.one_hot(self.labels, len(self.classes)).float()

    def select(self, rows: Tensor) -> FaceStore:
        """Return some of the faces: ``rows`` are indices (M,) or a mask (N,)."""
        return replace(
            self,
            faces=self.faces[rows],
            labels=self.labels[rows],
            found=self.found[rows],
            soft=None if self.soft is None else self.soft[rows],
            calm=None if self.calm is None else self.calm[rows],
            corpus=None if self.corpus is None else self.corpus[rows],
        )

    def to(self, device: torch.device) -> FaceStore:
        """Return the faces with all that is known of them on a device."""
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors = {name: x.to(device) for name, x in values.items() if isinstance(x, Tensor)}
        return replace(self, **(values | tensors))

    def counts(self) -> npt.NDArray[np.int64]:
        """Return the number of faces of each class, (6,)."""
        labels = self.labels[self.labels >= 0]
        return np.bincount(labels.numpy(), minlength=len(self.classes))


def read_split(
    directory: Path,
    corpus: str,
    split: str,
    annotation: Annotation = "first",
    *,
    soft_labels: bool = False,
    soft_share: float = 0.5,
) -> FaceStore:
    """Read one split that ``python -m train prepare`` wrote.

    Args:
        directory: that folder.
        corpus: name of the corpus.
        split: the corpus's own word.
        annotation: see ``from_dataset``.
        soft_labels: see ``from_dataset``.
        soft_share: see ``from_dataset``.

    Raises:
        DataError: if the folder was not prepared, or lacks the corpus or the split.
    """
    rows = read_rows(directory, corpus, split)
    return from_dataset(rows, annotation, soft_labels=soft_labels, soft_share=soft_share)


def softened(directory: Path, corpus: str) -> bool:
    """Tell whether a training face has a soft label or a second one, see ``from_dataset``."""
    table = read_rows(directory, corpus, TRAINING_SPLIT).with_format("arrow")
    columns = [name for name in ("soft_label", "second_label") if name in table.column_names]
    rows = table.select_columns(columns)[:]
    return any(rows.column(name).null_count < len(rows) for name in columns)


def read_neutral(directory: Path, corpora: Iterable[str]) -> dict[str, FaceStore]:
    """Read the neutral faces that calibrate and measure, of each corpus that has some.

    They are those of the official split that validates, or a held-out tenth of ``train``; none of
    them is trained on. Their labels are ``train.corpora.NO_LABEL``.
    """
    rows = {corpus: read_neutral_rows(directory, corpus, VALIDATION) for corpus in corpora}
    return {corpus: from_dataset(found) for corpus, found in rows.items() if len(found)}


def add_neutral(faces: FaceStore, neutral: FaceStore) -> FaceStore:
    """Put neutral faces behind those of the six expressions, as a seventh class."""
    seventh = replace(
        neutral, labels=torch.full_like(neutral.labels, len(LABELS)), classes=SEVEN_LABELS
    )
    soft = None if faces.soft is None else F.pad(faces.soft, (0, 1))
    return concatenate([replace(faces, soft=soft, classes=SEVEN_LABELS), seventh])


def add_outliers(faces: FaceStore, outliers: FaceStore, *, uniform: bool = True) -> FaceStore:
    """Put faces of no class behind the others.

    Args:
        faces: those that show one of the classes.
        outliers: those that show none.
        uniform: learn of them that all classes are as likely; otherwise nothing about classes.
    """
    classes = len(faces.classes)
    share = 1 / classes if uniform else 0.0
    return concatenate([faces, replace(outliers, soft=torch.full((len(outliers), classes), share))])


def from_dataset(
    dataset: Dataset,
    annotation: Annotation = "first",
    *,
    soft_labels: bool = False,
    soft_share: float = 0.5,
) -> FaceStore:
    """Turn prepared rows (columns of ``train.faces.align_rows.PREPARED``) into a store.

    A photograph that occurs several times under different labels is learnt with their mean.

    Args:
        dataset: rows of the six expressions.
        annotation: which annotation counts where a row has a second one. With ``second``, rows that
            it calls neutral or contempt are left out; the ``mean`` of such a row is the first.
        soft_labels: learn ``(1 - soft_share) * label + soft_share * other``, where somebody else
            said something about the face: its ``soft_label``, or else the annotation that does not
            count. With ``mean`` both annotations count.
        soft_share: share of the others, 0..1.
    """
    table = dataset.with_format("arrow")[:]
    pixels = b"".join(table.column("px").to_pylist())
    faces = np.frombuffer(bytearray(pixels), np.uint8).reshape(-1, CROP_SIZE, CROP_SIZE)
    first = torch.tensor(table.column("label").to_pylist(), dtype=torch.int64)
    found = torch.tensor(table.column("face_found").to_pylist(), dtype=torch.bool)
    calm = torch.tensor(_cells(table, "calm", torch.nan)) if "calm" in table.column_names else None
    given = _cells(table, "second_label", None)
    second = torch.from_numpy(class_indices(given))
    labels = torch.where(second >= 0, second, first) if annotation == "second" else first
    targets = _one_hot(labels)
    _put(targets, _cells(table, "label_mean", None), where=labels == first)
    if annotation == "mean":
        targets = _mixed(targets, _one_hot(second), 0.5)
    if soft_labels:
        aside = {"first": second, "second": first, "mean": torch.full_like(first, NO_LABEL)}
        others = _one_hot(aside[annotation])
        _put(others, _cells(table, "soft_label", None))
        targets = _mixed(targets, others, soft_share)
    soft = None if torch.equal(targets, _one_hot(labels)) else targets
    store = FaceStore(torch.from_numpy(faces), labels, found, soft, calm=calm)
    if annotation == "second":
        missing = torch.tensor([name is None for name in given], dtype=torch.bool)
        store = store.select((second >= 0) | missing)
    return store


def _cells(table: pa.Table, name: str, missing: Any) -> list[Any]:
    """Return a column, with ``missing`` for null, and for faces that were prepared without it."""
    if name not in table.column_names:
        return [missing] * len(table)
    return [missing if cell is None else cell for cell in table.column(name).to_pylist()]


def _one_hot(labels: Tensor) -> Tensor:
    """Return float32 (N, 6); a row of zeros for no label."""
    return F.one_hot(labels.clamp_min(0), len(LABELS)) * (labels >= 0).float()[:, None]


def _put(
    targets: Tensor, rows: Sequence[Sequence[float] | None], where: Tensor | None = None
) -> None:
    """Replace the targets (N, 6) of those rows that have other probabilities."""
    for row, probabilities in enumerate(rows):
        if probabilities is not None and (where is None or where[row]):
            targets[row] = torch.tensor(probabilities)


def _mixed(targets: Tensor, others: Tensor, share: float) -> Tensor:
    """Give a share of the targets (N, 6) to the others, where they say anything."""
    said = others.sum(1, keepdim=True) > 0
    return torch.where(said, (1 - share) * targets + share * others, targets)


def concatenate(stores: list[FaceStore]) -> FaceStore:
    """Join stores of the same classes in the given order."""
    hard = all(store.soft is None for store in stores)
    unasked = all(store.calm is None for store in stores)
    nameless = any(store.corpus is None for store in stores)
    return FaceStore(
        torch.cat([store.faces for store in stores]),
        torch.cat([store.labels for store in stores]),
        torch.cat([store.found for store in stores]),
        None if hard else torch.cat([store.targets for store in stores]),
        stores[0].classes,
        None if unasked else torch.cat([_calm(store) for store in stores]),
        None if nameless else torch.cat([_corpus(store) for store in stores]),
    )


def _calm(store: FaceStore) -> Tensor:
    return torch.full((len(store),), torch.nan) if store.calm is None else store.calm


def _corpus(store: FaceStore) -> Tensor:
    assert store.corpus is not None
    return store.corpus


def hold_out(store: FaceStore, share: float, seed: int) -> tuple[FaceStore, FaceStore]:
    """Split off a stratified part for validation where a corpus has no split for it.

    Args:
        store: all faces of the training split.
        share: part of each class that is held out, 0..1.
        seed: the same seed holds out the same faces.

    Returns:
        The remaining faces and the held-out ones, each in their old order.
    """
    chosen = torch.from_numpy(held_out(store.labels.numpy(), share, seed))
    return store.select(~chosen), store.select(chosen)


def stratified(store: FaceStore, limit: int, seed: int) -> FaceStore:
    """Choose ``limit`` faces at random, of every class the same share.

    Rounding favours the classes that lose most by it, and no class that is there vanishes.

    Args:
        store: all faces.
        limit: how many to keep; 0, or more than there are, keeps all.
        seed: the same seed keeps the same faces.

    Returns:
        The chosen faces in their old order.
    """
    if not 0 < limit < len(store):
        return store
    counts = store.counts()
    exact = counts * limit / len(store)
    quota = np.maximum(np.floor(exact), counts > 0).astype(np.int64)
    for label in np.argsort(quota - exact)[: max(0, limit - quota.sum())]:
        quota[label] += 1
    random = np.random.default_rng(seed)
    labels = store.labels.numpy()
    rows = [random.permutation(np.flatnonzero(labels == k))[:n] for k, n in enumerate(quota)]
    return store.select(torch.from_numpy(np.sort(np.concatenate(rows))))


def balanced_shares(labels: Tensor, balance: float) -> Tensor:
    """Return the share of each face in all, float64 (N,), summing to 1.

    Args:
        labels: int64 (N,).
        balance: 0 gives every face the same, 1 every class that occurs.
    """
    counts = torch.bincount(labels).double()
    shares = counts[labels] ** -balance
    return shares / shares.sum()
