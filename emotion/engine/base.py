"""What every engine does."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn


class Run(Protocol):
    """A compiled network; safe to share by threads."""

    def __call__(self, inputs: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], ...]:
        """Map the input to all outputs, in the network's order, as arrays of their own."""
        ...


class Engine(Protocol):
    """Turns networks into something that runs on arrays.

    Attributes:
        name: what users are told, say ``torch``.
    """

    name: str

    @property
    def lanes(self) -> int:
        """How many calls of a shared network run at a time without slowing each other."""
        ...

    def compile(
        self,
        network: nn.Module,
        example: Tensor,
        varying: tuple[int, ...],
        *,
        shared: bool = False,
    ) -> Run:
        """Prepare a network once, so that calls are fast.

        Args:
            network: in evaluation mode; takes one uint8 tensor and returns a tuple of float32 ones.
            example: an input, only its type and shape matter.
            varying: axes of the input whose length changes from call to call.
            shared: let ``lanes`` calls run at a time, each with its share of the threads; otherwise
                calls take turns, each with all of them.
        """
        ...
