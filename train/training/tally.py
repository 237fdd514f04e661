"""The losses of an epoch, which stay on the device until somebody asks."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from emotion.errors import DataError


class Tally:
    """Adds up the losses of an epoch's steps, and refuses what is no number.

    Args:
        total: sum of the losses before the first step that is added.

    Attributes:
        total: sum of the losses that were read.
    """

    def __init__(self, total: float = 0.0) -> None:
        self.total = total
        self._unread: list[tuple[str, Tensor, Tensor]] = []

    def add(self, epoch: int, index: int, loss: Tensor, norm: Tensor) -> None:
        """Note scalars of step ``index`` of an epoch, both counted from 0; waits for nothing.

        Args:
            epoch: number of finished epochs.
            index: number of finished steps of the epoch after those.
            loss: of the step.
            norm: of its gradient.
        """
        self._unread.append((f"batch {index} of epoch {epoch + 1}", loss, norm))

    def read(self) -> float:
        """Wait for what was added, and return the sum of the epoch's losses until now.

        Raises:
            DataError: if a loss or a gradient was not finite.
        """
        if self._unread:
            steps, losses, norms = zip(*self._unread, strict=True)
            self._unread = []
            values = torch.stack([torch.stack(losses), torch.stack(norms)], 1).tolist()
            for step, (loss, norm) in zip(steps, values, strict=True):
                _check("loss", loss, step)
                _check("gradient", norm, step)
                self.total += loss
        return self.total


def _check(name: str, value: float, step: str) -> None:
    if not math.isfinite(value):
        raise DataError(
            f"The {name} became {value} in {step}; the last checkpoint is kept. Lower --lr, or "
            "check the prepared images."
        )
