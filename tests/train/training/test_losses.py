from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from emotion.errors import ConfigError, DataError
from train.config.options import ObjectiveConfig
from train.training.losses import Objective, class_weights

COUNTS = np.array([7215, 3171, 4830, 3995, 436, 4097])
PRIOR = torch.from_numpy(COUNTS / COUNTS.sum())


def objective(prior: torch.Tensor = PRIOR, epochs: int = 10, **values: object) -> Objective:
    plain: dict[str, object] = {"label_smoothing": 0.0, "class_weights": "none"}
    return Objective(ObjectiveConfig(**{**plain, **values}), COUNTS, prior, epochs)  # type: ignore[arg-type]


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(40, 6, generator=torch.Generator().manual_seed(0)) * 3


@pytest.fixture
def labels() -> torch.Tensor:
    return torch.randint(6, (40,), generator=torch.Generator().manual_seed(1))


def one_hot(labels: torch.Tensor) -> torch.Tensor:
    return F.one_hot(labels, 6).float()


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("none", [1, 1, 1, 1, 1, 1]),
        ("inverse", [0.55, 1.25, 0.82, 0.99, 9.08, 0.97]),
        ("sqrt", [0.57, 0.86, 0.70, 0.77, 2.33, 0.76]),
        ("effective", [0.76, 0.79, 0.76, 0.77, 2.14, 0.77]),
        ("dynamic", [1.00, 1.82, 1.40, 1.59, 3.81, 1.57]),
    ],
)
def test_class_weights_are_those_of_their_formulas(scheme: str, expected: list[float]) -> None:
    weights = class_weights(COUNTS, scheme)  # type: ignore[arg-type]

    # The published inverse weights are N / (6 n); ours have the same ratios and mean 1.
    scale = np.mean(expected) if scheme in ("inverse",) else 1.0
    np.testing.assert_allclose(weights * scale, expected, atol=0.012)


def test_a_class_without_images_is_named() -> None:
    with pytest.raises(DataError, match="disgust"):
        class_weights(np.array([1, 2, 3, 4, 0, 6]), "none")


@pytest.mark.parametrize("scheme", ["none", "inverse", "sqrt", "effective"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weighted_smoothed_cross_entropy_is_torchs(
    scheme: str, smoothing: float, logits: torch.Tensor, labels: torch.Tensor
) -> None:
    loss = objective(class_weights=scheme, label_smoothing=smoothing)

    weight = class_weights(COUNTS, scheme)  # type: ignore[arg-type]
    expected = F.cross_entropy(logits, labels, weight=weight, label_smoothing=smoothing)
    torch.testing.assert_close(loss(logits, one_hot(labels), 0), expected)


def test_soft_labels_are_learnt_as_cross_entropy_with_the_distribution(
    logits: torch.Tensor,
) -> None:
    targets = torch.rand(40, 6, generator=torch.Generator().manual_seed(2))
    targets /= targets.sum(1, keepdim=True)

    torch.testing.assert_close(objective()(logits, targets, 0), F.cross_entropy(logits, targets))


def test_the_focal_loss_is_its_formula_and_without_gamma_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor
) -> None:
    p = logits.softmax(1)[torch.arange(40), labels]

    focal = objective(focal_gamma=1.5)(logits, one_hot(labels), 0)

    torch.testing.assert_close(focal, (-((1 - p) ** 1.5) * p.log()).mean())


def test_focal_loss_of_a_certain_answer_has_a_finite_gradient() -> None:
    logits = torch.tensor([[60.0, 0, 0, 0, 0, 0]], requires_grad=True)

    objective(focal_gamma=0.5)(logits, one_hot(torch.tensor([0])), 0).backward()

    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_dynamic_weights_fall_from_w_to_one_with_confidence(
    logits: torch.Tensor, labels: torch.Tensor
) -> None:
    w = np.log(COUNTS.max() / COUNTS) + 1
    p = logits.softmax(1)[torch.arange(40), labels]
    expected = (-(torch.from_numpy(w[labels]).float() ** (1 - p)) * p.log()).mean()
    loss = objective(class_weights="dynamic")

    torch.testing.assert_close(loss(logits, one_hot(labels), 0), expected)
    disgust = one_hot(torch.tensor([4]))
    wrong = torch.tensor([[28.0, 0, 0, 0, 0, 0]])  # p = 7e-13
    ratio = loss(wrong, disgust, 0) / objective()(wrong, disgust, 0)
    assert ratio.item() == pytest.approx(w[4], rel=1e-5)
    right = torch.tensor([[0.0, 0, 0, 0, 9, 0]])
    ratio = loss(right, disgust, 0) / objective()(right, disgust, 0)
    assert ratio.item() == pytest.approx(1, abs=0.01)


def test_the_brier_term_is_subtracted_and_its_minimum_lies_below_certainty() -> None:
    target = one_hot(torch.tensor([0]))
    loss = objective(brier_term=True)

    def at(p: float) -> float:
        logits = torch.full((1, 6), math.log((1 - p) / 5))
        logits[0, 0] = math.log(p)
        return loss(logits, target, 0).item()

    rest = (1 - 0.9) / 5
    assert at(0.9) == pytest.approx(-math.log(0.9) - 0.9 * 0.1 - 5 * rest * (1 - rest), abs=1e-5)
    assert min(at(p) for p in np.linspace(0.9, 0.99, 10)) < at(0.99999)


def test_logit_adjustment_adds_the_log_prior_while_training(
    logits: torch.Tensor, labels: torch.Tensor
) -> None:
    adjusted = objective(logit_adjustment=0.7)(logits, one_hot(labels), 0)

    expected = F.cross_entropy(logits + 0.7 * PRIOR.float().log(), labels)
    torch.testing.assert_close(adjusted, expected)
    uniform = objective(prior=torch.full((6,), 1 / 6), logit_adjustment=1.0)
    torch.testing.assert_close(uniform(logits, one_hot(labels), 0), F.cross_entropy(logits, labels))


def test_deferred_weights_take_effect_after_their_share_of_the_epochs(
    logits: torch.Tensor, labels: torch.Tensor
) -> None:
    deferred = objective(class_weights="effective", reweight_after=0.8, epochs=10)
    weighted = objective(class_weights="effective")(logits, one_hot(labels), 0)
    plain = objective()(logits, one_hot(labels), 0)

    values = [deferred(logits, one_hot(labels), epoch) for epoch in range(10)]

    assert [torch.equal(value, plain) for value in values] == [True] * 8 + [False] * 2
    torch.testing.assert_close(values[8], weighted)


@pytest.mark.parametrize(
    "values",
    [
        {"class_weights": "inverse", "label_smoothing": 0.1, "focal_gamma": 1.0},
        {"class_weights": "dynamic", "brier_term": True},
    ],
)
def test_the_mean_of_all_shares_losses_is_the_loss_of_the_batch(
    values: dict[str, object], logits: torch.Tensor, labels: torch.Tensor
) -> None:
    loss, targets = objective(**values), one_hot(labels)

    shares = [loss(logits[i::2], targets[i::2], 0, targets) for i in range(2)]

    torch.testing.assert_close((shares[0] + shares[1]) / 2, loss(logits, targets, 0))


@pytest.mark.parametrize("scheme", ["none", "sqrt", "dynamic"])
def test_a_batch_of_faces_that_show_no_class_teaches_nothing(
    scheme: str, logits: torch.Tensor
) -> None:
    logits.requires_grad_()

    loss = objective(class_weights=scheme, focal_gamma=1.0, brier_term=True)(
        logits, torch.zeros(40, 6), 0
    )
    loss.backward()

    assert loss == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_impossible_options_are_refused() -> None:
    for values in ({"effective_beta": 1.0}, {"focal_gamma": -1.0}, {"class_weights": "some"}):
        with pytest.raises(ConfigError):
            ObjectiveConfig(**values)  # type: ignore[arg-type]
