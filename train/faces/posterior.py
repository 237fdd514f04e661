"""Soft labels from votes: P(corpus's label | what ten taggers answered).

Raw votes mislead, since taggers and the corpus do not mean the same by a word: FER+ calls 15 % of
FER-2013's fear faces fear. A small classifier learns what the votes say about the corpus's own
label. It never sees a pixel.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from datasets import Dataset, DatasetDict
from torch import Tensor, nn

from emotion.errors import DataError
from emotion.labels import LABELS
from train.corpora.published import TRAINING_SPLIT
from train.corpora.schema import OTHER
from train.faces.align_rows import with_columns

FOLDS = 5
"""Parts of the training rows, each answered by a classifier that was fitted on the others."""

_HIDDEN, _EPOCHS, _BATCH, _LR = 48, 20, 512, 5e-3
_MIN_STEPS = 400  # a small corpus needs more epochs than the published one


@dataclass(frozen=True)
class PosteriorSummary:
    """How well votes tell the label of one corpus.

    Attributes:
        rows: training rows that got a soft label.
        accuracy: split -> share of its rows with votes whose label is the most likely one, 0..1; of
            the training rows cross-fitted.
    """

    rows: int
    accuracy: dict[str, float]


def add_soft_labels(
    splits: DatasetDict, corpus: str
) -> tuple[DatasetDict, PosteriorSummary | None]:
    """Fill ``soft_label`` of the training rows that have votes.

    Args:
        splits: prepared splits of the corpus, with the columns of
            ``train.faces.align_rows.PREPARED``.
        corpus: its name, for sentences.

    Returns:
        The splits, and how good the classifier is; the splits as they were, and None, if no
        training row has votes.

    Raises:
        DataError: if fewer than ``FOLDS`` training rows of a class have votes.
    """
    training = splits.get(TRAINING_SPLIT)
    if training is None:
        return splits, None
    votes, chosen = _votes(training)
    if not len(chosen):
        return splits, None
    labels = np.array(training["label"], np.int64)[chosen]
    _check_classes(labels, corpus)
    targets = _targets(training, chosen, labels)
    folds = _folds([training["sample_id"][int(i)] for i in chosen])
    soft = cross_fitted(votes, targets, folds)
    column: list[list[float] | None] = [None] * len(training)
    for row, probabilities in zip(chosen, soft, strict=True):
        column[row] = probabilities.tolist()
    filled = with_columns(training, {"soft_label": column})
    accuracy = {TRAINING_SPLIT: _accuracy(soft, labels)}
    whole = fit(votes, targets, seed=FOLDS)
    for split, rows in splits.items():
        if split not in (TRAINING_SPLIT, OTHER):
            held_votes, held = _votes(rows)
            if len(held):
                held_labels = np.array(rows["label"], np.int64)[held]
                accuracy[split] = _accuracy(answer(whole, held_votes), held_labels)
    result = DatasetDict({**splits, TRAINING_SPLIT: filled})
    return result, PosteriorSummary(len(chosen), accuracy)


def cross_fitted(
    votes: npt.NDArray[np.int64], targets: npt.NDArray[np.float64], folds: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Answer each fold by a classifier that was fitted on all others.

    Args:
        votes: int64 (N, 10), how many taggers gave each answer.
        targets: float64 (N, 6), rows sum to 1.
        folds: int64 (N,), 0..``FOLDS`` - 1.

    Returns:
        float64 (N, 6), rows sum to 1.
    """
    soft = np.empty((len(votes), len(LABELS)))
    for fold in range(FOLDS):
        inside = folds == fold
        classifier = fit(votes[~inside], targets[~inside], seed=fold)
        soft[inside] = answer(classifier, votes[inside])
    return soft


def fit(votes: npt.NDArray[np.int64], targets: npt.NDArray[np.float64], seed: int) -> nn.Sequential:
    """Fit P(label | votes), a network with one hidden layer, by AdamW on the cross-entropy.

    In float64 and one thread, so that the same rows give the same answers.

    Args:
        votes: int64 (N, 10).
        targets: float64 (N, 6), rows sum to 1.
        seed: of initialisation and order.
    """
    x, y = _features(votes), torch.from_numpy(targets)
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(
        nn.Linear(x.shape[1], _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, y.shape[1])
    ).double()
    for parameter in network.parameters():
        bound = 1 / np.sqrt(x.shape[1] if parameter.shape[0] == _HIDDEN else _HIDDEN)
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_LR)
    for _ in range(max(_EPOCHS, _MIN_STEPS // math.ceil(len(x) / _BATCH))):
        for rows in torch.randperm(len(x), generator=generator).split(_BATCH):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            loss = F.cross_entropy(network(x[rows]), y[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return network


@torch.no_grad()
def answer(classifier: nn.Sequential, votes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return P(label | votes): float64 (N, 6) for votes int64 (N, 10)."""
    return np.asarray(classifier(_features(votes)).softmax(1).numpy(), np.float64)


def _features(votes: npt.NDArray[np.int64]) -> Tensor:
    """Return shares and their square roots, float64 (N, 20): roots tell no vote from one."""
    shares = torch.from_numpy(votes / votes.sum(1, keepdims=True))
    return torch.cat([shares, shares.sqrt()], 1)


def _votes(rows: Dataset) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the votes (M, 10) of those rows that have some, and which rows these are (M,)."""
    column = rows["votes"]
    chosen = [i for i, votes in enumerate(column) if votes is not None and sum(votes)]
    votes = np.array([column[i] for i in chosen], np.int64).reshape(-1, 10)
    return votes, np.array(chosen, np.int64)


def _targets(
    rows: Dataset, chosen: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    targets = np.eye(len(LABELS))[labels]
    means = rows["label_mean"]
    for place, row in enumerate(chosen):
        if means[row] is not None:
            targets[place] = means[row]
    return targets


def _folds(sample_ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """Assign folds by name, so that they depend neither on the order nor on other rows."""
    digests = [hashlib.sha256(name.encode()).digest() for name in sample_ids]
    return np.array([digest[0] for digest in digests]) * FOLDS // 256


def _check_classes(labels: npt.NDArray[np.int64], corpus: str) -> None:
    counts = np.bincount(labels, minlength=len(LABELS))
    rare = [LABELS[i] for i in np.flatnonzero(counts < FOLDS)]
    if rare:
        raise DataError(
            f"Of {corpus}'s training pictures with votes fewer than {FOLDS} are labelled "
            f"{' or '.join(rare)}, so votes cannot tell what is; complete the table of votes, or "
            "move it away to do without soft labels."
        )


def _accuracy(soft: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> float:
    return round(float((soft.argmax(1) == labels).mean()), 4)
