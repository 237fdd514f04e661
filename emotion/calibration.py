"""From logits to calibrated probabilities: class offsets, and every face's own temperature."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from emotion.config import NetworkConfig

Array = npt.NDArray[np.floating]

MOST = 2.0
"""A face's temperature is at most this many times the typical one, or that part of it."""


def softmax(logits: Array) -> npt.NDArray[np.float32]:
    """Map logits (..., K) to probabilities, float32 (..., K); the last axis sums to 1."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)


@dataclass(frozen=True)
class Calibration:
    """What is added to logits, and what they are divided by then, before the softmax.

    The offsets make up for classes that the network prefers (logit adjustment, Menon et al., ICLR
    2021). The temperature is log-linear in the pooled features: one number for all faces (Guo et
    al., ICML 2017) leaves the faces of one corpus too sure and those of another not sure enough; a
    function of the features (as in Tomani et al., ECCV 2022, and Joy et al., AAAI 2023) tells them
    apart, and changes no answer.

    Attributes:
        typical: temperature of the median face, positive.
        slope: float (K,), how the logarithm changes with each pooled feature; empty: not at all.
        offset: median of ``pooled @ slope``.
        class_offsets: float (6,), added to the logits; empty: nothing is.
    """

    typical: float
    slope: tuple[float, ...] = ()
    offset: float = 0.0
    class_offsets: tuple[float, ...] = ()

    @classmethod
    def of(cls, config: NetworkConfig) -> Calibration:
        """Return the one that belongs to weights."""
        return cls(
            config.temperature,
            config.temperature_slope,
            config.temperature_offset,
            config.class_offsets,
        )

    @property
    def digest(self) -> str:
        """What measurements name it by: they hold for these weights with this calibration only."""
        numbers = (self.typical, *self.slope, self.offset, *self.class_offsets)
        return hashlib.sha256(repr([float(number) for number in numbers]).encode()).hexdigest()

    def temperatures(self, pooled: Array) -> npt.NDArray[np.float32]:
        """Map features (B, K), averaged over the map, to temperatures float32 (B,)."""
        if not self.slope:
            return np.full(len(pooled), self.typical, np.float32)
        exponent = pooled @ np.array(self.slope, np.float32) - np.float32(self.offset)
        bound = math.log(MOST)
        return np.asarray(self.typical * np.exp(np.clip(exponent, -bound, bound)), np.float32)

    def adjusted(self, logits: Array) -> npt.NDArray[np.float32]:
        """Add the class offsets to logits (B, 6); the highest is the answer."""
        return np.asarray(logits + np.array(self.class_offsets or 0, np.float32), np.float32)

    def probabilities(self, logits: Array, pooled: Array) -> npt.NDArray[np.float32]:
        """Map logits (B, 6) and features (B, K), averaged over the map, to float32 (B, 6)."""
        scaled = self.adjusted(logits) / self.temperatures(pooled)[:, None]
        return softmax(scaled)


CALM_BOUND = 0.5
"""From this probability on a face counts as calm; ``calm_probabilities`` is mapped so."""


def calm_probabilities(logits: Array, config: NetworkConfig) -> npt.NDArray[np.float32]:
    """Map logits (B,) of the second output to the probability that a face is calm, float32 (B,).

    Platt scaling (1999) with the bound in place of the intercept: at ``config.calm_bound`` it is
    ``CALM_BOUND``.
    """
    scaled = (np.asarray(logits, np.float64) - config.calm_bound) / config.calm_temperature
    return np.asarray(0.5 * (1 + np.tanh(scaled / 2)), np.float32)  # the sigmoid, never overflowing
