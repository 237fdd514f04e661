from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from emotion.align import template
from emotion.config import NetworkConfig
from emotion.cover import PARTS, part_masks
from emotion.network import EmotionNet
from train.explain import metrics


def bump(x: int, y: int) -> np.ndarray:
    rows, columns = np.mgrid[:64, :64]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 100).astype(np.float32)


@pytest.fixture
def crop(random) -> np.ndarray:
    return random.integers(0, 256, (64, 64), np.uint8)


def planted(crops: np.ndarray) -> np.ndarray:
    """A network whose answer is how much of the lower left corner is dark."""
    return 1 - crops[:, 44:, :20].mean((1, 2)) / 255


def test_deletion_begins_with_the_crop_and_takes_the_strongest_evidence_first(crop):
    steps = metrics.deletion_steps(crop, bump(10, 50))
    deleted, inserted = np.split(steps, 2)
    assert np.array_equal(deleted[0], crop)
    assert np.array_equal(inserted[-1], crop)
    assert np.array_equal(deleted[-1], inserted[0])
    changed = deleted[1] != crop
    assert changed[45:56, 5:16].mean() > 0.9
    assert not changed[:, 32:].any()
    kept = [(step != deleted[-1]).mean() for step in inserted]
    assert kept == sorted(kept)


def test_a_map_without_evidence_is_not_deleted_in_rows(crop):
    changed = metrics.deletion_steps(crop, np.zeros((64, 64), np.float32))[4] != crop
    assert np.ptp(changed.reshape(8, 8, 64).mean((1, 2))) < 0.2


def test_a_true_map_has_less_deletion_and_more_insertion_than_a_false_one():
    crop = np.full((64, 64), 255, np.uint8)
    crop[44:, :20] = 0
    areas = [
        metrics.areas(planted(metrics.deletion_steps(crop, cam)))
        for cam in (bump(9, 54), bump(54, 9))
    ]
    (deletion, insertion), (worse, less) = areas
    assert deletion < worse - 0.2
    assert insertion > less + 0.2


def test_areas_are_those_under_the_curves():
    falling = np.linspace(1, 0, metrics.STEPS + 1)
    assert metrics.areas(np.concatenate([falling, falling**0])) == pytest.approx((0.5, 1.0))


@pytest.mark.parametrize("part", PARTS)
def test_a_map_points_at_the_part_that_it_lies_on(part):
    masks = part_masks(template())
    cam = masks[PARTS.index(part)].astype(np.float32)
    assert metrics.pointed_part(cam, masks) == PARTS.index(part)


def test_the_share_of_the_right_half():
    assert metrics.right_share(bump(54, 32)) > 0.99
    assert metrics.right_share(np.ones((8, 8), np.float32)) == 0.5
    assert metrics.right_share(np.zeros((8, 8), np.float32)) == 0.5


def test_ranks_are_correlated_as_scipy_does(random):
    one = random.integers(0, 5, (8, 8)).astype(np.float32)
    other = (one + random.normal(0, 2, (8, 8))).round().astype(np.float32)
    expected = spearmanr(one.ravel(), other.ravel()).statistic
    assert metrics.rank_correlation(one, other) == pytest.approx(expected, abs=1e-6)
    assert metrics.rank_correlation(one, np.zeros((8, 8), np.float32)) == 0


def test_randomising_draws_the_last_stage_and_the_layer_anew_and_nothing_else():
    network = EmotionNet(NetworkConfig(backbone="cnn", widths=(4, 4, 8, 8))).eval()
    other = metrics.randomised(network)
    for (name, before), after in zip(
        network.state_dict().items(), other.state_dict().values(), strict=True
    ):
        anew = name.startswith(("block4.conv", "fc", "block4.bn1.running", "block4.bn2.running"))
        assert torch.equal(before, after) != anew or name.endswith("num_batches_tracked"), name
    assert not any(module.training for module in other.modules())
