"""Gradients through the solution of an inner training problem."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def hypergradient(
    lower: Tensor,
    upper: Tensor,
    inner: Sequence[Tensor],
    outer: Sequence[Tensor],
    *,
    step: float,
    terms: int,
) -> list[Tensor]:
    """Differentiate the upper loss by the outer parameters, at the solution of the lower one.

    By the implicit function theorem, ``d upper / d outer = - d upper / d inner * H^-1 *
    d2 lower / (d inner d outer)`` with the Hessian ``H = d2 lower / d inner2``. Its inverse is the
    truncated Neumann series ``step * sum_j (I - step * H)^j`` (Lorraine et al., AISTATS 2020).

    Args:
        lower: scalar, a function of inner and outer parameters, with its graph.
        upper: scalar, a function of the inner parameters, with its graph.
        inner: parameters that minimise ``lower``.
        outer: parameters whose gradient is wanted.
        step: length of a step; the series converges where it is below 2 / the largest eigenvalue.
        terms: products with the Hessian. 0 is one unrolled gradient step of that length.

    Returns:
        One gradient per outer parameter, zeros where ``lower`` does not depend on it.
    """
    slope = torch.autograd.grad(lower, inner, create_graph=True, materialize_grads=True)
    term = torch.autograd.grad(upper, inner, retain_graph=True, materialize_grads=True)
    total = list(term)
    for _ in range(terms):
        product = torch.autograd.grad(slope, inner, term, retain_graph=True, materialize_grads=True)
        term = tuple(a - step * b for a, b in zip(term, product, strict=True))
        total = [a + b for a, b in zip(total, term, strict=True)]
    mixed = torch.autograd.grad(slope, outer, [-step * t for t in total], materialize_grads=True)
    return list(mixed)
