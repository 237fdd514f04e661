from __future__ import annotations

import torch
import torch.nn.functional as F

from train.domains.bort2.hypergradient import hypergradient


def quadratic(terms: int, step: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Hyper-gradient of 0.5 |w* - b|^2 with w* = argmin 0.5 w'Hw - (A phi)'w, and the truth."""
    generator = torch.Generator().manual_seed(0)
    options = {"dtype": torch.float64, "generator": generator}
    root = torch.randn(6, 6, **options)  # type: ignore[call-overload]
    hessian = torch.eye(6, dtype=torch.float64) + 0.05 * root @ root.T
    mixing = torch.randn(6, 4, **options)  # type: ignore[call-overload]
    goal = torch.randn(6, **options)  # type: ignore[call-overload]
    outer = torch.randn(4, **options).requires_grad_()  # type: ignore[call-overload]
    inner = torch.linalg.solve(hessian, mixing @ outer.detach()).requires_grad_()
    lower = 0.5 * inner @ hessian @ inner - (mixing @ outer) @ inner
    upper = 0.5 * (inner - goal).square().sum()
    (estimate,) = hypergradient(lower, upper, [inner], [outer], step=step, terms=terms)
    return estimate, mixing.T @ torch.linalg.solve(hessian, inner.detach() - goal)


def test_the_neumann_series_converges_to_the_true_hypergradient() -> None:
    estimate, truth = quadratic(terms=50, step=0.5)

    assert (estimate - truth).norm() / truth.norm() < 1e-6


def test_one_step_points_the_same_way() -> None:
    estimate, truth = quadratic(terms=0, step=0.5)

    assert F.cosine_similarity(estimate, truth, dim=0) > 0.95


def test_one_step_is_the_gradient_through_an_unrolled_step() -> None:
    inner = torch.tensor([0.3, -0.7], dtype=torch.float64, requires_grad=True)
    outer = torch.tensor([1.2, 0.4], dtype=torch.float64, requires_grad=True)

    def lower(w: torch.Tensor, phi: torch.Tensor) -> torch.Tensor:
        return ((w - phi.sin()) ** 4).sum() + (w * phi).sum()

    def upper(w: torch.Tensor) -> torch.Tensor:
        return (w**2).sum()

    (slope,) = torch.autograd.grad(lower(inner, outer), inner, create_graph=True)
    moved = inner - 0.1 * slope
    # At the present point, as the method evaluates the upper loss there.
    (unrolled,) = torch.autograd.grad(moved, outer, 2 * inner.detach())
    (estimate,) = hypergradient(
        lower(inner, outer), upper(inner), [inner], [outer], step=0.1, terms=0
    )

    assert torch.allclose(estimate, unrolled)


def test_parameters_that_do_not_matter_get_zeros() -> None:
    w, phi, idle = (torch.ones(2, requires_grad=True) for _ in range(3))

    first, second = hypergradient(
        (w * phi).square().sum(), w.sum(), [w, idle], [phi, idle], step=0.1, terms=2
    )

    assert first.abs().sum() > 0
    assert second.abs().sum() == 0
