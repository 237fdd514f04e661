"""The training loss and its class weights."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emotion.errors import DataError
from emotion.labels import LABELS


def class_weights(counts: npt.NDArray[np.int64], scheme: Literal["none", "sqrt"]) -> Tensor:
    """Weight each class for weighted cross-entropy.

    Args:
        counts: (6,) training images per class.
        scheme: ``none`` gives ones; ``sqrt`` gives n^-1/2.

    Returns:
        float32 (6,), mean 1.

    Raises:
        DataError: if a class has no training image.
    """
    empty = [LABELS[i] for i in np.flatnonzero(counts == 0)]
    if empty:
        raise DataError(f"The training split has no image of {', '.join(empty)}; add some.")
    weights = np.ones(len(counts)) if scheme == "none" else counts.astype(np.float64) ** -0.5
    return torch.tensor(weights / weights.mean(), dtype=torch.float32)
