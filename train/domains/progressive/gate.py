"""The gate: whether what a trial trained may stay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emotion.labels import LABELS

DRAWS = 2000

_Labels = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Verdict:
    """Outcome of one comparison.

    Attributes:
        accepted: whether the trial stays.
        control: macro F1 without it.
        trial: macro F1 with it.
        drop_probability: share of the bootstrap's draws in which macro F1 falls by more than the
            tolerance.
        interval: 95 % interval of the change of macro F1.
    """

    accepted: bool
    control: float
    trial: float
    drop_probability: float
    interval: tuple[float, float]


def paired_bootstrap(
    truth: _Labels, control: _Labels, trial: _Labels, *, tolerance: float, risk: float
) -> Verdict:
    """Decide whether a trial lowered macro F1 (paired bootstrap, Efron and Tibshirani, 1993).

    Both sets of predictions are scored on the same draws of images, which takes out what makes a
    draw easy or hard: the change is known far more exactly than either score.

    Args:
        truth: (N,) labels 0..5.
        control: (N,) predictions without the trial.
        trial: (N,) predictions with it.
        tolerance: a fall of macro F1 that is still accepted.
        risk: the trial stays if a larger fall is at most so probable.

    Returns:
        The verdict; the same input gives the same one.
    """
    classes, count = len(LABELS), len(truth)
    # Drawing N images with replacement is drawing from the cells (truth, control, trial).
    cells = np.bincount((truth * classes + control) * classes + trial, minlength=classes**3)
    draws = np.random.default_rng(0).multinomial(count, cells / count, size=DRAWS)
    changes = np.subtract(*reversed(_both_scores(draws)))
    score_control, score_trial = (float(score[0]) for score in _both_scores(cells[None]))
    drop_probability = float((changes < -tolerance).mean())
    low, high = np.quantile(changes, [0.025, 0.975])
    return Verdict(
        drop_probability <= risk,
        score_control,
        score_trial,
        drop_probability,
        (float(low), float(high)),
    )


def _both_scores(
    cells: npt.NDArray[np.integer],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Macro F1 without and with the trial, (K,) each, from counts (K, 216)."""
    cube = cells.reshape(-1, len(LABELS), len(LABELS), len(LABELS))
    return _macro_f1(cube.sum(3)), _macro_f1(cube.sum(2))


def _macro_f1(confusion: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    return np.asarray((2 * hits / np.maximum(confusion.sum(1) + confusion.sum(2), 1)).mean(1))
