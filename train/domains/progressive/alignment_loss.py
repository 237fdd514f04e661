"""The alignment of the sources' features with the target's."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from train.domains.progressive.mmd import class_balance, mmd, ramp
from train.training.step import Step


class AlignmentLoss:
    """Discrepancy between the target's and the sources' features of a batch, ramped in.

    Both sides count each class they share equally, see
    ``train.domains.progressive.mmd.class_balance``.

    Args:
        weight: of the discrepancy at the end of the run.
        labels: int64 (N,), of all faces of the store.
        target: rows of the store that are the target's.
        progress: gives the share of the run that is done, 0..1.
    """

    def __init__(
        self, weight: float, labels: Tensor, target: range, progress: Callable[[], float]
    ) -> None:
        self._weight, self._labels, self._target = weight, labels, target
        self._progress = progress

    def __call__(self, step: Step) -> Tensor:
        """Return the weighted discrepancy; 0 for a batch of the target alone."""
        features = step.features.float().mean((2, 3))
        inside = (step.rows >= self._target.start) & (step.rows < self._target.stop)
        if inside.all() or not inside.any():
            return features.new_zeros(())
        labels = self._labels[step.rows]
        mine, theirs = class_balance(labels[inside], labels[~inside])
        discrepancy = mmd(
            features[inside],
            features[~inside],
            x_weights=mine.to(features.device),
            y_weights=theirs.to(features.device),
        )
        return self._weight * ramp(self._progress()) * discrepancy
