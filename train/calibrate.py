"""Temperature scaling."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Fit the one number that the logits are divided by (Guo et al., ICML 2017, section 4.2).

    Args:
        logits: (N, 6) of the validation split, at temperature 1.
        labels: int64 (N,).

    Returns:
        The temperature with the lowest negative log-likelihood, 0.05..20.
    """
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    scores = logits.double()
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(scores / log_temperature.exp(), labels)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return float(log_temperature.detach().exp().clamp(0.05, 20))
