from __future__ import annotations

import torch

from train.domains.progressive.mmd import class_balance, mean_squared_distance, mmd, ramp


def normal(count: int, width: int, seed: int) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def test_equal_batches_are_at_distance_zero_exactly() -> None:
    x = normal(64, 16, 0)

    assert mmd(x, x.clone()).item() == 0.0


def test_the_value_is_that_of_the_formula() -> None:
    x, y = normal(5, 3, 0).double(), normal(4, 3, 1).double() + 0.4
    pooled = torch.cat([x, y])
    total = sum(float((a - b).square().sum()) for a in pooled for b in pooled)
    base = total / (9 * 8) / 4

    def kernel(a: torch.Tensor, b: torch.Tensor) -> float:
        distance = float((a - b).square().sum())
        return sum(float(torch.exp(torch.tensor(-distance / (base * 2**r)))) for r in range(5))

    def mean(first: torch.Tensor, second: torch.Tensor) -> float:
        return sum(kernel(a, b) for a in first for b in second) / (len(first) * len(second))

    expected = mean(x, x) + mean(y, y) - 2 * mean(x, y)
    assert abs(mmd(x, y).item() - expected) < 1e-6


def test_it_grows_with_the_shift_of_the_mean() -> None:
    x, y = normal(64, 16, 0), normal(64, 16, 1)

    values = [mmd(x, y + shift).item() for shift in (0.0, 0.25, 0.5, 1.0)]

    assert values == sorted(values)
    assert values[-1] > 5 * values[0]


def test_following_its_gradient_brings_the_features_together() -> None:
    # Fails where the loss is detached from the features, as in the released code of P-MSDA.
    x, y = normal(64, 16, 0).requires_grad_(), normal(64, 16, 1) + 1.0
    before = mmd(x, y)
    (gradient,) = torch.autograd.grad(before, x)

    assert gradient.norm() > 0
    assert mmd(x - 100 * gradient, y) < 0.9 * before


def test_the_gradient_is_finite_where_features_coincide() -> None:
    x = torch.zeros(4, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(mmd(x, torch.zeros(4, 3)), x)

    assert torch.isfinite(gradient).all()


def test_class_balance_takes_away_what_only_the_mix_of_classes_explains() -> None:
    centres = 6 * normal(2, 8, 5)
    x_labels = torch.tensor([0] * 120 + [1] * 40)
    y_labels = torch.tensor([0] * 40 + [1] * 120 + [4] * 10)
    x = centres[x_labels] + normal(160, 8, 0)
    y = torch.cat([centres, centres + 20])[y_labels.clamp_max(2)] + normal(170, 8, 1)
    a, b = class_balance(x_labels, y_labels)

    assert a.sum() == torch.tensor(1.0)
    assert b[-10:].sum() == 0
    plain = mmd(x, y[:160])
    balanced = mmd(x, y[:160], x_weights=a, y_weights=b[:160])
    assert balanced < plain / 5


def test_batches_without_a_common_class_give_no_alignment() -> None:
    a, b = class_balance(torch.tensor([0, 1]), torch.tensor([2, 3]))
    x = normal(2, 3, 0).requires_grad_()

    loss = mmd(x, normal(2, 3, 1), x_weights=a, y_weights=b)

    assert loss.item() == 0
    assert torch.autograd.grad(loss, x)[0].abs().sum() == 0


def test_a_shared_bandwidth_makes_values_comparable() -> None:
    x = normal(32, 4, 0)
    width = mean_squared_distance(x)

    near, far = (mmd(x, x + shift, bandwidth=width) for shift in (1.0, 100.0))

    assert near < far


def test_the_ramp_rises_from_zero_to_one() -> None:
    values = [ramp(step / 10) for step in range(11)]

    assert values[0] == 0
    assert values == sorted(values)
    assert values[-1] > 0.999
