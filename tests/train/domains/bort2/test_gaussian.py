from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from train.domains.bort2.gaussian import GaussianFeatures, entropy_hinge


def test_samples_have_the_mean_and_the_deviation_they_should() -> None:
    torch.manual_seed(0)
    layer = GaussianFeatures(8)
    mean = torch.randn(1, 8)
    layer.measure(3 * torch.randn(1000, 8))
    count = 20_000

    samples = layer(mean.expand(count, 8))[0].detach()

    sigma = (F.softplus(layer.scale(mean / layer.unit)) * layer.unit).detach()
    error = (samples.mean(0) - mean[0]).abs() / (sigma[0] / math.sqrt(count))
    assert (error < 4).all()
    assert torch.allclose(samples.std(0), sigma[0], rtol=0.02)


def test_evaluation_passes_the_features_on() -> None:
    layer = GaussianFeatures(8).eval()
    mean = torch.randn(4, 8)

    assert torch.equal(layer(mean)[0], mean)
    assert torch.equal(layer(mean)[1], layer(mean)[1])


def test_the_entropy_is_the_mean_log_deviation_in_units_of_the_spread() -> None:
    layer = GaussianFeatures(4)
    nn.init.zeros_(layer.scale.weight)
    nn.init.zeros_(layer.scale.bias)

    for scale in (0.01, 1.0, 100.0):
        features = scale * torch.randn(500, 4)
        layer.measure(features)
        assert layer(features)[1].mean().item() == pytest.approx(math.log(math.log(2)), abs=1e-4)


def test_the_hinge_is_zero_above_its_target_and_widens_below() -> None:
    raw = torch.tensor([[5.0, 5.0], [0.0, 0.0]], requires_grad=True)
    entropy = (F.softplus(raw) + 1e-7).log().mean(1)

    assert entropy_hinge(entropy[:1], 1.0) == 0
    loss = entropy_hinge(entropy, 1.0)
    loss.backward()

    assert float(loss) == pytest.approx((1 - math.log(math.log(2))) / 2, abs=1e-5)
    assert raw.grad is not None
    assert (raw.grad[0] == 0).all()
    assert (raw.grad[1] < 0).all()  # a step against it raises the deviation


def test_spread_features_resist_label_noise() -> None:
    # Six Gaussian classes, 30 % of the labels flipped, accuracy on clean labels, three seeds.
    plain, spread = ([noisy_accuracy(seed, gaussian) for seed in range(3)] for gaussian in (0, 1))

    assert sum(spread) / 3 >= sum(plain) / 3 + 0.05


def noisy_accuracy(seed: int, gaussian: int) -> float:
    torch.manual_seed(seed)
    centres = 1.6 * F.normalize(torch.randn(6, 20), dim=1)
    labels, clean = torch.randint(6, (1200,)), torch.randint(6, (2000,))
    inputs = centres[labels] + 0.3 * torch.randn(1200, 20)
    unseen = centres[clean] + 0.3 * torch.randn(2000, 20)
    flipped = torch.rand(1200) < 0.3
    noisy = torch.where(flipped, (labels + torch.randint(1, 6, (1200,))) % 6, labels)
    body = nn.Sequential(nn.Linear(20, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
    layer, classifier = GaussianFeatures(64), nn.Linear(64, 6)
    parameters = [*body.parameters(), *layer.parameters(), *classifier.parameters()]
    optimizer = torch.optim.Adam(parameters, 6e-3)
    for _ in range(30):
        for batch in torch.randperm(1200).split(200):
            features = body(inputs[batch])
            loss = torch.tensor(0.0)
            if gaussian:
                layer.follow(features)
                features, entropy = layer(features)
                loss = 0.1 * entropy_hinge(entropy, 1.0)
            loss = loss + F.cross_entropy(classifier(features), noisy[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return float((classifier(body(unseen)).argmax(1) == clean).float().mean())
