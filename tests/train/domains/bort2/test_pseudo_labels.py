from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from train.domains.bort2.pseudo_labels import (
    ConfidenceThreshold,
    contradicts,
    pseudo_label_loss,
    sample_labels,
    soft_cross_entropy,
)


def logits(count: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))


def test_soft_cross_entropy_is_cross_entropy_for_hard_targets() -> None:
    values, labels = logits(50), torch.arange(50) % 6

    soft = soft_cross_entropy(values, F.one_hot(labels, 6).float())

    assert torch.allclose(soft, F.cross_entropy(values, labels, reduction="none"), atol=1e-6)
    assert (soft >= 0).all()


def test_sampled_labels_are_hard_and_lead_a_gradient_to_the_labeller() -> None:
    labeller = logits(200).requires_grad_()
    torch.manual_seed(0)
    labels = sample_labels(labeller)

    assert torch.allclose(labels.max(1).values, torch.ones(200))
    assert torch.allclose(labels.sum(1), torch.ones(200), atol=1e-5)
    # A labeller is pulled towards what the student says: the sign that the released code flips.
    student = torch.zeros(200, 6)
    student[:, 2] = 3.0
    (gradient,) = torch.autograd.grad(soft_cross_entropy(student, labels).mean(), labeller)
    assert gradient.norm() > 0
    assert (gradient[:, 2] <= 0).all()


def test_labels_are_drawn_with_the_labellers_probabilities() -> None:
    one = torch.tensor([[1.0, 0.0, -1.0, 0.5, -2.0, 0.2]]).expand(20_000, 6)

    torch.manual_seed(0)

    drawn = sample_labels(one).mean(0)

    assert torch.allclose(drawn, one[0].softmax(0), atol=0.012)


def test_without_a_believed_label_the_student_gets_no_gradient() -> None:
    student = logits(8).requires_grad_()
    nothing = torch.zeros(8, dtype=torch.bool)

    loss = pseudo_label_loss(student, F.one_hot(torch.arange(8) % 6, 6).float(), nothing)
    (gradient,) = torch.autograd.grad(loss, student)

    assert loss == 0
    assert (gradient == 0).all()


def test_the_loss_is_divided_by_the_batch_not_by_the_believed() -> None:
    student, labels = logits(8), torch.arange(8) % 6
    believed = torch.tensor([True, True] + [False] * 6)

    expected = F.cross_entropy(student[:2], labels[:2], reduction="sum") / 8
    targets = F.one_hot(labels, 6).float()
    assert torch.allclose(pseudo_label_loss(student, targets, believed), expected)


def test_only_believed_labels_contradict() -> None:
    given, labels = torch.tensor([0, 1, 2, 3]), torch.tensor([0, 5, 4, 3])
    believed = torch.tensor([True, True, False, False])

    contradicted = contradicts(given, F.one_hot(labels, 6).float(), believed)

    assert contradicted.tolist() == [False, True, False, False]


def test_the_threshold_begins_high_and_relaxes() -> None:
    threshold = ConfidenceThreshold()
    probabilities = logits(256).softmax(1)
    confidence, predicted = probabilities.max(1)
    own = confidence[predicted == 0]
    mean, deviation = own.mean(), own.std(correction=0)

    threshold.update(probabilities)
    believed = threshold.believed(probabilities)

    start = min(float(mean + deviation), 0.95)
    assert threshold.values[0] == pytest.approx(start)
    assert torch.equal(believed[predicted == 0], own >= start)
    threshold.update(probabilities)
    relaxed = 0.999 * start + 0.001 * float(mean - deviation)
    assert float(threshold.values[0]) == pytest.approx(relaxed, abs=1e-6)
    assert relaxed < start


def test_a_class_of_which_the_labeller_is_less_sure_is_still_believed_now_and_then() -> None:
    sure, unsure = torch.zeros(200, 6), torch.zeros(50, 6)
    sure[:, 0] = 6.0 + logits(200)[:, 0]
    unsure[:, 4] = 1.0 + 0.2 * logits(50)[:, 0]
    threshold = ConfidenceThreshold()

    probabilities = torch.cat([sure, unsure]).softmax(1)
    threshold.update(probabilities)

    assert threshold.believed(probabilities)[200:].any()
    assert threshold.values[[1, 2, 3, 5]].isnan().all()
