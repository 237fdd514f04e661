"""Metrics of predictions, with confidence intervals and what their figures need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_auroc,
    multiclass_average_precision,
    multiclass_calibration_error,
    multiclass_confusion_matrix,
    multiclass_precision_recall_curve,
)

from emotion.labels import LABELS

BOOTSTRAPS = 1000
ECE_BINS = 15
RECALLS = np.linspace(0, 1, 51)
"""Recalls at which precision is kept for a figure."""

Probabilities = npt.NDArray[np.floating]
Labels = npt.NDArray[np.integer]


def evaluate_probabilities(
    probabilities: Probabilities, labels: Labels, names: Sequence[str] = LABELS
) -> dict[str, Any]:
    """Score predictions against the truth.

    A class that occurs neither in the truth nor in the predictions has precision, recall and F1 of
    zero and still counts in the macro averages, so that numbers stay comparable between splits.

    Args:
        probabilities: (N, C), rows sum to 1.
        labels: (N,) integers 0..C-1.
        names: of the C classes.

    Returns:
        The keys of ``evaluate --json`` that depend on predictions alone: n, accuracy, macro_f1,
        macro_precision, macro_recall, per_class, confusion (rows are the truth), ece (15 bins of
        equal width, Guo et al. 2017), confidence_intervals (95 %, percentile bootstrap over
        images).
    """
    scores, truth = _tensors(probabilities, labels)
    predicted = scores.argmax(1)
    confusion = multiclass_confusion_matrix(predicted, truth, num_classes=len(names)).numpy()
    precision, recall, f1 = _rates(confusion)
    return {
        "n": len(truth),
        "accuracy": float(np.trace(confusion) / confusion.sum()),
        "macro_f1": float(f1.mean()),
        "macro_precision": float(precision.mean()),
        "macro_recall": float(recall.mean()),
        "per_class": {
            name: {
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "support": int(confusion[i].sum()),
            }
            for i, name in enumerate(names)
        },
        "confusion": confusion.tolist(),
        "ece": calibration_error(probabilities, labels),
        "confidence_intervals": _bootstrap(confusion),
    }


def calibration_error(probabilities: Probabilities, labels: Labels) -> float:
    """Return the expected calibration error over 15 bins of equal width (Guo et al., 2017)."""
    scores, truth = _tensors(probabilities, labels)
    classes = scores.shape[1]
    return float(multiclass_calibration_error(scores, truth, num_classes=classes, n_bins=ECE_BINS))


def reliability(probabilities: Probabilities, labels: Labels) -> list[dict[str, float]]:
    """Compare confidence with accuracy in the bins of ``calibration_error``.

    Returns:
        For each bin that is not empty, from the lowest: ``confidence`` and ``accuracy``, the means
        in it, and ``n``. The mean gap, weighted by ``n``, is the calibration error.
    """
    confidence = np.asarray(probabilities, np.float32).max(1)
    right = np.asarray(probabilities).argmax(1) == labels
    # As torchmetrics bins: each includes its lower bound.
    edges = torch.linspace(0, 1, ECE_BINS + 1).numpy()
    bins = np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, ECE_BINS - 1)
    return [
        {
            "confidence": round(float(confidence[bins == b].mean()), 4),
            "accuracy": round(float(right[bins == b].mean()), 4),
            "n": int((bins == b).sum()),
        }
        for b in np.unique(bins)
    ]


def precision_recall(
    probabilities: Probabilities, labels: Labels, names: Sequence[str] = LABELS
) -> dict[str, dict[str, Any]]:
    """Trace precision over recall for each class against the others.

    Returns:
        Name of each class that occurs -> ``average_precision``, and ``precision`` at the recalls
        of ``RECALLS``: that of the strictest threshold which reaches the recall.
    """
    scores, truth = _tensors(probabilities, labels)
    count = len(names)
    precisions, recalls, _ = multiclass_precision_recall_curve(scores, truth, num_classes=count)
    averages = multiclass_average_precision(scores, truth, num_classes=count, average=None)
    curves = {}
    for i, name in enumerate(names):
        if not (truth == i).any():
            continue
        # The curve runs from the loosest threshold, recall 1, to the strictest, recall 0.
        recall, precision = recalls[i].numpy()[::-1], precisions[i].numpy()[::-1]
        at = np.searchsorted(recall, RECALLS - 1e-6)
        curves[name] = {
            "average_precision": float(averages[i]),
            "precision": [round(float(value), 4) for value in precision[at]],
        }
    return curves


def score_second_labels(
    probabilities: Probabilities, labels: Labels, second: Labels
) -> dict[str, float]:
    """Score predictions where another annotation names one of the classes, too.

    How often two annotations agree is about the accuracy that can be asked for.

    Args:
        probabilities: (N, C).
        labels: (N,) integers 0..C-1.
        second: (N,), likewise, or -1 where there is none; at least one is there.

    Returns:
        n (images that have both), agree (share with the same label twice), accuracy and
        accuracy_second (against either, on all n), and accuracy_agreed (where both are the same).
    """
    both = second >= 0
    predicted, labels, second = probabilities.argmax(1)[both], labels[both], second[both]
    same = labels == second
    return {
        "n": int(both.sum()),
        "agree": float(same.mean()),
        "accuracy": float((predicted == labels).mean()),
        "accuracy_second": float((predicted == second).mean()),
        "accuracy_agreed": float((predicted == labels)[same].mean()) if same.any() else 0.0,
    }


def auroc(positive: npt.NDArray[np.floating], negative: npt.NDArray[np.floating]) -> float:
    """Return the probability that a positive's score exceeds a negative's, ties counting half."""
    scores = torch.as_tensor(np.concatenate([positive, negative]))
    truth = torch.tensor([1] * len(positive) + [0] * len(negative))
    return float(binary_auroc(scores, truth))


def _tensors(probabilities: Probabilities, labels: Labels) -> tuple[Tensor, Tensor]:
    scores = torch.as_tensor(np.asarray(probabilities, np.float32))
    return scores, torch.as_tensor(np.asarray(labels, np.int64))


def _rates(
    confusion: npt.NDArray[np.integer],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Per-class precision, recall and F1 of confusion matrices (..., C, C)."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    predicted, actual = confusion.sum(-2), confusion.sum(-1)
    precision = hits / np.maximum(predicted, 1)
    recall = hits / np.maximum(actual, 1)
    return precision, recall, 2 * hits / np.maximum(predicted + actual, 1)


def _bootstrap(confusion: npt.NDArray[np.integer]) -> dict[str, list[float]]:
    """Percentile intervals over images drawn with replacement (Efron and Tibshirani, 1993)."""
    # Drawing N images with replacement is drawing the cells of the confusion matrix.
    count = int(confusion.sum())
    drawn = np.random.default_rng(0).multinomial(count, confusion.ravel() / count, size=BOOTSTRAPS)
    draws = drawn.reshape(BOOTSTRAPS, *confusion.shape)
    accuracy = np.trace(draws, axis1=1, axis2=2) / count
    macro_f1 = _rates(draws)[2].mean(1)
    return {
        "accuracy": [float(value) for value in np.quantile(accuracy, [0.025, 0.975])],
        "macro_f1": [float(value) for value in np.quantile(macro_f1, [0.025, 0.975])],
    }
