"""Metrics of six-class predictions, with confidence intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torchmetrics.functional.classification import (
    multiclass_calibration_error,
    multiclass_confusion_matrix,
)

from emotion.labels import LABELS

BOOTSTRAPS = 1000
ECE_BINS = 15

Counts = npt.NDArray[np.int64]


def evaluate_probabilities(
    probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]
) -> dict[str, Any]:
    """Score predictions against the truth.

    A class that occurs neither in the truth nor in the predictions has precision, recall and F1 of
    zero and still counts in the macro averages, so that numbers stay comparable between splits.

    Args:
        probabilities: (N, 6), rows sum to 1.
        labels: (N,) integers 0..5.

    Returns:
        The keys of ``evaluate --json`` that depend on predictions alone: n, accuracy, macro_f1,
        macro_precision, macro_recall, per_class, confusion (rows are the truth), ece (15 bins of
        equal width, Guo et al. 2017), confidence_intervals (95 %, percentile bootstrap over
        images).
    """
    classes = len(LABELS)
    scores = torch.as_tensor(np.asarray(probabilities, np.float32))
    truth = torch.as_tensor(np.asarray(labels, np.int64))
    predicted = scores.argmax(1)
    confusion = multiclass_confusion_matrix(predicted, truth, num_classes=classes).numpy()
    precision, recall, f1 = _rates(confusion)
    ece = multiclass_calibration_error(scores, truth, num_classes=classes, n_bins=ECE_BINS)
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
            for i, name in enumerate(LABELS)
        },
        "confusion": confusion.tolist(),
        "ece": float(ece),
        "confidence_intervals": _bootstrap(predicted.numpy(), truth.numpy()),
    }


def _rates(
    confusion: npt.NDArray[np.integer],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Per-class precision, recall and F1 of confusion matrices (..., 6, 6)."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    predicted, actual = confusion.sum(-2), confusion.sum(-1)
    precision = hits / np.maximum(predicted, 1)
    recall = hits / np.maximum(actual, 1)
    return precision, recall, 2 * hits / np.maximum(predicted + actual, 1)


def _bootstrap(
    predicted: npt.NDArray[np.integer], truth: npt.NDArray[np.integer]
) -> dict[str, list[float]]:
    """Percentile intervals over images drawn with replacement (Efron and Tibshirani, 1993)."""
    classes, count = len(LABELS), len(truth)
    # Drawing N images with replacement is drawing the cells of the confusion matrix.
    cells = np.bincount(truth * classes + predicted, minlength=classes * classes) / count
    draws = np.random.default_rng(0).multinomial(count, cells, size=BOOTSTRAPS)
    confusion = draws.reshape(BOOTSTRAPS, classes, classes)
    accuracy = np.trace(confusion, axis1=1, axis2=2) / count
    macro_f1 = _rates(confusion)[2].mean(1)
    return {
        "accuracy": [float(value) for value in np.quantile(accuracy, [0.025, 0.975])],
        "macro_f1": [float(value) for value in np.quantile(macro_f1, [0.025, 0.975])],
    }
