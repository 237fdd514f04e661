"""Fitting temperatures, one for all faces or one for each from its features, and class offsets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from emotion.calibration import Calibration

_TEMPERATURES = (0.05, 20.0)
# Strength of the ridge penalties, in faces: the fewer there are, the closer to zero are slope and
# offsets held. Six offsets need little, a slope of hundreds of numbers much.
_RIDGE = 800.0
_OFFSET_RIDGE = 5.0
_TURNS = 4  # on the embedded weights, offsets are settled to the hundredth after two


def fit_temperature(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> float:
    """Fit the one number that the logits are divided by (Guo et al., ICML 2017, section 4.2).

    Args:
        logits: (N, C) of the validation split, at temperature 1.
        labels: int64 (N,).
        weights: (N,) of the faces; by default all count the same.

    Returns:
        The temperature with the lowest negative log-likelihood, 0.05..20.
    """
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    shares = _shares(labels, weights)
    minimise([log_temperature], lambda: _loss(logits, labels, shares, log_temperature))
    return float(log_temperature.detach().exp().clamp(*_TEMPERATURES))


def fit_temperatures(
    logits: Tensor, labels: Tensor, pooled: Tensor, weights: Tensor | None = None
) -> Calibration:
    """Fit a temperature whose logarithm is linear in the pooled features.

    The negative log-likelihood is minimised, plus a ridge penalty on the slope for standardised
    features, so that without a gain it is ``fit_temperature``'s constant.

    Args:
        logits: (N, C) of the validation split, at temperature 1.
        labels: int64 (N,).
        pooled: (N, K), features averaged over the map.
        weights: (N,) of the faces; by default all count the same.
    """
    shares = _shares(labels, weights)
    mean, std = pooled.double().mean(0), pooled.double().std(0).clamp_min(1e-6)
    standard = (pooled.double() - mean) / std
    level = torch.zeros((), dtype=torch.float64, requires_grad=True)
    slope = torch.zeros(pooled.shape[1], dtype=torch.float64, requires_grad=True)

    def loss() -> Tensor:
        penalty = _RIDGE / len(labels) * slope.square().sum()
        return _loss(logits, labels, shares, level + standard @ slope) + penalty

    minimise([level, slope], loss)
    raw = tuple(float(f"{value:.5g}") for value in slope.detach() / std)
    direction = torch.tensor(raw, dtype=torch.float64)
    offset = float((pooled.double() @ direction).median())
    typical = level.detach() - mean @ direction + offset
    return Calibration(round(float(typical.exp().clamp(*_TEMPERATURES)), 4), raw, round(offset, 4))


def fit_offsets(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Fit what to add to the logits so that no class is preferred to another.

    The negative log-likelihood of softmax((logits + offsets) / T) is minimised over the offsets and
    one T (bias-corrected temperature scaling, Alexandari et al., ICML 2020), plus a ridge penalty
    on the offsets. With weights under which every class counts the same, that is logit adjustment
    (Menon et al., ICLR 2021) with offsets that are measured instead of derived from class counts.
    Of a class without a face nothing is known: it is left out, and its offset is 0.

    Args:
        logits: (N, C) of the validation split, at temperature 1.
        labels: int64 (N,).
        weights: (N,) of the faces; by default all count the same.

    Returns:
        float64 (C,), rounded to hundredths; their sum is about 0.
    """
    shares = _shares(labels, weights)
    present, places = torch.unique(labels, return_inverse=True)
    seen = logits[:, present].double()
    offsets = torch.zeros(len(present), dtype=torch.float64, requires_grad=True)
    level = torch.zeros((), dtype=torch.float64)

    def loss() -> Tensor:
        penalty = _OFFSET_RIDGE / len(labels) * offsets.square().sum()
        return _loss(seen + offsets, places, shares, level) + penalty

    # In turns: together they have no minimum where the logits tell nothing and T grows for ever.
    for _ in range(_TURNS):
        level.fill_(math.log(fit_temperature(seen + offsets.detach(), places, weights)))
        minimise([offsets], loss)
    found = torch.zeros(logits.shape[1], dtype=torch.float64)
    found[present] = offsets.detach() - offsets.detach().mean()
    return found.round(decimals=2) + 0.0  # no -0.0


def _shares(labels: Tensor, weights: Tensor | None) -> Tensor:
    weights = torch.ones(len(labels)) if weights is None else weights
    return weights.double() / weights.double().sum()


def _loss(logits: Tensor, labels: Tensor, shares: Tensor, log_temperature: Tensor) -> Tensor:
    scaled = logits.double() / log_temperature.exp()[..., None]
    return (shares * F.cross_entropy(scaled, labels, reduction="none")).sum()


def minimise(parameters: Sequence[Tensor], value: Callable[[], Tensor]) -> None:
    """Move parameters to where ``value`` is least, by L-BFGS with a line search."""
    optimizer = torch.optim.LBFGS(parameters, max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = value()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
